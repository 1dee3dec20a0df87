"""A full disk and a read-only project: one line that names the folder, and with room again all is well."""

import os
import shutil
import subprocess

import pytest

from convlab.cli.main import main
from convlab.tracking import store

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None,
    reason="mounts a file system",
)
QUICK = ["experiment=digits_fully_connected", "scheduler=constant", "trainer.max_epochs=1", "model.hidden=8"]


@pytest.fixture
def disk(project, tmp_path, monkeypatch):
    """A project on a small disk of its own; the current directory."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    shutil.copytree(project / "conf", place / "conf")
    (place / "data").symlink_to((project / "data").resolve())
    monkeypatch.setenv("CONVLAB_PROJECT", str(place))
    monkeypatch.chdir(place)
    yield place
    monkeypatch.undo()
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk, left):
    """Leave so many bytes."""
    state = os.statvfs(disk)
    with (disk / "filling").open("wb") as file:
        file.write(bytes(max(0, state.f_bavail * state.f_frsize - left)))


def refused(capsys, words, why):
    """The one line that `words` end with."""
    capsys.readouterr()
    assert main(words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"convlab {words[0]}: cannot write ")
    assert why in line
    return line


def test_evaluate_on_a_full_disk(disk, capsys):
    assert main(["train", *QUICK, "logger=none", "name=one"]) == 0
    for left in (0, 8 << 10, 40 << 10):  # not even the predictions, not the thumbnails, not the figures
        fill(disk, left)
        line = refused(capsys, ["evaluate", "one"], "No space left on device. Make room")
        assert str(disk / "runs" / "one") in line
        (disk / "filling").unlink()
    assert main(["evaluate", "one"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 16 << 10, 100 << 10, 400 << 10])
def test_train_on_a_full_disk(disk, capsys, left):
    fill(disk, left)
    assert str(disk) in refused(capsys, ["train", *QUICK, "name=one"], "No space left on device. Make room")
    (disk / "filling").unlink()
    assert main(["train", *QUICK, "name=one"]) == 0
    runs = store.client().search_runs([store.experiment_id("convlab")])
    assert [run.info.status for run in runs] == ["FINISHED"]


def test_a_project_that_is_read_only(disk, capsys):
    assert main(["train", *QUICK, "logger=none", "name=one", "evaluate=true"]) == 0
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for words in (
        ["train", *QUICK, "name=two"],
        ["train", *QUICK, "logger=none", "name=two"],
        ["train", "-m", *QUICK, "seed=1,2"],
        ["cv", *QUICK, "folds=2"],
        ["sweep", *QUICK, "+search=median", "+search.space.optimizer.lr={low: 0.01, high: 0.3}"],
        ["evaluate", "one"],
        ["promote", "one"],
        ["pipeline"],
    ):
        assert str(disk) in refused(capsys, words, "Read-only file system. Make "), words
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert main(["evaluate", "one"]) == 0
