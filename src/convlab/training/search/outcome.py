"""What a search found: its trials as plain rows, a table, study.json, the report, and the record.

sweeps/<name>/
  study.db        Optuna's study, unless another database was named
  study.json      the trials and the best one
  report.html     what mattered, in pictures
  <number>/       a run directory (runs/run.py) for each trial, not evaluated: the test images don't choose
"""

import math
import shlex
from dataclasses import dataclass
from typing import Any

import optuna
from filelock import FileLock
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from convlab.base.console import console
from convlab.figures.style import percent
from convlab.runs import recorder as recorders
from convlab.training.search import space
from convlab.training.search.plan import Plan
from convlab.training.search.study import attempts, origin

SHOWN = 10  # trials in the table
FEWEST = 4  # complete trials; below, importances are noise
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "interrupted",
}


@dataclass(frozen=True)
class Outcome:
    """What is known of a search so far.

    trials: in the order of their numbers: `number`, `state`, `value`, `values` (one a validation),
        `parameters`, `seconds`, `error`.
    importances: shares of 1 by parameter; empty where there are too few trials to tell.
    """

    plan: Plan
    trials: list[dict[str, Any]]
    importances: dict[str, float]

    @property
    def ranked(self) -> list[dict[str, Any]]:
        """The complete trials, best first."""
        sign = -1 if self.plan.direction == "maximize" else 1
        complete = [trial for trial in self.trials if trial["state"] == "complete"]
        return sorted(complete, key=lambda trial: (sign * trial["value"], trial["number"]))

    @property
    def best(self) -> dict[str, Any] | None:
        return self.ranked[0] if self.ranked else None

    def commands(self) -> list[str]:
        """What trains the best trial again as a run of its own, and measures the trial itself."""
        assert self.best
        experiment = [word for word in self.plan.words if not word.startswith(("name=", "search", "+search"))]
        name = f"name={self.plan.name}_best"
        return [
            shlex.join(["convlab", "train", *experiment, *space.words(self.best["parameters"]), name]),
            f"convlab evaluate sweeps/{self.plan.name}/{self.best['number']}",
        ]

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.plan.name,
            "metric": self.plan.metric,
            "best": self.best,
            "importances": self.importances,
            "trials": self.trials,
            "settings": self.plan.lasting,
        }


def gather(plan: Plan, study: optuna.Study) -> Outcome:
    """The outcome so far."""
    trials = [_row(trial) for trial in attempts(study)]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    values = {trial["value"] for trial in complete}
    enough = len(complete) >= FEWEST and len(values) > 1 and all(map(math.isfinite, values))
    evaluator = FanovaImportanceEvaluator(seed=0)
    importances = get_param_importances(study, evaluator=evaluator) if enough else {}
    return Outcome(plan, trials, {path: float(share) for path, share in importances.items()})


def show(outcome: Outcome) -> None:
    """Print the best trials, the failed ones, and the commands that go on from here."""
    paths = list(outcome.plan.distributions)
    table = Table(title=f"sweeps/{outcome.plan.name}")
    for heading in ("trial", outcome.plan.metric, *paths, "seconds"):
        table.add_column(heading, justify="right", overflow="fold")
    for trial in outcome.ranked[:SHOWN]:
        parameters = [space.show_value(trial["parameters"].get(path)) for path in paths]
        table.add_row(str(trial["number"]), f"{trial['value']:.4f}", *parameters, f"{trial['seconds']:.0f}")
    if not console.is_terminal:  # a file has no width to fit into
        table.width = console.measure(table, options=console.options.update(width=1000)).maximum
    console.print(table)
    console.print(summary(outcome), markup=False)
    for trial in outcome.trials:
        if trial["state"] == "failed":
            console.print(f"[bold red]trial {trial['number']} failed:[/] ", end="")
            console.print(trial["error"] or "its worker died, again and again", markup=False)
    if outcome.best:
        train, evaluate = outcome.commands()
        console.print(f"Train the best again:              {train}", markup=False)
        console.print(f"Test accuracy of this trial only:  {evaluate}", markup=False)
    console.print(
        f"Report:                            {outcome.plan.directory / 'report.html'}", markup=False
    )


def summary(outcome: Outcome) -> str:
    """How many trials there are, by state, and what mattered."""
    states = [trial["state"] for trial in outcome.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in STATES.values() if state in states)
    first = f"{len(states)} trial{'s' * (len(states) != 1)}: {counts}."
    if not outcome.importances:
        return f"{first} Too few complete ones to say which parameters matter."
    shares = ", ".join(f"{path} {percent(share, 0)}" for path, share in outcome.importances.items())
    return f"{first} Importance: {shares}."


def open_parent(plan: Plan, study: optuna.Study) -> str | None:
    """The record's group that the trials belong to, begun or going on; None without tracking."""
    recorder = recorders.of(plan.settings["logger"])
    with FileLock(plan.directory / ".open.lock"):  # a call in another shell takes part in the same one
        noted = study.user_attrs.get("parent_id")
        group = recorder.begin_group(
            plan.directory, f"sweep {plan.name}", {"sweep": " ".join(plan.words)}, noted
        )
        if group != noted:
            study.set_user_attr("parent_id", group)
    return group


def record(outcome: Outcome, parent_id: str) -> None:
    """Tell the record of the best trial and the report: the search is finished."""
    metrics, tags, best = {}, {}, outcome.best
    if best:
        metrics = {f"best/{outcome.plan.metric}": best["value"]}
        tags = {f"best/{path}": value for path, value in best["parameters"].items()}
        tags = {"best/trial": best["number"], **tags}
    files = [outcome.plan.directory / name for name in ("study.json", "report.html")]
    recorder, directory = recorders.of(outcome.plan.settings["logger"]), outcome.plan.directory
    recorder.end_group(directory, parent_id, metrics, tags, files)


def _row(trial: FrozenTrial) -> dict[str, Any]:
    values = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    return {
        "number": origin(trial),
        "state": STATES[trial.state],
        "value": trial.value,
        "values": values,
        "parameters": dict(trial.params),
        "seconds": trial.user_attrs.get("seconds"),
        "error": trial.user_attrs.get("error"),
    }
