"""A saved network: complete, checked, and unable to run anything."""

import json
import subprocess

import pytest
import torch

from convlab.base.errors import ConvlabError
from convlab.models import saved
from convlab.models.heads import LinearHead
from convlab.runs import lineage, model_file
from convlab.runs.model_file import ModelFile
from convlab.runs.run import Run

MODEL = {"_target_": "convlab.models.heads.LinearHead", "num_inputs": 3, "num_classes": 2}


@pytest.fixture
def written(tmp_path):
    torch.manual_seed(0)
    network, average = LinearHead(3, 2), LinearHead(3, 2)
    weights = {"raw": network.state_dict(), "averaged": average.state_dict()}
    saved.save(tmp_path / "model", weights, ModelFile(MODEL, classes=["a", "b"]))
    return tmp_path / "model", network, average


def test_what_is_saved_is_loaded(written):
    directory, network, average = written
    inputs = torch.randn(5, 3)
    assert torch.equal(saved.load(directory, "raw")(inputs), network(inputs))
    assert torch.equal(saved.load(directory)(inputs), average(inputs))
    assert not saved.load(directory).training


def test_without_an_average_the_raw_weights_predict(tmp_path):
    found = saved.save(tmp_path, {"raw": LinearHead(3, 2).state_dict()}, ModelFile(MODEL))
    assert found.selected == "raw"
    with pytest.raises(ConvlabError, match="no averaged weights, only raw"):
        saved.load(tmp_path, "averaged")


def test_altered_weights_are_refused(written):
    directory, _, _ = written
    path = directory / "raw.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConvlabError, match=r"raw\.safetensors differs"):
        saved.load(directory, "raw")


FOREIGN = {"_target_": "os.system", "command": "touch hacked"}
INSIDE = {"_target_": "convlab.models.lenet.LeNet5", "pooling": FOREIGN}
IN_A_LIST = {"_target_": "convlab.models.lenet.LeNet5", "pooling": [{"of": FOREIGN}]}


@pytest.mark.parametrize("model", [FOREIGN, INSIDE, IN_A_LIST])
def test_a_model_file_cannot_name_foreign_code(written, model):
    directory, _, _ = written
    card = json.loads((directory / "model.json").read_text())
    card["model"] = model
    (directory / "model.json").write_text(json.dumps(card))
    with pytest.raises(ConvlabError, match=r"'os\.system' is not one of convlab's own"):
        saved.load(directory)


def test_an_architecture_that_does_not_fit_is_refused(written):
    directory, _, _ = written
    card = json.loads((directory / "model.json").read_text())
    card["model"]["num_inputs"] = 4
    (directory / "model.json").write_text(json.dumps(card))
    with pytest.raises(ConvlabError, match="does not fit the architecture"):
        saved.load(directory)


def test_another_format_is_refused(tmp_path):
    (tmp_path / "model.json").write_text('{"format": 99}')
    with pytest.raises(ConvlabError, match="expected model format 1, found 99"):
        model_file.read(tmp_path)


def test_git_state_is_about_the_code_not_the_lock(project):
    def git(*words):
        identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", *identity, *words], cwd=project, check=True, capture_output=True)

    assert lineage.git_state() == {"git_commit": None, "git_dirty": False}
    git("init", "-q")
    for name in ("code.py", "dvc.lock"):
        (project / name).write_text("1")
    git("add", "code.py", "dvc.lock")
    git("commit", "-qm", "all")
    (project / "dvc.lock").write_text("2")
    clean = lineage.git_state()
    assert len(clean["git_commit"]) == 40
    assert not clean["git_dirty"]
    (project / "code.py").write_text("2")
    assert lineage.git_state() == {**clean, "git_dirty": True}


def test_a_run_is_found_by_name_or_path(project):
    (project / "runs" / "one").mkdir(parents=True)
    (project / "runs" / "one" / "config.yaml").touch()
    assert Run.find("one").directory == project / "runs" / "one"
    assert Run.find("runs/one").directory.samefile(project / "runs" / "one")
    with pytest.raises(ConvlabError, match=r"no run 'two'\. Runs: one"):
        Run.find("two")


def test_a_run_outside_of_any_project_goes_by_its_path(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVLAB_PROJECT", str(tmp_path))
    assert Run(tmp_path / "champion").argument == str(tmp_path.resolve() / "champion")
