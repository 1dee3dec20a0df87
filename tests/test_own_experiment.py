"""A user's own experiment: own photos, own network in an own file, one YAML file, one command."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import serving

from convlab.base.errors import ConvlabError
from convlab.models import saved

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LOADED = """
import sys
import mlflow, pandas
project, model, photo = sys.argv[1:]
mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
loaded = mlflow.pyfunc.load_model(f"models:/{model}")
with open(photo, "rb") as file:
    print(loaded.predict(pandas.DataFrame({"image": [file.read()]}))["class"][0])
"""
NETWORK = '''
from torch import nn


class Stripes(nn.Sequential):
    """Two convolutions and a global maximum."""

    def __init__(self, maps: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, maps, 5, padding=2)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(maps, num_classes)
'''
EXPERIMENT = """
# @package _global_
defaults:
  - override /data: patches_pixels
  - override /model: own
  - override /optimizer: adamw
report: mine
visualize: true
data:
  name: stripes
  dir: photos
  pixels: { size: 24, channels: 3 }
model:
  _target_: my_networks.Stripes
  maps: 8
  num_classes: null
batch_size: 16
optimizer: { lr: 0.02 }
trainer: { max_epochs: 8 }
"""


def photos(folder):
    """Horizontal, vertical and no stripes, 60 of each, in colours of their own."""
    random = np.random.default_rng(0)
    for name, axis in (("lying", 0), ("standing", 1), ("plain", None)):
        (folder / name).mkdir(parents=True)
        for number in range(60):
            wave = np.sin(np.arange(32) * random.uniform(1.2, 1.6) + random.uniform(0, 6))
            wave = np.zeros((32, 32)) if axis is None else np.broadcast_to(wave, (32, 32))
            grey = wave.T if axis == 0 else wave
            pixels = 128 + 90 * grey[..., None] * random.uniform(0.6, 1, 3) + random.normal(0, 6, (32, 32, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The project after `convlab pipeline` and `dvc repro compare@mine`, and what they said."""
    project = tmp_path_factory.mktemp("own") / "project"
    project.mkdir()
    shutil.copytree(ROOT / "conf", project / "conf")
    # the graph of a project without convlab's source
    graph = (ROOT / "dvc.yaml").read_text().splitlines(keepends=True)
    (project / "dvc.yaml").write_text("".join(line for line in graph if "- src/convlab/" not in line))
    shutil.copy(ROOT / ".gitignore", project)
    photos(project / "photos")
    (project / "my_networks.py").write_text(NETWORK)
    (project / "conf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    run(project, "git", "init", "-q")
    run(project, "dvc", "init", "-q")
    run(project, "convlab", "pipeline")
    return project, run(project, "dvc", "repro", "compare@mine")


def run(project, *command, status=0):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CONVLAB_", "MLFLOW_"))}
    env |= {"PATH": f"{BIN}:{env['PATH']}", "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(400)
def test_it_is_trained_evaluated_drawn_and_compared(made):
    project, said = made
    for stage in ("compose", "train@mine", "evaluate@mine", "visualize@mine", "compare@mine"):
        assert f"Running stage '{stage}'" in said
    assert "stripes (" in said
    assert json.loads((project / "runs/mine/metrics.json").read_text())["test"]["acc"] > 0.9
    assert "mine" in (project / "reports/mine/comparison.html").read_text()
    assert "didn't change, skipping" in run(project, "dvc", "repro", "compare@mine")
    assert (project / "runs/mine/visualize/top9_conv2.png").is_file()


@pytest.mark.timeout(400)
def test_a_change_of_the_own_code_trains_again(made):
    project, _ = made
    file = project / "my_networks.py"
    before = file.read_text()
    file.write_text(before + "\n# another\n")
    try:
        assert "train@mine" in run(project, "dvc", "status", "compare@mine", "--with-deps")
    finally:
        file.write_text(before)


@pytest.mark.timeout(400)
def test_it_is_promoted_predicted_and_served(made, tmp_path):
    project, _ = made
    assert "is now the champion of stripes" in run(project, "convlab", "promote", "mine")
    photo = project / "photos" / "standing" / "0.png"
    rows = run(project, "convlab", "predict", str(photo), "--model", "champion/stripes", "--json")
    assert "standing" in rows
    logged = json.loads((project / "runs/mine/run.json").read_text())["mlflow"]["model_id"]
    for model in ("convlab-stripes@champion", logged):  # elsewhere: its code comes with it
        assert (
            run(tmp_path, sys.executable, "-c", LOADED, str(project), model, str(photo))
            .strip()
            .endswith("standing")
        )
    with serving(project, "--model", "champion/stripes") as server:
        request = urllib.request.Request(
            f"{server.url}/predict", photo.read_bytes(), {"Content-Type": "image/png"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["classes"][0]["class"] == "standing"


def test_outside_the_project_its_classes_are_refused(made, tmp_path, monkeypatch):
    project, _ = made
    monkeypatch.setenv("CONVLAB_PROJECT", str(project))
    network = saved.load(project / "runs" / "mine" / "model")
    assert type(network).__name__ == "Stripes"
    shutil.copytree(project / "runs" / "mine" / "model", tmp_path / "moved")
    with pytest.raises(ConvlabError, match=r"'my_networks\.Stripes' is not one of convlab's own"):
        saved.load(tmp_path / "moved")


@pytest.mark.parametrize(
    "target", ["os.system", "my_networks.nn", "my_networks.nn.Linear", "torch.nn.Linear"]
)
def test_what_a_file_only_imports_is_refused(made, tmp_path, monkeypatch, target):
    project, _ = made
    monkeypatch.setenv("CONVLAB_PROJECT", str(project))
    shutil.copytree(project / "runs" / "mine" / "model", project / "runs" / "altered", dirs_exist_ok=True)
    path = project / "runs" / "altered" / "model.json"
    path.write_text(path.read_text().replace("my_networks.Stripes", target))
    with pytest.raises(ConvlabError, match=f"'{target}' is not one of convlab's own"):
        saved.load(path.parent)
