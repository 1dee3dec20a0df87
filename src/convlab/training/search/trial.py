"""One trial: a training with drawn values, which reports each validation and may be stopped by the pruner."""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from convlab.base.console import console
from convlab.runs import recorder as recorders
from convlab.runs.run import Run
from convlab.training.search.plan import Plan
from convlab.training.search.space import Value, draw, show_value
from convlab.training.search.study import origin, put_back


class Reports(Callback):
    """Report the metric of each validation to the trial, and end the training when it is unpromising.

    The training ends as by early stopping: its directory is complete. After the last epoch there is nothing
    left to save. `pruned` says whether it was ended.
    """

    def __init__(self, trial: optuna.Trial, metric: str, known: set[int]) -> None:
        self.trial, self.metric, self.known = trial, metric, known
        self.num_validations = 0
        self.pruned = False

    def state_dict(self) -> dict[str, int]:
        return {"num_validations": self.num_validations}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.num_validations = state_dict["num_validations"]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.num_validations += 1
        # a trial that was put back repeats what came after its checkpoint
        if self.num_validations not in self.known:
            self.trial.report(trainer.callback_metrics[self.metric].item(), self.num_validations)
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not last and self.trial.should_prune():
            self.pruned = trainer.should_stop = True


class Objective:
    """Train a trial of `plan`; its value is that of the epoch that became the model.

    `started` is called once the trial's values are drawn. `error` is that of the last trial, in words.
    """

    def __init__(self, plan: Plan, parent_id: str | None, started: Callable[[], None]) -> None:
        self.plan, self.parent_id, self.started = plan, parent_id, started
        self.error: str | None = None

    def __call__(self, trial: optuna.Trial) -> float:
        self.error = None
        frozen = trial.study.get_trials(deepcopy=False)[trial.number]
        number = origin(frozen)
        trial.set_user_attr("origin", number)
        values = draw(trial, self.plan.distributions)
        self.started()
        directory = self.plan.directory / str(number)
        reports = Reports(trial, self.plan.metric, set(frozen.intermediate_values))
        try:
            value = self._train(values, directory, reports)
        except KeyboardInterrupt:
            put_back(trial.study, trial.study.get_trials()[trial.number], trial.user_attrs.get("deaths", 0))
            raise
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            trial.set_user_attr("error", self.error)
            console.print(f"trial {number} failed: {self.error}", markup=False)
            raise
        trial.set_user_attr("seconds", Run(directory).state["seconds"])
        self._say(number, values, value, reports)
        if reports.pruned:
            raise optuna.TrialPruned
        return value

    def _train(self, values: dict[str, Value], directory: Path, reports: Reports) -> float:
        from convlab.training.train import train

        settings = self.plan.trial_settings(values)
        console.quiet = not console.is_terminal  # a line an epoch is too much of many trials
        try:
            train(settings, directory, self.parent_id, [reports])
        finally:
            console.quiet = False
        if reports.pruned:
            run = Run(directory)
            run.update_state(status="pruned")
            recorders.of(settings["logger"]).pruned(run)
        return value_of(directory / "history.csv", self.plan.metric, settings["checkpoint"])

    def _say(self, number: int, values: dict[str, Value], result: float, reports: Reports) -> None:
        count = reports.num_validations
        ended = f" (pruned after {count} validation{'s' * (count > 1)})" if reports.pruned else ""
        shown = " ".join(f"{path}={show_value(value)}" for path, value in values.items())
        console.print(f"trial {number}: {self.plan.metric} {result:.4f}{ended}  {shown}", markup=False)


def value_of(history: Path, metric: str, checkpoint: dict[str, Any]) -> float:
    """The metric in the epoch that became the model: the best by what `checkpoint` monitors, or the last."""
    with history.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[metric]]
    monitor = checkpoint["monitor"]
    if monitor:
        sign = 1 if checkpoint["mode"] == "max" else -1
        chosen = max(rows, key=lambda row: sign * float(row[monitor]))
    else:
        chosen = rows[-1]
    value = float(chosen[metric])
    return value if math.isfinite(value) else math.inf
