"""A run's history: what each epoch came to."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from convlab.base.console import console
from convlab.base.files import atomic_file
from convlab.training.classifier import CRITERION, METRICS, Classifier

COLUMNS = ("epoch", "step", "lr", *METRICS, CRITERION)  # the last only where there is one


class History(Callback):
    """A row per epoch in `history.csv`, and one line in the log where there is no progress bar.

    The file holds no times: equal runs write equal files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._validated = False  # in this epoch: check_val_every_n_epoch leaves some out
        self._seconds_before = 0.0
        self._start: float | None = None  # a run resumed at its very end trains no more

    @property
    def seconds(self) -> float:
        """Training time so far, earlier sessions of a resumed run included."""
        now = 0.0 if self._start is None else time.monotonic() - self._start
        return self._seconds_before + now

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self._seconds_before = list(state_dict["rows"]), state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # the module logs its training metrics only after the callbacks' turn
        assert isinstance(pl_module, Classifier)
        logged = {**trainer.callback_metrics, **pl_module.train_metrics()}
        metrics = {name: value.item() for name, value in logged.items()}
        row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
        }
        fresh = [name for name in COLUMNS if self._validated or not name.startswith("val/")]
        row |= {name: metrics[name] for name in fresh if name in metrics}
        self.rows = [earlier for earlier in self.rows if earlier["epoch"] < row["epoch"]] + [row]
        if trainer.is_global_zero:
            self.write()
        if not console.is_terminal:
            of = f" of {trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
            console.print(
                f"epoch {row['epoch']:>3}{of}: "
                + "  ".join(f"{name} {row[name]:.4f}" for name in METRICS if name in row)
                + f"  ({self.seconds:.0f} s)",
                markup=False,
            )

    def write(self) -> None:
        """Write the file: after each epoch, and where it is gone and there is no epoch left to train."""
        text = io.StringIO(newline="")
        filled = [name for name in COLUMNS if name != CRITERION or CRITERION in self.rows[-1]]
        writer = csv.DictWriter(text, filled)
        writer.writeheader()
        writer.writerows(self.rows)
        with atomic_file(self.path) as file:
            file.write(text.getvalue().encode())
