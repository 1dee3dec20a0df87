"""Averaged weights step by step, and the history."""

import csv

import pytest
import pytorch_lightning as pl
import torch
from tiny_training import Points, fit, linear, sgd

from convlab.base.errors import ConvlabError
from convlab.training.averaging import AveragedWeights
from convlab.training.callbacks import LastCheckpoint, StepLog, StopAfter
from convlab.training.classifier import Classifier
from convlab.training.history import History


class Recorder(pl.Callback):
    """The raw weights after each step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.weights.append(pl_module.model.weight.detach().clone())


def test_the_average_ramps_up_as_tensorflow_has_it():
    model, recorder = linear(), Recorder()
    expected = model.weight.detach().clone()
    averaged = AveragedWeights(decay=0.3)
    fit(Classifier(model, 2, sgd(lr=0.5)), max_epochs=2, callbacks=[recorder, averaged])
    assert len(recorder.weights) == 6
    for step, raw in enumerate(recorder.weights, start=1):
        decay = min(0.3, (1 + step) / (10 + step))  # 2/11, 3/12, 4/13 -> 0.3 from the third step on
        expected = decay * expected + (1 - decay) * raw
    # at the end of training Lightning leaves the average in the module
    torch.testing.assert_close(model.weight.detach(), expected)


def test_validation_uses_the_average_and_training_the_raw_weights():
    seen = []

    class Watch(Classifier):
        def validation_step(self, batch, batch_idx):
            seen.append(self.model.weight.detach().clone())
            super().validation_step(batch, batch_idx)

    recorder = Recorder()
    fit(Watch(linear(), 2, sgd(lr=0.5)), Points(batch_size=12), callbacks=[recorder, AveragedWeights(0.3)])
    start = linear().weight.detach()
    torch.testing.assert_close(seen[0], 2 / 11 * start + 9 / 11 * recorder.weights[0])


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(ConvlabError, match=f"averaging.decay={decay}"):
        AveragedWeights(decay)


def test_history_has_a_row_an_epoch_and_a_line_where_there_is_no_terminal(tmp_path, capsys):
    history = History(tmp_path / "history.csv")
    fit(Classifier(linear(), 2, sgd(lr=0.5)), max_epochs=3, callbacks=[history])
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "lr", "train/loss", "train/acc", "val/loss", "val/acc"]
    assert [(row["epoch"], row["step"], row["lr"]) for row in rows] == [
        ("1", "3", "0.5"),
        ("2", "6", "0.5"),
        ("3", "9", "0.5"),
    ]
    assert float(rows[2]["train/loss"]) < float(rows[0]["train/loss"])
    assert "epoch   3 of 3: train/loss" in capsys.readouterr().out


def test_another_criterion_has_a_column_of_its_own_and_leads_the_log(tmp_path, capsys):
    smoothed = torch.nn.CrossEntropyLoss(label_smoothing=0.2)
    classifier = Classifier(linear(), 2, sgd(lr=0.0), loss=smoothed)
    fit(classifier, Points(batch_size=12), callbacks=[History(tmp_path / "history.csv"), StepLog(1)])
    with (tmp_path / "history.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert list(row)[-1] == "train/criterion"
    data = Points()
    logits = classifier.model(data.inputs)
    assert float(row["train/criterion"]) == pytest.approx(smoothed(logits, data.labels).item(), abs=1e-6)
    assert float(row["train/loss"]) == pytest.approx(
        torch.nn.functional.cross_entropy(logits, data.labels).item(), abs=1e-6
    )
    assert f"step 1: criterion {float(row['train/criterion']):.4f}," in capsys.readouterr().out


def test_history_forgets_the_epochs_that_are_trained_again(tmp_path):
    history = History(tmp_path / "history.csv")
    history.load_state_dict({"rows": [{"epoch": 1, "train/loss": 9.0}], "seconds": 100.0})
    fit(Classifier(linear(), 2, sgd(lr=0.5)), callbacks=[history])
    assert [row["epoch"] for row in history.rows] == [1]
    assert history.rows[0]["train/loss"] < 9.0
    assert history.seconds > 100.0


class Saves(LastCheckpoint):
    """Notes the steps at which it saves, and whether the epoch's row was in the history by then."""

    def __init__(self, path, every, history):
        super().__init__(path, every)
        self.history, self.seen = history, []

    def _save(self, trainer):
        super()._save(trainer)
        self.seen.append((trainer.global_step, len(self.history.rows)))


@pytest.mark.parametrize(
    ("every", "max_steps", "steps"),
    [
        (None, 99, [(3, 1), (6, 2)]),
        (2, 99, [(2, 0), (3, 1), (4, 1), (6, 1), (6, 2)]),
        (None, 5, [(3, 1), (5, 1)]),  # not again when the half epoch ends
        (4, 6, [(3, 1), (4, 1), (6, 1), (6, 2)]),
    ],
)
def test_the_last_checkpoint_is_written_by_steps_after_epochs_and_at_the_end(
    tmp_path, every, max_steps, steps
):
    history = History(tmp_path / "history.csv")
    saves = Saves(tmp_path / "last.ckpt", every, history)
    callbacks = [history, StopAfter(max_steps), saves]
    settings = {"max_epochs": 2, "min_epochs": 0, "enable_checkpointing": True}
    fit(Classifier(linear(), 2, sgd(lr=0.5)), callbacks=callbacks, **settings)
    assert saves.seen == steps
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == steps[-1][0]


def test_a_line_every_few_steps(capsys):
    model = linear()
    weight = model.weight.detach().clone()
    fit(Classifier(model, 2, sgd(lr=0.0, weight_decay=0.5)), Points(batch_size=12), callbacks=[StepLog(1)])
    data = Points()
    loss = torch.nn.functional.cross_entropy(model(data.inputs), data.labels).item()
    l2 = 0.25 * weight.square().sum().item()
    line = f"step 1: loss {loss + l2:.4f} (cross-entropy {loss:.4f} + L2 {l2:.4f}), learning rate 0.000000"
    assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: StepLog(0), "print_every_n_steps=0"),
        (lambda: LastCheckpoint("last.ckpt", 0), "checkpoint.every_n_steps=0"),
    ],
)
def test_steps_are_counted_from_one(make, name):
    with pytest.raises(ConvlabError, match=name):
        make()


def test_a_run_resumed_at_its_end_keeps_its_time(tmp_path):
    history = History(tmp_path / "history.csv")
    assert history.seconds == 0
    history.load_state_dict({"rows": [], "seconds": 12.0})
    assert history.seconds == 12
