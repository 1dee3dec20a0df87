"""What happens around training steps: exact resumption, an end by steps, a line in the log."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from torch import Tensor

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.training import distributed
from convlab.training.classifier import Classifier


class RandomState(Callback):
    """Keep torch's random state in checkpoints, so that dropout goes on as if nothing had happened.

    Processes that share a training draw random numbers of their own each; a checkpoint has the states of all.
    """

    def __init__(self) -> None:
        self._restored: dict[str, Tensor] | None = None

    def state_dict(self) -> dict[str, Tensor]:
        cuda = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}
        own = {"cpu": torch.get_rng_state(), **cuda}
        first: dict[str, Tensor]
        first, *further = distributed.of_all(own)
        return first | {
            f"{kind}_{rank}": state for rank, each in enumerate(further, 1) for kind, state in each.items()
        }

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        self._restored = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set it last: building the network and the loaders draws random numbers of its own."""
        of = f"_{trainer.global_rank}" if trainer.global_rank else ""
        if of:
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)
        if self._restored is not None:
            if f"cpu{of}" in self._restored:  # not where it was fewer processes then
                torch.set_rng_state(self._restored[f"cpu{of}"].cpu())
            if torch.cuda.is_available() and f"cuda{of}" in self._restored:
                torch.cuda.set_rng_state(self._restored[f"cuda{of}"].cpu())
            self._restored = None


class StopAfter(Callback):
    """End the training after `max_steps` optimizer steps, with a validation, in the middle of an epoch too.

    In place of the trainer's own `max_steps`, with which Lightning 2.6 goes on from a checkpoint of an
    epoch's end by ending that epoch once more.
    """

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step >= self.max_steps:
            trainer.should_stop = True


class LastCheckpoint(Checkpoint):
    """Where training goes on from: written every `every` steps, after each whole epoch and at the last step.

    An epoch's own comes at its very end, after validation, when its row of the history is written. In an
    epoch that `StopAfter` cuts short there is none, so that a longer training goes on in its middle.
    """

    def __init__(self, path: Path, every: int | None) -> None:
        if every is not None and every < 1:
            raise ConvlabError(f"checkpoint.every_n_steps={every}: expected at least 1, or null.")
        self.path, self.every = path, every
        self._saved_step = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if trainer.should_stop or (self.every and step % self.every == 0):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        whole = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if whole or self._saved_step != trainer.global_step:
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self._saved_step = trainer.global_step


class StepLog(Callback):
    """A line in the log every `every` steps: what the batch minimized, with its L2 term, and the rate."""

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ConvlabError(f"print_every_n_steps={every}: expected at least 1.")
        self.every = every
        self._l2, self._rate = 0.0, 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.global_step + 1) % self.every == 0:
            assert isinstance(pl_module, Classifier)
            # now: the step changes the weights, and an epoch's last one the rate
            self._l2, self._rate = pl_module.l2().item(), trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step % self.every:
            return
        assert isinstance(pl_module, Classifier)
        loss = trainer.strategy.reduce(outputs["loss"], reduce_op="mean").item()
        plain = pl_module.minimizes_cross_entropy
        terms = f" ({'cross-entropy' if plain else 'criterion'} {loss:.4f} + L2 {self._l2:.4f})"
        console.print(
            f"step {step:,}: {'loss' if plain else 'criterion'} {loss + self._l2:.4f}"
            f"{terms if self._l2 else ''}, learning rate {self._rate:.6f}",
            markup=False,
        )
