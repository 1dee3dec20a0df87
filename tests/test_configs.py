"""`dvc.yaml` and `conf/` say the same: every experiment composes, every stage declares what it uses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
import torch
import yaml

from convlab.base import config
from convlab.runs import run as runs

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
# Too long for the pipeline, or not trained at all: their files say so.
BY_HAND = [
    name
    for name in EXPERIMENTS
    if "not part of `dvc repro`" in (ROOT / "conf" / "experiment" / f"{name}.yaml").read_text()
]
PIPELINE = [name for name in EXPERIMENTS if name not in BY_HAND]
# Code that carries a stage out without deciding its result; a change there must not train anew.
GLUE = {
    *("__init__", "__main__", "base/__init__", "base/console", "base/errors", "base/project"),
    *("base/files", "base/torchvision_operators", "base/provenance", "cli/__init__", "cli/main"),
    *("cli/commands/__init__", "training/__init__", "training/multirun", "runs/__init__"),
    "runs/metrics",  # says how a number is shown
    *("figures/__init__", "figures/plots", "figures/style", "prediction/__init__"),
    *("tracking/__init__", "tracking/runs"),
}
# what a stage runs, in a process that only composes and imports
IMPORTED = """
import importlib, json, sys
from pathlib import Path
import convlab
from convlab.base import config
from convlab.runs import run as runs
for module in sys.argv[2:]:
    importlib.import_module("convlab." + module)
settings = config.plain(config.compose("train", ["experiment=" + sys.argv[1]]))
from hydra.utils import get_class
get_class(settings["data"]["module"]["_target_"])
get_class(settings["model"]["_target_"])
root = Path(convlab.__file__).parent
names = [Path(m.__file__).relative_to(root) for m in list(sys.modules.values())
         if (getattr(m, "__file__", None) or "").startswith(str(root))]
print(json.dumps(sorted(str(n.with_suffix("")) for n in names)))
"""


def stage(name, key):
    """The stage `name@key` with its item filled in, as DVC resolves it."""
    item = STAGES[name]["foreach"][key]

    def fill(value):
        if isinstance(value, dict):
            return {fill(k): fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [fill(v) for v in value]
        if isinstance(value, str):
            value = value.replace("${key}", key)
            for name_, content in item.items():
                value = value.replace(f"${{item.{name_}}}", content)
        return value

    return fill(STAGES[name]["do"])


def parameter_files(declared):
    return {next(iter(entry)) for entry in declared["params"]}


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.setenv("CONVLAB_PROJECT", str(ROOT))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_composes_into_a_network(experiment):
    settings = config.plain(config.compose("train", [f"experiment={experiment}"]))
    assert settings["name"] == experiment
    sizes = {"num_inputs": 16, "num_classes": 5}
    model = {key: sizes.get(key) if value is None else value for key, value in settings["model"].items()}
    with torch.device("meta"):
        network = runs.build_model(model)
    assert sum(parameter.numel() for parameter in network.parameters()) > 0


def test_every_experiment_is_trained_evaluated_and_compared():
    assert sorted(STAGES["train"]["foreach"]) == sorted(STAGES["evaluate"]["foreach"]) == PIPELINE
    compared = [dep for name in ("compare", "compare_sample") for dep in STAGES[name]["deps"]]
    assert {f"runs/{name}/metrics.json" for name in PIPELINE} <= set(compared)
    assert {f"runs/{name}/visualize" for name in STAGES["visualize"]["foreach"]} <= set(compared)


@pytest.mark.parametrize("experiment", PIPELINE)
def test_train_declares_the_files_that_its_experiment_composes(experiment):
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = hydra.compose("train", [f"experiment={experiment}"], return_hydra_config=True)
    choices = composed.hydra.runtime.choices
    used = {
        f"conf/{group}/{choice}.yaml" for group, choice in choices.items() if (ROOT / "conf" / group).is_dir()
    }
    declared = stage("train", experiment)
    assert parameter_files(declared) == used | {"conf/train.yaml"}
    settings = config.plain(config.compose("train", [f"experiment={experiment}"]))
    assert settings["data"]["module"]["dir"] in declared["deps"]
    assert settings["data"]["module"]["dir"] in stage("evaluate", experiment)["deps"]


def covered(module, deps):
    path = f"src/convlab/{module}.py"
    return any(path == dep or path.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize(
    ("name", "experiment", "modules"),
    [
        ("train", "lenet5", ["cli.commands.train", "training.train"]),
        ("train", "lenet5_1998", ["cli.commands.train", "training.train", "models.map_criterion"]),
        ("train", "linear_head", ["cli.commands.train", "training.train"]),
        ("visualize", "lenet", ["cli.commands.visualize", "explain.visualize"]),
        ("visualize", "linear_head", ["cli.commands.visualize", "explain.draw_attribution"]),
    ],
)
def test_a_stage_declares_the_code_that_it_runs(name, experiment, modules):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, experiment, *modules],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    found = set(json.loads(done.stdout.splitlines()[-1])) - GLUE
    assert {module.replace(".", "/") for module in modules} <= found
    undeclared = {module for module in found if not covered(module, stage(name, experiment)["deps"])}
    assert undeclared == set()


@pytest.mark.parametrize("name", ["features", "fetch", "train", "evaluate", "visualize"])
def test_declared_files_exist(name):
    for key in STAGES[name]["foreach"]:
        declared = stage(name, key)
        files = [dep for dep in declared["deps"] if dep.startswith(("src/", "conf/"))]
        for path in [*files, *parameter_files(declared)] if "params" in declared else files:
            assert (ROOT / path).exists(), path


def test_features_and_fetch_agree_with_the_configuration():
    for key in STAGES["fetch"]["foreach"]:
        declared = stage("fetch", key)
        (path,) = parameter_files(declared)
        (output,) = declared["outs"]
        assert yaml.safe_load((ROOT / path).read_text())["dir"] == next(iter(output))
    for key in STAGES["features"]["foreach"]:
        declared = stage("features", key)
        backbone = STAGES["features"]["foreach"][key]["backbone"]
        settings = config.plain(config.compose("features", [f"data={key}", f"backbone={backbone}"]))
        assert settings["data"]["dir"] in declared["deps"]
        assert settings["dir"] == next(iter(declared["outs"][0]))


def test_the_sample_is_imported_unfrozen():
    """Frozen, a fresh clone would fail with "missing data 'source'"."""
    assert "frozen" not in yaml.safe_load((ROOT / "data.dvc").read_text())
