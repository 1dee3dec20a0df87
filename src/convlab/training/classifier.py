"""The only LightningModule: loss, metrics, optimizer and schedule around any network with logits."""

import inspect
import math
from collections.abc import Callable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from convlab.base.errors import ConvlabError
from convlab.data.batches import Batch
from convlab.training import distributed

METRICS = ("train/loss", "train/acc", "val/loss", "val/acc")  # that an epoch ends with
CRITERION = "train/criterion"  # and this, where what is minimized is not softmax cross-entropy
EPOCH = "epoch_so_far"  # in a checkpoint


class Classifier(pl.LightningModule):
    """Training of `model`, which maps n ... to n `num_classes` logits.

    Logs `train/loss`, `train/acc`, `val/loss` and `val/acc`, means over an epoch's images, and every
    `log_every_n_steps` the batch's loss as `train/loss_step`. A loss is softmax cross-entropy, whatever is
    minimized, so that networks can be compared; another criterion is logged beside it, as
    `train/criterion` and `train/criterion_step`. Where processes share each batch (`data/batches.py`), all of
    these are over the whole batch, and so is the gradient: what one process would have.

    Args:
        optimizer: makes the optimizer from parameter groups (a Hydra `_partial_`). Its `weight_decay`
            reaches weights only: parameters with one dimension (biases, batch norm) are never decayed.
        scheduler: makes the schedule from the optimizer, or None for a constant rate; `total_steps` is
            filled in when it has that parameter.
        interval: whether the schedule moves by "step" or by "epoch".
        loss: the criterion that training minimizes, of a batch's logits and labels; softmax cross-entropy
            unless given.
        backbone_lr: the rate of the parameters in `model.backbone`; None: that of all others.
        max_steps: optimizer steps after which training ends, for a schedule that must know; None: with the
            trainer's epochs.
    """

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any] | None = None,
        interval: Literal["step", "epoch"] = "step",
        loss: nn.Module | None = None,
        backbone_lr: float | None = None,
        max_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss or nn.CrossEntropyLoss()
        self._backbone_lr, self._max_steps = backbone_lr, max_steps
        self._optimizer, self._scheduler, self._interval = optimizer, scheduler, interval
        self.val_acc = MulticlassAccuracy(num_classes, average="micro")
        self.val_loss = MeanMetric()
        # of this epoch's batches: their measures by name, images right, images
        self._steps: list[tuple[dict[str, Tensor], Tensor, int]] = []

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the hook it is in, fifty times a step, and torch looks whether that is a parameter
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits n num_classes."""
        logits: Tensor = self.model(inputs)
        return logits

    def on_train_start(self) -> None:
        """Refuse to go on with a schedule that a checkpoint laid out for another number of steps."""
        schedule = self.lr_schedulers()
        planned = getattr(schedule, "total_steps", None)
        if planned is not None and planned != self._num_steps():
            raise ConvlabError(
                f"the checkpoint's schedule ends after {planned:,} steps, this training takes "
                f"{self._num_steps():,}. Restart with resume=never, or resume with the old "
                "trainer.max_epochs; scheduler=constant can be prolonged at will."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs, labels, *part = batch
        share = part[0] if part else None
        logits = self(inputs)
        criterion: Tensor = self.loss(logits, labels)
        if self.minimizes_cross_entropy:
            measures = {"train/loss": criterion.detach()}
        else:
            cross_entropy = nn.functional.cross_entropy(logits.detach(), labels)
            measures = {"train/loss": cross_entropy, CRITERION: criterion.detach()}
        # added up when the epoch ends: two metrics updated each step cost a quarter of a linear head's step
        right = (logits.argmax(1) == labels).sum()
        self._steps.append((measures, right, len(labels)) if share != 0 else (measures, right * 0, 0))
        if self.trainer.global_step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            for name, value in measures.items():
                whole = value if share is None else value * share
                self.log(f"{name}_step", whole, prog_bar=name == "train/loss", sync_dist=share is not None)
        return criterion if share is None else criterion * share  # of which ddp takes the mean

    @property
    def minimizes_cross_entropy(self) -> bool:
        """Whether the criterion is softmax cross-entropy as it stands: not smoothed, not weighted."""
        loss = self.loss
        if not isinstance(loss, nn.CrossEntropyLoss):
            return False
        whole = loss.weight is None and loss.ignore_index < 0  # every class counts, and as much as any other
        return whole and loss.label_smoothing == 0 and loss.reduction == "mean"

    @torch.no_grad()
    def l2(self) -> Tensor:
        """weight_decay * sum(w^2) / 2 over the weights: the term whose gradient SGD's weight_decay is.

        0 for an optimizer that decays weights by the side of the loss (AdamW).
        """
        optimizer = self.trainer.optimizers[0]
        if not isinstance(optimizer, torch.optim.SGD):
            return torch.zeros(())
        groups = [(group["weight_decay"], group["params"]) for group in optimizer.param_groups]
        parts = [decay / 2 * sum(p.square().sum() for p in params) for decay, params in groups if decay]
        return torch.stack(parts).sum() if parts else torch.zeros(())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the epoch's steps came to: one that is resumed in its middle is measured whole."""
        checkpoint[EPOCH] = distributed.of_all(self._steps_so_far())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        for kept in checkpoint.get(EPOCH, [])[rank::world_size]:  # of more processes than there are now, too
            measures = [
                dict(zip(kept["measures"], row, strict=True))
                for row in zip(*kept["measures"].values(), strict=True)
            ]
            self._steps += zip(measures, kept["right"], kept["sizes"].tolist(), strict=True)

    def _steps_so_far(self) -> dict[str, Any]:
        """The epoch's steps as columns: measures by name, images right, images."""
        if not self._steps:
            return {"measures": {}, "right": torch.tensor([]), "sizes": torch.tensor([])}
        measures, right, sizes = zip(*self._steps, strict=True)
        return {
            "measures": {
                name: torch.stack([each[name].to(self.device) for each in measures]) for name in measures[0]
            },
            "right": torch.stack([each.to(self.device) for each in right]),
            "sizes": torch.tensor(sizes, device=self.device),
        }

    def on_train_epoch_start(self) -> None:
        self._steps.clear()

    def train_metrics(self) -> dict[str, Tensor]:
        """`train/loss`, `train/acc` and any `train/criterion` over the epoch so far."""
        steps = self._steps_so_far()
        sizes, right = steps["sizes"], steps["right"]
        sums = {name: (values * sizes).sum() for name, values in steps["measures"].items()}
        number, correct, *others = self.trainer.strategy.reduce(
            torch.stack([sizes.sum(), right.sum(), *sums.values()]), reduce_op="sum"
        )
        means = {name: value / number for name, value in zip(sums, others, strict=True)}
        return {**means, "train/acc": correct / number}

    def on_train_epoch_end(self) -> None:
        self.log_dict(self.train_metrics(), sync_dist=self.trainer.world_size > 1)  # equal everywhere

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        inputs, labels, *part = batch
        logits = self(inputs)
        number = 0 if part and part[0] == 0 else len(labels)
        if number:
            self.val_acc.update(logits, labels)
        loss = nn.functional.cross_entropy(logits, labels)
        self.val_loss.update(loss, number)

    def on_validation_epoch_end(self) -> None:
        self.log("val/loss", self.val_loss)
        self.log("val/acc", self.val_acc, prog_bar=True)

    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer(self._parameter_groups())
        if self._scheduler is None:
            return optimizer
        steps = inspect.signature(self._scheduler).parameters.get("total_steps")
        open_end = steps is not None and steps.default is None
        total = {"total_steps": self._num_steps()} if open_end else {}
        peaks = self._peak_rates(optimizer)
        try:
            scheduler = self._scheduler(optimizer, **total, **peaks)
        except ZeroDivisionError:  # OneCycleLR, where a share of the steps is one step: a rise without length
            raise ConvlabError(
                f"the learning rate can't rise and fall within {self._num_steps()} steps: train longer "
                "(trainer.max_epochs), in smaller batches (batch_size), or with scheduler=constant."
            ) from None
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": self._interval},
        }

    def _peak_rates(self, optimizer: torch.optim.Optimizer) -> dict[str, list[float]]:
        """A schedule's one `max_lr` as one for each group, in the ratio of the groups' own rates."""
        peak = getattr(self._scheduler, "keywords", {}).get("max_lr")
        if peak is None or self._backbone_lr is None:
            return {}
        return {"max_lr": [peak * group["lr"] / optimizer.defaults["lr"] for group in optimizer.param_groups]}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Weights and parameters that are never decayed, each of the backbone and of the rest."""
        if self._backbone_lr is not None and not hasattr(self.model, "backbone"):
            raise ConvlabError(
                f"backbone_lr={self._backbone_lr}: {type(self.model).__name__} has no pretrained backbone. "
                "Leave it out, or choose a model that has one (model=finetuned)."
            )
        groups = []
        for inside in (False, True):
            rate = {"lr": self._backbone_lr} if inside and self._backbone_lr is not None else {}
            trained = [
                parameter
                for name, parameter in self.model.named_parameters()
                if parameter.requires_grad and name.startswith("backbone.") == inside
            ]
            weights = [parameter for parameter in trained if parameter.ndim > 1]
            others = [parameter for parameter in trained if parameter.ndim <= 1]
            groups += [{"params": weights, **rate}] if weights else []
            groups += [{"params": others, "weight_decay": 0.0, **rate}] if others else []
        return groups

    def _num_steps(self) -> int:
        """Optimizer steps of the whole training.

        `trainer.estimated_stepping_batches` would build the loaders here, before a checkpoint is restored,
        and Lightning then never gives them their place within the epoch back.
        """
        trainer = self.trainer
        if self._max_steps is not None:
            return self._max_steps
        if not trainer.max_epochs or trainer.max_epochs < 0:
            raise ConvlabError("this schedule needs an end: set trainer.max_epochs or trainer.max_steps.")
        batches = len(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
        limit = trainer.limit_train_batches
        if limit is not None:
            batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        return math.ceil(batches / trainer.accumulate_grad_batches) * trainer.max_epochs
