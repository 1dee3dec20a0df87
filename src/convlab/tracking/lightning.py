"""Lightning's logger on an MLflow run: many steps' metrics at a time, under the charts' names."""

import re
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from pytorch_lightning.loggers import Logger

from convlab.runs.run import Run
from convlab.tracking import reach
from convlab.tracking.sending import Sender
from convlab.tracking.store import client

FLUSH_EVERY_S = 2.0  # a write takes as long as a training step
SEND_S = 1.0  # at most so long at a time, of what waited while the server was away


class BatchedLogger(Logger):
    """Each step's metrics are noted in the run's outbox, and sent every two seconds, all at once."""

    def __init__(self, run: Run, key: str, experiment: str) -> None:
        super().__init__()
        self._run, self._key, self._experiment_name = run, key, experiment
        self._sender = Sender(run.directory)
        self._sent_at = 0.0

    @property
    def name(self) -> str:
        return self._experiment_name

    @property
    def version(self) -> str:
        return self._key

    @property
    def experiment(self) -> MlflowClient:
        """For callbacks of one's own, with `run_id`; none while the server is away (Lightning asks)."""
        try:
            if reach.due():
                return client()
        except reach.FAILURES as error:
            raise AttributeError(reach.failure(error)) from None
        raise AttributeError(f"MLflow at {reach.address()} was away a moment ago")

    @property
    def run_id(self) -> str | None:
        return (self._run.state.get("mlflow") or {}).get("run_id")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._sender.tell_metrics(self._key, self._experiment_name, _named(metrics), step or 0)
        if time.monotonic() - self._sent_at > FLUSH_EVERY_S:
            self._sender.send(at_once=False, seconds=SEND_S)
            self._sent_at = time.monotonic()

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *more: Any, **others: Any) -> None:
        """Of a data module of one's own that saves them."""
        given = vars(params) if isinstance(params, Namespace) else params
        told = {str(name): str(value) for name, value in given.items()}
        self._sender.tell("params", self._key, self._experiment_name, params=told)

    def finalize(self, status: str) -> None:
        """`trained`, or `failed`, ends the run."""
        self._sender.send(at_once=False)


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
