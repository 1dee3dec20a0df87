"""Callbacks that the user chooses: called, checked, and part of exact resumption."""

import csv

import pytest
import torch

from convlab.base import config
from convlab.base.errors import ConvlabError
from convlab.models import saved
from convlab.training.train import train

QUICK = ["experiment=digits_fully_connected", "logger=none", "model.hidden=8", "trainer.max_epochs=6"]
EARLY_STOPPING = "pytorch_lightning.callbacks.EarlyStopping"
STOPS = ["callbacks=early_stopping", "callbacks.early_stopping.patience=2"]
# an epoch never improves by 10: the first sets the mark, two more are waited for
NEVER_ENOUGH = [*STOPS, "callbacks.early_stopping.min_delta=10"]


def settings(*words):
    return config.plain(config.compose("train", [*QUICK, *words]))


def epochs(directory):
    with (directory / "history.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def test_early_stopping_stops(project):
    train(settings(*NEVER_ENOUGH), project / "runs" / "one")
    assert epochs(project / "runs" / "one") == [1, 2, 3]


def test_those_of_the_trainer_are_called_too(project):
    stopping = f"{{_target_: {EARLY_STOPPING}, monitor: val/loss, min_delta: 10, patience: 1}}"
    train(settings(f"+trainer.callbacks=[{stopping}]"), project / "runs" / "one")
    assert epochs(project / "runs" / "one") == [1, 2]


@pytest.mark.parametrize(
    ("word", "key"),
    [
        (f"+callbacks.mine={{_target_: {EARLY_STOPPING}, monitor: nonsense}}", "callbacks.mine"),
        (f"+trainer.callbacks=[{{_target_: {EARLY_STOPPING}, monitor: nonsense}}]", "trainer.callbacks[0]"),
    ],
)
def test_a_metric_that_is_not_logged_is_refused(project, word, key):
    with pytest.raises(ConvlabError) as raised:
        train(settings(word), project / "runs" / "one")
    known = "train/loss, train/acc, val/loss, val/acc"
    assert str(raised.value) == f"{key}.monitor=nonsense: there is no such metric, only {known}."


def test_an_interrupted_training_stops_where_it_would_have(project, monkeypatch):
    train(settings(*NEVER_ENOUGH, "checkpoint.monitor=null"), project / "runs" / "whole")
    from convlab.training import callbacks

    save = callbacks.LastCheckpoint.on_train_epoch_end

    def killed(self, trainer, pl_module):
        save(self, trainer, pl_module)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    words = [*NEVER_ENOUGH, "checkpoint.monitor=null"]
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.LastCheckpoint, "on_train_epoch_end", killed)
        with pytest.raises(KeyboardInterrupt):
            train(settings(*words), project / "runs" / "parts")
    train(settings(*words), project / "runs" / "parts")
    assert epochs(project / "runs" / "parts") == [1, 2, 3]
    whole, parts = (saved.load(project / "runs" / name / "model").state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_callbacks_decide_the_result_and_none_change_nothing(project):
    plain = config.config_hash(settings())
    assert config.config_hash(settings("callbacks=none")) == plain
    assert config.config_hash(settings(*STOPS)) != plain
