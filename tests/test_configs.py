"""`dvc.yaml`, `pipeline.yaml` and `conf/` say the same, and every stage declares the code that decides."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from convlab.base import config
from convlab.models import saved
from convlab.runs import pipeline, stage_configs

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "dvc.yaml").read_text()
STAGES = yaml.safe_load(TEXT)["stages"]
LISTED = yaml.safe_load((ROOT / "pipeline.yaml").read_text())
EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
# Rooms that carry a stage out without deciding its result; a change there must not train anew. What they
# compose reaches a stage as its file of configs/.
GLUE = ("__init__", "__main__", "base/", "cli/__init__", "cli/main", "cli/commands/", "tracking/")
CARRIERS = {
    *("training/__init__", "training/multirun", "runs/__init__", "runs/lineage", "runs/reading"),
    *("runs/recorder", "runs/run", "runs/test_images", "prediction/__init__", "features/__init__"),
    *("models/__init__", "models/saved"),
    "training/checks",  # refuses, and changes nothing
}
# what a stage runs, in a process that only composes and imports
IMPORTED = """
import importlib, json, sys
from pathlib import Path
import convlab
from convlab.base import config
for module in sys.argv[2:]:
    importlib.import_module("convlab." + module)
settings = config.plain(config.compose("train", ["experiment=" + sys.argv[1]]))
from hydra.utils import get_class
get_class(settings["data"]["module"]["_target_"])
get_class(settings["model"]["_target_"])
root = Path(convlab.__file__).parent
names = [Path(m.__file__).relative_to(root) for m in list(sys.modules.values())
         if (getattr(m, "__file__", None) or "").startswith(str(root))]
print(json.dumps(sorted(n.with_suffix("").as_posix() for n in names)))
"""


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
        network = saved.build(model)
    assert sum(parameter.numel() for parameter in network.parameters()) > 0


def test_the_committed_list_is_what_the_configuration_says():
    assert pipeline.listed(pipeline.experiments()) == LISTED
    assert len(LISTED["experiments"]) == 10


def test_no_experiment_is_named_in_the_graph():
    assert not [name for name in EXPERIMENTS if name in TEXT]
    assert len(TEXT.splitlines()) <= 150


def test_a_head_on_vectors_follows_its_photos_and_weights():
    assert LISTED["features"]["flowers_inception_v3"] == {
        "photos": "datasets/flowers",
        "weights": "weights/inception_v3/model.safetensors",
        "out": "features/flowers/inception_v3",
    }
    assert LISTED["experiments"]["mlp_head"]["input"] == "features/flowers/inception_v3"
    assert sorted(LISTED["fetch"]) == ["flowers", "inception_v3", "mnist"]


def covered(module, deps):
    path = f"src/convlab/{module}.py"
    return module in CARRIERS or any(path == dep or path.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize(
    ("stage", "experiment", "modules"),
    [
        pytest.param("train", "lenet5", ["training.train"], marks=pytest.mark.slow),
        pytest.param(
            "train", "lenet5_1998", ["training.train", "models.map_criterion"], marks=pytest.mark.slow
        ),
        ("train", "linear_head", ["training.train"]),
        pytest.param("evaluate", "linear_head", ["training.evaluation"], marks=pytest.mark.slow),
        pytest.param(
            "visualize", "lenet", ["cli.commands.visualize", "explain.visualize"], marks=pytest.mark.slow
        ),
        pytest.param(
            "visualize",
            "linear_head",
            ["cli.commands.visualize", "explain.draw_attribution"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_stage_declares_the_code_that_makes_its_result(stage, experiment, modules):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, experiment, *modules],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    found = set(json.loads(done.stdout.splitlines()[-1]))
    assert {module.replace(".", "/") for module in modules} <= found
    deps = [*STAGES[stage]["do"]["deps"], LISTED["experiments"][experiment]["code"]]
    drawn = ("figures/",) if stage == "train" else ()  # of a training only curves.png
    undeclared = {name for name in found if not name.startswith(GLUE + drawn) and not covered(name, deps)}
    assert undeclared == set()


def test_declared_files_exist():
    declared = [dep for stage in STAGES.values() for dep in stage.get("do", stage)["deps"]]
    files = [dep for dep in declared if dep.startswith(("src/", "conf"))]
    assert [path for path in files if "configs" not in path and not (ROOT / path).exists()] == []
    assert len(files) > 20


@pytest.fixture
def few(project):
    """A project with two experiments of a report only: to compose all takes seconds."""
    for path in (project / "conf" / "experiment").glob("*.yaml"):
        if path.stem not in ("lenet", "lenet5", "linear_head"):  # lenet is the default
            path.unlink()
    file = project / "conf" / "experiment" / "lenet.yaml"
    file.write_text(file.read_text().replace("report: full\n", ""))
    return project


def test_configs_hold_what_decides_a_result_and_nothing_else(few):
    project = few
    pipeline.write_list()
    assert stage_configs.write() == 2
    trained = yaml.safe_load((project / "configs" / "train" / "lenet5.yaml").read_text())
    composed = config.plain(config.compose("train", ["experiment=lenet5"]))
    assert trained["optimizer"] == composed["optimizer"]
    assert trained["data"]["module"] == composed["data"]["module"]
    assert not {"name", "logger", "resume", "report", "evaluate", "sweep"} & trained.keys()
    before = {path: path.read_bytes() for path in (project / "configs").rglob("*.yaml")}
    assert len(before) == 10
    flowers = project / "conf" / "data" / "flowers.yaml"
    flowers.write_text(flowers.read_text().replace("test: 0.2", "test: 0.3") + "# a comment\n")
    stage_configs.write()
    changed = [path.name for path, content in before.items() if path.read_bytes() != content]
    assert changed == [
        "flowers_inception_v3.yaml"
    ]  # the split is read where vectors are made, not in training


def test_a_list_that_is_out_of_date_is_refused(few):
    project = few
    from convlab.base.errors import ConvlabError

    pipeline.write_list()
    assert not pipeline.write_list()
    (project / "conf" / "experiment" / "more.yaml").write_text(
        "# @package _global_\ndefaults:\n  - lenet5\n  - _self_\nreport: mine\n"
    )
    with pytest.raises(ConvlabError, match="run `convlab pipeline`"):
        stage_configs.write()
    left = project / "results" / "mine" / "gone"
    left.mkdir(parents=True)
    assert pipeline.write_list()
    assert stage_configs.write() == 3
    assert not left.exists()


def test_the_sample_is_imported_unfrozen():
    """Frozen, a fresh clone would fail with "missing data 'source'"."""
    assert "frozen" not in yaml.safe_load((ROOT / "data.dvc").read_text())
