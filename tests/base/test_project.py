"""Where a project's files are."""

from pathlib import Path

import pytest

from convlab.base.errors import ConvlabError
from convlab.base.project import home_dir, project_dir, state_dir


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch):
    for name in ("CONVLAB_PROJECT", "CONVLAB_STATE"):
        monkeypatch.delenv(name, raising=False)


def make(folder: Path) -> Path:
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "train.yaml").touch()
    return folder


def test_the_nearest_folder_upwards(tmp_path, monkeypatch):
    root = make(tmp_path / "project")
    (root / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(root / "a" / "b")
    assert project_dir() == root
    assert state_dir() == root / ".convlab"


def test_the_environment_decides(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVLAB_PROJECT", str(make(tmp_path / "project")))
    monkeypatch.setenv("CONVLAB_STATE", str(tmp_path / "elsewhere"))
    assert project_dir() == tmp_path / "project"
    assert state_dir() == tmp_path / "elsewhere"


def test_no_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConvlabError, match=r"no convlab project at or above .*conf/train\.yaml"):
        project_dir()


def test_a_dvc_experiment_shares_the_state_of_the_project_it_came_from(tmp_path, monkeypatch):
    root = make(tmp_path / "project")
    copy = make(root / ".dvc" / "tmp" / "exps" / "tmpabc")
    monkeypatch.chdir(copy)
    assert project_dir() == copy
    assert home_dir() == root
    assert state_dir() == root / ".convlab"
