"""Evaluated runs on the embedded sample, trained once a session."""

import shutil
from pathlib import Path

from convlab.cli.commands import features, train
from convlab.tracking import store

SMALL_BACKBONE = (
    "backbone=resnet18_random",
    "backbone.architecture=test_resnet",  # timm's smallest
    "backbone.preprocessing.size=32",
)
UNTRACKED = ("logger=none", "evaluate=true")


def train_all() -> None:
    """Under `runs/` of the current project: `lenet5`, `middling` and `weak` on digits, `head` and
    `finetuned` on patches. MLflow's database is there, without experiments."""
    _train("digits_lenet5", "name=lenet5", "trainer.max_epochs=6")
    _train("digits_fully_connected", "name=middling", "trainer.max_epochs=1")
    _train("digits_fully_connected", "name=weak", "trainer.max_epochs=1", "optimizer.lr=0.001")
    train_head("head")
    patches = ("data=patches_pixels", *SMALL_BACKBONE, "trainer.max_epochs=3", "model.cache_gib=0.1")
    _train("flowers_finetune", "name=finetuned", *patches)
    store.client().search_experiments()  # makes the database


def train_head(name: str, *data: str, epochs: int = 3) -> None:
    """A linear head on vectors of patches, or of what the overrides `data` say; they are computed first."""
    patches = ("data=patches", *SMALL_BACKBONE, *data)
    assert features.run([*patches]) == 0
    _train("patches_linear_head", f"name={name}", *patches, f"trainer.max_epochs={epochs}")


def copy_runs(trained: Path, project: Path, *names: str) -> None:
    """Put runs of the project `trained` under `runs/` of another, and MLflow's database in it."""
    shutil.copy(trained / "mlflow.db", project)
    for name in names:
        shutil.copytree(trained / "runs" / name, project / "runs" / name)


def _train(experiment: str, *overrides: str) -> None:
    assert train.run([f"experiment={experiment}", *UNTRACKED, *overrides]) == 0
