"""What a training shows on a terminal: one line that moves, and the best epoch when it ends.

Where there is no terminal, `History` prints a line per epoch instead.
"""

import math
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from convlab.base.console import console
from convlab.runs.metrics import METRICS
from convlab.training.history import History

REDRAWN_EVERY_S = 0.2  # a loss is fetched from the device as often


class ProgressLine(Callback):
    """epoch 3 of 20 ━━━━╸━━━ loss 0.0812  val/acc 97.60 %  best 97.80 % (epoch 2)  0:00:21

    Args:
        history: which has the epochs so far, those before a resumption included; called before this one.
        monitor: the metric that chooses the epoch which becomes the model; None: the last one does.
        mode: "max" or "min", which of its values is best.
        max_steps: where training ends by steps; None: by the trainer's epochs.
    """

    def __init__(self, history: History, monitor: str | None, mode: str, max_steps: int | None) -> None:
        self._history, self._monitor, self._mode, self._max_steps = history, monitor, mode, max_steps
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._next = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[shown]}"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task = self._bar.add_task(_epoch(trainer), total=self._total(trainer), shown="")
        self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REDRAWN_EVERY_S
        shown = "  ".join([f"loss {outputs['loss'].item():.4f}", *self._validated()])
        self._bar.update(self._task, description=_epoch(trainer), completed=trainer.global_step, shown=shown)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()
        best = self._best()
        if best is not None and self._monitor is not None:
            last = self._history.rows[-1]["epoch"]
            console.print(
                f"epoch {best['epoch']} of {last} is the model: {shown(self._monitor, best[self._monitor])}, "
                f"{'highest' if self._mode == 'max' else 'lowest'} {self._monitor}",
                markup=False,
            )

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _total(self, trainer: pl.Trainer) -> float | None:
        """Optimizer steps; None where only something else ends the training."""
        if self._max_steps is not None:
            return self._max_steps
        if not trainer.max_epochs or trainer.max_epochs < 0:
            return None
        return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches) * trainer.max_epochs

    def _best(self) -> dict[str, float] | None:
        rows = [row for row in self._history.rows if self._monitor in row]
        sign = 1 if self._mode == "max" else -1
        return max(rows, key=lambda row: sign * row[str(self._monitor)]) if rows else None

    def _validated(self) -> list[str]:
        best, rows = self._best(), self._history.rows
        if best is None or self._monitor is None:
            return []
        last = next(row for row in reversed(rows) if self._monitor in row)
        return [
            f"{self._monitor} {shown(self._monitor, last[self._monitor])}",
            f"best {shown(self._monitor, best[self._monitor])} (epoch {best['epoch']})",
        ]


def shown(metric: str, value: float) -> str:
    """A value as tables show it: shares in per cent."""
    share = METRICS[metric].share if metric in METRICS else metric.endswith("/acc")
    return f"{100 * value:.2f} %" if share else f"{value:.4f}"


def _epoch(trainer: pl.Trainer) -> str:
    of = f" of {trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
    return f"epoch {trainer.current_epoch + 1}{of}"
