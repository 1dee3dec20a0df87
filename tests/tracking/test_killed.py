"""After a SIGKILL at any moment the same command leaves one run in MLflow, and it has ended."""

import os
import subprocess
import sys

import pytest

from convlab.base import config
from convlab.cli.commands import cv
from convlab.cli.commands import train as train_verb
from convlab.tracking import mlflow_runs, store
from convlab.training.evaluation import evaluate
from convlab.training.train import train

QUICK = ["experiment=digits_fully_connected", "scheduler=constant", "trainer.max_epochs=2", "model.hidden=8"]

# one process imports everything, and each kill is that of a fork of it, in a run of its own
SCRIPT = """
import os, signal, sys
import convlab
import pytorch_lightning as pl
from convlab.base import config
from convlab.cli.commands import cv, train
from convlab.models import saved
from convlab.runs.run import Run
from convlab.tracking import delivery, logged_model, mlflow_runs, recorder
from convlab.training import classifier, cross_validation, evaluation, multirun

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name):
    setattr(owner, name, die)

def after(owner, name):
    whole = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: (whole(*given, **named), die()))

def at(step):
    def count(self, trainer, *_):
        if trainer.global_step == step:
            die()
    pl.Callback.on_train_batch_end = count

Recorder = recorder.MlflowRecorder
POINTS = {
    "unbegun": lambda: before(mlflow_runs, "start"),
    "begun": lambda: after(mlflow_runs, "start"),
    "noted": lambda: after(Recorder, "begin"),
    "first_step": lambda: at(1),
    "first_epoch": lambda: at(20),
    "second_epoch": lambda: at(40),
    "trained": lambda: before(saved, "save"),
    "saved": lambda: after(saved, "save"),
    "untold": lambda: before(Recorder, "trained"),
    "telling": lambda: after(logged_model, "log_run"),
    "told": lambda: after(Recorder, "trained"),
    "evaluating": lambda: before(evaluation, "measure"),
    "group_unbegun": lambda: before(Recorder, "begin_group"),
    "group_begun": lambda: after(Recorder, "begin_group"),
    "group_noted": lambda: after(cross_validation, "_open_parent"),
    "fold": lambda: before(evaluation, "measure"),
    "result": lambda: before(Recorder, "end_group"),
}
for name, words in (line.split(" ", 1) for line in sys.argv[1:]):
    if (child := os.fork()) == 0:
        POINTS[name]()
        verb, *words = words.split()
        {"train": train, "cv": cv}[verb].run(words)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (name, status)
"""


def killed(commands):
    """Run each of `commands` (point: words), killed at the point of SCRIPT that is called so."""
    store.experiment_id("convlab")
    lines = [f"{point} {' '.join(words)}" for point, words in commands.items()]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *lines],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def runs_by_name():
    """Each name's runs in MLflow, by how they ended."""
    found = dict[str, list[str]]()
    for run in store.client().search_runs([store.experiment_id("convlab")]):
        found.setdefault(run.info.run_name, []).append(run.info.status)
    return found


IN_TRAINING = ("unbegun", "begun", "noted", "first_step", "first_epoch", "second_epoch")
AT_ITS_END = ("trained", "saved", "untold", "telling", "told", "evaluating")


@pytest.mark.slow
@pytest.mark.parametrize("points", [IN_TRAINING, AT_ITS_END], ids=["training", "end"])
def test_a_killed_training_leaves_one_ended_run(project, points):
    words = {point: [*QUICK, f"name={point}", "evaluate=true"] for point in points}
    killed({point: ["train", *words[point]] for point in points})
    for point in points:
        assert train_verb.run(words[point]) == 0
    assert runs_by_name() == {point: ["FINISHED"] for point in points}
    for run in store.client().search_runs([store.experiment_id("convlab")]):
        assert "test/acc" in run.data.metrics, run.info.run_name
        assert len(run.outputs.model_outputs) == 1, run.info.run_name


@pytest.mark.slow
@pytest.mark.parametrize(
    "points", [("group_unbegun", "group_begun", "group_noted"), ("fold", "result")], ids=["begin", "end"]
)
def test_a_killed_cross_validation_leaves_one_ended_group(project, points):
    words = {point: [*QUICK, f"name={point}", "folds=2", "trainer.max_epochs=1"] for point in points}
    killed({point: ["cv", *words[point]] for point in points})
    for point in points:
        assert cv.run(words[point]) == 0
    found = runs_by_name()
    folds = ["FINISHED"] * len(points)
    assert found == {
        **{point: ["FINISHED"] for point in points},
        "fold-1_seed-1": folds,
        "fold-2_seed-1": folds,
    }


@pytest.mark.slow
def test_another_training_in_its_place_ends_the_interrupted_run(project):
    killed({"first_epoch": ["train", *QUICK, "name=first_epoch"]})
    train(config.plain(config.compose("train", [*QUICK, "seed=2"])), project / "runs" / "first_epoch")
    assert runs_by_name() == {"first_epoch": ["FINISHED", "FAILED"]}


def test_a_record_begun_anew_is_ended_though_a_kill_came_between(project, monkeypatch):
    directory = project / "runs" / "one"
    train(config.plain(config.compose("train", QUICK)), directory)
    [run] = store.client().search_runs([store.experiment_id("convlab")])
    store.client().delete_run(run.info.run_id)

    def dies(*_, **__):
        raise SystemError  # which nothing catches, like a kill

    with monkeypatch.context() as patch:
        patch.setattr(mlflow_runs, "end", dies)
        with pytest.raises(SystemError):
            evaluate(directory)
    assert runs_by_name() == {"one": ["RUNNING"]}
    evaluate(directory)
    assert runs_by_name() == {"one": ["FINISHED"]}
