"""`convlab new`: a project whose configuration extends convlab's, and that overwrites nothing."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from convlab.base import config
from convlab.base.errors import ConvlabError
from convlab.base.project import conf_file, conf_groups
from convlab.cli.commands import new
from convlab.runs import pipeline


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CONVLAB_PROJECT", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)
    assert new.run(["mine"]) == 0
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


def train_yaml(project: Path, text: str) -> None:
    path = project / "conf" / "train.yaml"
    path.write_text(path.read_text().replace("seed: 1\n", text))


def test_what_a_project_gets(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {
        *(".convlab", ".dvc", ".dvcignore", ".git", ".gitignore", "Makefile", "README.md"),
        *("assets", "conf", "data.dvc", "dvc.yaml", "pipeline.yaml"),
    }
    assert sorted(str(path.relative_to(made / "conf")) for path in (made / "conf").rglob("*.yaml")) == [
        "experiment/digits_turned.yaml",
        "train.yaml",
    ]
    assert len(list((made / "assets" / "sample" / "patches").rglob("*.jpg"))) == 120
    status = subprocess.run(["git", "status", "--porcelain", "-uall"], capture_output=True, text=True).stdout
    assert "?? data.dvc" in status
    assert ".convlab" not in status


def test_its_pipeline_is_what_its_configuration_says(made: Path) -> None:
    assert pipeline.write_list() is False
    listed = yaml.safe_load((made / "pipeline.yaml").read_text())
    assert list(listed["experiments"]) == ["digits_fully_connected", "digits_lenet5", "patches_linear_head"]
    stages = yaml.safe_load((made / "dvc.yaml").read_text())["stages"]
    assert stages["compose"]["always_changed"] is True
    assert "src/convlab" not in (made / "dvc.yaml").read_text()
    own = made / "conf" / "experiment" / "digits_turned.yaml"
    own.write_text(own.read_text().replace("# report: mine", "report: mine #"))
    assert pipeline.write_list() is True
    listed = yaml.safe_load((made / "pipeline.yaml").read_text())
    assert listed["experiments"]["digits_turned"]["report"] == "mine"
    assert "lenet" not in listed["experiments"]  # of convlab's own only those of the sample


def test_its_configuration_is_convlabs_and_what_differs(made: Path) -> None:
    own = config.plain(config.compose("train", []))
    assert (own["name"], own["trainer"]["max_epochs"]) == ("digits_lenet5", 12)  # convlab's own experiment
    assert config.plain(config.compose("train", ["experiment=lenet"]))["name"] == "lenet"
    turned = config.plain(config.compose("train", ["experiment=digits_turned"]))
    assert turned["name"] == "digits_turned"
    assert turned["data"]["module"]["augmentation"]["rotation"] == 10
    assert config.lasting(turned)["model"] == config.lasting(own)["model"]


def test_its_values_beat_convlabs_and_lose_to_an_experiments(made: Path) -> None:
    train_yaml(made, "seed: 5\nbatch_size: 99\n")
    assert config.compose("train", ["experiment=digits_turned"]).seed == 5  # 1 in convlab's train.yaml
    assert config.compose("train", ["experiment=digits_turned"]).batch_size == 32  # the experiment's own
    assert config.compose("train", ["experiment=digits_turned", "batch_size=3"]).batch_size == 3


def test_its_files_hide_convlabs_of_the_same_name(made: Path) -> None:
    assert conf_file("gate.yaml").parent != made / "conf"
    (made / "conf" / "gate.yaml").write_text("min_accuracy: 0.1\n")
    assert conf_file("gate.yaml") == made / "conf" / "gate.yaml"
    (made / "conf" / "data").mkdir()
    (made / "conf" / "data" / "digits.yaml").write_text("name: mine\n")
    assert conf_groups()["data"]["digits"] == made / "conf" / "data" / "digits.yaml"
    assert conf_groups()["data"]["mnist"].parent != made / "conf" / "data"
    assert list(conf_groups()["data"]) == sorted(conf_groups()["data"])
    assert config.compose("train", ["data=digits"]).data.name == "mine"


def test_an_unknown_experiment_is_told_both_kinds(made: Path) -> None:
    with pytest.raises(ConvlabError, match=r"(?s)no experiment 'nonsense'.*digits_lenet5, digits_turned"):
        config.compose("train", ["experiment=nonsense"])


def test_nothing_is_overwritten(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made.parent / "other").mkdir()
    (made.parent / "other" / "Makefile").write_text("mine")
    with pytest.raises(ConvlabError, match=r"other has Makefile already; nothing was written"):
        new.run([str(made.parent / "other")])
    assert [path.name for path in (made.parent / "other").iterdir()] == ["Makefile"]
    with pytest.raises(ConvlabError, match=r"Makefile is a file"):
        new.run([str(made / "Makefile")])


def test_into_a_folder_with_other_files_and_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "notes.txt").touch()
    monkeypatch.chdir(tmp_path / "part")
    assert new.run(["."]) == 0
    assert not (tmp_path / "part" / ".git").exists()
    assert (tmp_path / "part" / "notes.txt").exists()
    (tmp_path / ".gitignore").write_text("scratch/\n")
    assert new.run([str(tmp_path / "scratch")]) == 0
    assert (tmp_path / "scratch" / ".git").is_dir()  # DVC refuses files that git ignores


def test_without_git_dvc_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new.shutil, "which", lambda _: None)
    assert new.run([str(tmp_path / "mine")]) == 0
    assert "no_scm = true" in (tmp_path / "mine" / ".dvc" / "config").read_text()
