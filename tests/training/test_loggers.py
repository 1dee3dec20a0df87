"""Who is told of a training: a recorder of one's own, and Lightning's loggers beside it or in its place."""

import csv
import json
import sys
from importlib.util import find_spec

import pytest

from convlab.base import config
from convlab.base.errors import ConvlabError
from convlab.training.evaluation import evaluate
from convlab.training.train import train

QUICK = ["experiment=digits_fully_connected", "trainer.max_epochs=1", "name=one", "model.hidden=8"]
TRACKER = """
import json
from pathlib import Path

from convlab.runs.recorder import Unrecorded


class Diary(Unrecorded):
    def __init__(self, experiment, system_metrics):
        self.file = Path(experiment)

    def write(self, *words):
        with self.file.open("a") as file:
            file.write(json.dumps(words) + "\\n")

    def begin(self, run, config, lineage, parent):
        self.write("begin", run.name, config["batch_size"], parent)

    def trained(self, run, config, checkpoint):
        self.write("trained", checkpoint.name, run.model_file.epoch)

    def measured(self, run, metrics):
        self.write("measured", metrics["test"]["num_images"])

    def failed(self, run):
        self.write("failed", run.state["status"])
"""


def run(project, *words):
    settings = config.plain(config.compose("train", [*QUICK, *words]))
    train(settings, project / "runs" / "one")
    return project / "runs" / "one"


def test_a_tracker_is_one_class(project, monkeypatch):
    (project / "diary_of_runs.py").write_text(TRACKER)
    monkeypatch.syspath_prepend(project)
    own = ["logger.enabled=true", "logger.recorder=diary_of_runs.Diary", "logger.experiment=diary"]
    directory = run(project, *own)
    evaluate(directory)
    with pytest.raises(ConvlabError):
        run(project, *own, "optimizer.lr=-1", "resume=never")
    told = [json.loads(line) for line in (project / "diary").read_text().splitlines()]
    assert told == [
        ["begin", "one", 32, None],
        ["trained", "best.ckpt", 1],
        ["measured", 500],
        ["begin", "one", 32, None],
        ["failed", "failed"],
    ]
    del sys.modules["diary_of_runs"]


def test_csv_has_each_logged_step_and_the_epoch(project):
    directory = run(project, "logger=csv", "trainer.log_every_n_steps=4")
    with (directory / "csv" / "version_0" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (directory / "history.csv").open(newline="") as file:
        (history,) = csv.DictReader(file)
    (validated,) = [row for row in rows if row["val/acc"]]
    assert float(validated["val/acc"]) == pytest.approx(float(history["val/acc"]))
    assert [row["step"] for row in rows if row["train/loss_step"]] == [str(step) for step in range(3, 32, 4)]
    assert not (project / "mlflow.db").exists()


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
@pytest.mark.slow
def test_tensorboard_beside_mlflow(project):
    directory = run(project, "logger=[mlflow,tensorboard]")
    assert list((directory / "tensorboard" / "version_0").glob("events.out.tfevents.*"))
    assert (project / "mlflow.db").is_file()


@pytest.mark.skipif(find_spec("wandb") is None, reason="needs wandb")
@pytest.mark.slow
def test_weights_and_biases_offline(project, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    directory = run(project, "logger=wandb")
    assert list((directory / "wandb").glob("offline-run-*/run-*.wandb"))


def test_what_is_logged_does_not_change_what_is_learned(project):
    plain, logged = (
        config.config_hash(config.plain(config.compose("train", [*QUICK, f"logger={choice}"])))
        for choice in ("none", "[mlflow,csv]")
    )
    assert plain == logged
