"""Loss, optimizer groups and schedule, against closed-form numbers."""

import functools
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from tiny_training import Points, fit, linear, sgd
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.training.classifier import Classifier

CONF = Path(__file__).parents[2] / "conf"


def test_one_step_of_sgd_with_l2_on_weights_and_never_on_biases():
    model = linear()
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    data = Points(batch_size=12)
    fit(Classifier(model, 2, sgd(lr=0.1, weight_decay=0.5)), data)
    # softmax cross-entropy: d loss / d logits = (p - onehot) / n
    logits = data.inputs @ weight.T + bias
    delta = (logits.softmax(1) - nn.functional.one_hot(data.labels, 2)) / 12
    torch.testing.assert_close(model.weight.detach(), weight - 0.1 * (delta.T @ data.inputs + 0.5 * weight))
    torch.testing.assert_close(model.bias.detach(), bias - 0.1 * delta.sum(0))


def test_metrics_are_means_over_the_images_of_an_epoch():
    model = linear()
    trainer = fit(Classifier(model, 2, sgd(lr=0.0)), Points(batch_size=5))  # batches of 5, 5 and 2
    data = Points()
    logits = model(data.inputs)
    loss = nn.functional.cross_entropy(logits, data.labels)
    accuracy = (logits.argmax(1) == data.labels).float().mean()
    for split in ("train", "val"):
        torch.testing.assert_close(trainer.callback_metrics[f"{split}/loss"], loss.detach())
        torch.testing.assert_close(trainer.callback_metrics[f"{split}/acc"], accuracy)


def test_memorises_what_a_line_separates():
    trainer = fit(Classifier(linear(), 2, sgd(lr=0.5)), max_epochs=30)
    assert trainer.callback_metrics["val/acc"] == 1.0
    assert trainer.callback_metrics["val/loss"] < 0.05


def test_onecycle_is_given_the_number_of_steps():
    schedule = functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.4)
    classifier = Classifier(linear(), 2, sgd(lr=0.1), schedule)
    trainer = fit(classifier, max_epochs=5)  # 3 batches an epoch
    assert trainer.lr_scheduler_configs[0].scheduler.total_steps == 15


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"limit_train_batches": 2}, 10),
        ({"limit_train_batches": 0.34}, 5),
        ({"accumulate_grad_batches": 2}, 10),
    ],
)
def test_steps_follow_the_trainer(settings, steps):
    schedule = functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.4)
    trainer = fit(Classifier(linear(), 2, sgd(lr=0.1), schedule), max_epochs=5, **settings)
    assert trainer.lr_scheduler_configs[0].scheduler.total_steps == steps == trainer.global_step


def test_a_rise_of_a_single_step_is_refused():
    """A quarter of four steps, of which the first is at the start of the rise: torch divides by zero."""
    schedule = functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.4, pct_start=0.25)
    classifier = Classifier(linear(), 2, sgd(lr=0.1), schedule)
    with pytest.raises(
        ConvlabError, match=r"rise and fall within 4 steps: train longer \(trainer.max_epochs"
    ):
        fit(classifier, Points(3))
    fit(Classifier(linear(), 2, sgd(lr=0.1), schedule), Points(2))  # six steps


def test_a_schedule_without_an_end_is_refused():
    schedule = functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.4)
    with pytest.raises(ConvlabError, match=r"trainer\.max_epochs"):
        fit(Classifier(linear(), 2, sgd(lr=0.1), schedule), max_epochs=-1, max_time="00:00:00:05")


def test_a_smoothed_loss_is_the_criterion_and_the_losses_stay_cross_entropy():
    model = linear()
    trainer = fit(
        Classifier(model, 2, sgd(lr=0.0), loss=nn.CrossEntropyLoss(label_smoothing=0.2)),
        Points(batch_size=12),
    )
    data = Points()
    log_p = model(data.inputs).log_softmax(1).detach()
    target = nn.functional.one_hot(data.labels, 2) * 0.8 + 0.1
    smoothed, plain = -(target * log_p).sum(1).mean(), nn.functional.nll_loss(log_p, data.labels)
    torch.testing.assert_close(trainer.callback_metrics["train/criterion"], smoothed)
    torch.testing.assert_close(trainer.callback_metrics["train/criterion_step"], smoothed)
    torch.testing.assert_close(trainer.callback_metrics["train/loss"], plain)
    torch.testing.assert_close(trainer.callback_metrics["train/loss_step"], plain)
    torch.testing.assert_close(
        trainer.callback_metrics["val/loss"], nn.functional.cross_entropy(log_p, data.labels)
    )


def test_cross_entropy_is_no_criterion_of_its_own():
    trainer = fit(Classifier(linear(), 2, sgd(lr=0.1)))
    assert not [name for name in trainer.callback_metrics if "criterion" in name]


def test_the_l2_term_is_half_the_decay_times_the_squared_weights():
    seen = []

    class Watch(Classifier):
        def training_step(self, batch, batch_idx):
            seen.append((self.l2().item(), self.model.weight.square().sum().item()))
            return super().training_step(batch, batch_idx)

    fit(Watch(linear(), 2, sgd(lr=0.5, weight_decay=0.3)))
    assert len(seen) == 3
    for l2, squared in seen:
        assert l2 == pytest.approx(0.3 / 2 * squared, rel=1e-6)


def test_decoupled_decay_is_no_term_of_the_loss():
    classifier = Classifier(linear(), 2, functools.partial(torch.optim.AdamW, lr=0.1, weight_decay=0.3))
    fit(classifier)
    assert classifier.l2() == 0


class Rates(pl.Callback):
    """The learning rate of each step."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, *_):
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def test_the_staircase_is_tensorflows_exponential_decay():
    schedule = instantiate(OmegaConf.load(CONF / "scheduler" / "staircase.yaml"))
    rates = Rates()
    classifier = Classifier(linear(), 2, sgd(lr=0.005), schedule["factory"], schedule["interval"])
    fit(classifier, max_epochs=8, callbacks=[rates])  # 3 batches an epoch
    # learning_rate * decay_rate ^ floor(global_step / decay_steps)
    assert rates.seen == pytest.approx([0.005 * 0.99 ** (step // 3) for step in range(24)], rel=1e-12)


def test_a_network_without_a_backbone_has_no_backbone_rate():
    with pytest.raises(ConvlabError, match=r"backbone_lr=0\.001: Linear has no pretrained backbone"):
        fit(Classifier(linear(), 2, sgd(lr=0.1), backbone_lr=0.001))
