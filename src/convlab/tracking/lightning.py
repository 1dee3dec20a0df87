"""Lightning's logger on an MLflow run: many steps' metrics at a time, under the charts' names."""

import re
import time
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Metric
from pytorch_lightning.loggers import MLFlowLogger

from convlab.tracking.store import uri

FLUSH_EVERY_S = 2.0  # what a kill can lose of the curves; resuming from a checkpoint logs them again
MAX_METRICS = 1000  # that MLflow takes at a time


class BatchedLogger(MLFlowLogger):
    """Lightning's logger, many steps' metrics written at once: a write takes as long as a training step."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pending: list[Metric] = []
        self._flushed_at = 0.0

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        now = int(time.time() * 1000)
        self._pending += [
            Metric(name, float(value), now, step or 0) for name, value in _named(metrics).items()
        ]
        if time.monotonic() - self._flushed_at > FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        while self._pending:
            self.experiment.log_batch(self.run_id, metrics=self._pending[:MAX_METRICS])
            del self._pending[:MAX_METRICS]
        self._flushed_at = time.monotonic()

    def finalize(self, status: str = "success") -> None:
        self.flush()
        super().finalize(status)


def _named(metrics: Mapping[str, float]) -> dict[str, float]:
    """Lightning's `epoch` left out, and its `lr-AdamW/pg1` as `train/lr`: the names lead MLflow's charts.

    Further groups of parameters (`train/lr_2`, ...) are named where their rate is another.
    """
    named: dict[str, float] = {}
    for name, value in metrics.items():
        if not (rate := re.fullmatch(r"lr-\w+(?:/pg(\d+))?", name)):
            named |= {} if name == "epoch" else {name: value}
        elif rate[1] in (None, "1"):
            named["train/lr"] = value
        elif value != named.get("train/lr"):
            named[f"train/lr_{rate[1]}"] = value
    return named


def lightning_logger(run_id: str, experiment: str) -> BatchedLogger:
    """Lightning's logger on a run that `start` began."""
    return BatchedLogger(experiment, tracking_uri=uri(), run_id=run_id)
