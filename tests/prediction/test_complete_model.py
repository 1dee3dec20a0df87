"""A complete model: a directory that predicts alone, what it leaves behind, and what it refuses."""

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sample_runs import copy_runs

from convlab.base.errors import ConvlabError
from convlab.prediction import complete_model
from convlab.runs import model_file
from convlab.runs.run import Run

ELSEWHERE = """
import json, sys
from pathlib import Path
from convlab.prediction import complete_model
predictor = complete_model.load(Path("model"))
files = sorted(Path("photos").iterdir())
print(json.dumps([list(predictor.classes), predictor(files).tolist()]))
"""


def patches(project):
    """The test photos' files, in the order of predictions.npz."""
    (folder,) = (project / "features" / "patches").iterdir()
    with (folder / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    return [(project / "data" / "patches" / row["path"]).read_bytes() for row in rows]


class TestMoved:
    @pytest.fixture
    def directory(self, project, trained, tmp_path):
        """The head's complete model, alone in an empty folder."""
        copy_runs(trained, project, "head")
        (project / "features").symlink_to(trained / "features")
        complete_model.write(Run(project / "runs" / "head"), tmp_path / "elsewhere" / "model")
        return tmp_path / "elsewhere" / "model"

    def test_it_predicts_without_the_project(self, project, directory):
        photos = directory.parent / "photos"
        photos.mkdir()
        for index, content in enumerate(patches(project)):
            (photos / f"{index:03}.jpg").write_bytes(content)
        environment = {name: value for name, value in os.environ.items() if name != "CONVLAB_PROJECT"}
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            cwd=directory.parent,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        classes, probabilities = json.loads(done.stdout)
        assert classes == ["china", "flower"]
        with np.load(project / "runs" / "head" / "predictions.npz") as arrays:
            expected = arrays["probabilities"]
        assert np.abs(np.array(probabilities) - expected).max() < 1e-5

    def test_an_altered_backbone_is_refused(self, directory):
        path = directory / "backbone.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(ConvlabError, match=r"backbone\.safetensors differs"):
            complete_model.load(directory)
        path.unlink()
        with pytest.raises(ConvlabError, match=r"backbone\.safetensors is missing"):
            complete_model.load(directory)


def test_a_server_does_not_keep_what_fine_tuning_cached(project, trained, tmp_path):
    copy_runs(trained, project, "finetuned")
    assert complete_model_of(project, "finetuned", tmp_path).model["cache_gib"] == 0
    assert model_file.read(project / "runs" / "finetuned" / "model").model["cache_gib"] == 0.1


def complete_model_of(project, name, tmp_path):
    complete_model.write(Run(project / "runs" / name), tmp_path / "model")
    return model_file.read(tmp_path / "model")


def test_the_average_travels_without_the_raw_weights(project, trained, tmp_path):
    copy_runs(trained, project, "lenet5")
    model = project / "runs" / "lenet5" / "model"
    found = model_file.read(model)
    shutil.copy(model / "raw.safetensors", model / "averaged.safetensors")
    weights = {"raw": found.weights["raw"], "averaged": found.weights["raw"]}
    replace(found, weights=weights, selected="averaged").write(model)
    assert list(complete_model_of(project, "lenet5", tmp_path).weights) == ["averaged"]
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"model.json", "averaged.safetensors"}
