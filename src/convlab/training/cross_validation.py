"""Cross-validation: an experiment trained once for each fold and seed, and what its accuracy then is.

sweeps/<name>/
  cv.json                   the folds' results, their mean and interval
  fold-1_seed-1/            a run directory (runs/run.py) for each, measured on its own fold

Folds are parts of the training and validation images (`data/folds.py`); the test images are not read.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from convlab.base import config, overriding
from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.files import write_json
from convlab.base.parts import instantiate
from convlab.base.project import project_dir
from convlab.data.labelled import LabelledData
from convlab.runs import recorder as recorders
from convlab.runs.metrics import of_section
from convlab.runs.recorder import Recorder
from convlab.runs.run import Run
from convlab.training import multirun

CONFIDENCE = 0.95
Launch = Callable[[dict[str, list[str]], str | None], None]  # a job's words by name, the group they belong to
METRICS = tuple(metric.name for metric in of_section("test"))


@dataclass(frozen=True)
class Estimate:
    """A mean over folds with its standard deviation between folds and its 95 % interval."""

    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class Plan:
    """Which trainings a cross-validation consists of; `words` are the overrides that all share."""

    words: list[str]
    settings: dict[str, Any]
    folds: int
    seeds: list[int]

    @property
    def directory(self) -> Path:
        return project_dir() / "sweeps" / str(self.settings["name"])

    def jobs(self) -> dict[str, list[str]]:
        """Each training's directory below `directory`, and its overrides."""
        return {
            f"fold-{fold}_seed-{seed}": [
                *self.words,
                f"data.module.fold={{index:{fold},count:{self.folds}}}",
                f"seed={seed}",
            ]
            for seed in self.seeds
            for fold in range(1, self.folds + 1)
        }


def read(words: list[str], folds: int, seeds: list[int]) -> Plan:
    """The plan for the experiment that `words` compose, called <experiment>_cv unless `name=` says otherwise.

    Raises ConvlabError for settings that don't compose, for a name under which other settings were validated,
    and for what is no cross-validation.
    """
    for item in overriding.parse(words):
        if item.is_sweep_override() or item.key_or_group in ("seed", "data.module.fold"):
            raise ConvlabError(f"'{item.input_line}': give seeds as seeds=1,2, and one value for all else.")
    settings = config.plain(config.compose("train", words))
    if not any(word.startswith("name=") for word in words):
        words = [*words, f"name={settings['name']}_cv"]
        settings = config.plain(config.compose("train", words))
    plan = Plan(words, settings, folds, seeds)
    if "fold" not in settings["data"]["module"]:
        raise ConvlabError(
            f"data '{settings['data']['name']}' has no data.module.fold: its module can't be cross-validated."
        )
    noted = plan.directory / "cv.json"
    if not noted.is_file() and plan.directory.is_dir() and any(plan.directory.iterdir()):
        raise ConvlabError(f"{plan.directory} holds something else. Give the cross-validation a name=...")
    return plan


def run(plan: Plan, launch: Launch | None = None) -> dict[str, Any]:
    """Train and measure what is missing, and write cv.json; returns what it says.

    launch: trains and measures many at a time; None: one after another, here.
    """
    directory, recorder = plan.directory, recorders.of(plan.settings["logger"])
    jobs = plan.jobs()
    if not all((directory / name / "metrics.json").is_file() for name in jobs):
        last = config.plain(config.compose("train", jobs[f"fold-{plan.folds}_seed-{plan.seeds[0]}"]))
        data: LabelledData = instantiate(last["data"]["module"], "data.module")
        data.labels("test")  # more folds than there are images for are refused before the first
    parent_id = _open_parent(plan, recorder)
    try:
        missing = {}
        for name, words in jobs.items():
            settings = config.plain(config.compose("train", words))
            if multirun.finished(directory / name, _without_search(settings)):
                console.print(f"{name}: finished earlier, kept.", markup=False)
            elif launch is None:
                train_fold(settings, directory / name, parent_id)
            else:
                missing[name] = words
        if launch is not None and missing:
            launch(missing, parent_id)
            _all_measured(directory, list(missing))
        result = _result(plan)
        write_json(directory / "cv.json", result | {"parent_id": parent_id})
    except BaseException:
        if parent_id is not None:
            recorder.end_group(directory, parent_id, failed=True)
        raise
    if parent_id is not None:
        _record(directory, parent_id, result, recorder)
    return result


def train_fold(settings: dict[str, Any], directory: Path, parent_id: str | None) -> None:
    """Train one fold with one seed, measure it, and print a line."""
    from convlab.training.evaluation import evaluate
    from convlab.training.train import train

    console.quiet = not console.is_terminal  # a line an epoch is too much of many trainings
    try:
        train(_without_search(settings), directory, parent_id)
    finally:
        console.quiet = False
    measured = evaluate(directory)["test"]
    console.print(
        f"{directory.name}: {measured['acc']:.2%} of {measured['num_images']:,} images", markup=False
    )


def _without_search(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "search"}


def _all_measured(directory: Path, names: list[str]) -> None:
    """Raise ConvlabError for what a launcher left undone."""
    undone = [name for name in names if not (directory / name / "metrics.json").is_file()]
    if undone:
        error = Run(directory / undone[0]).state.get("error")
        raise ConvlabError(
            f"{', '.join(undone)} ended early{f': {error}' if error else ''}. The same command resumes."
        )


def estimate(by_fold: Sequence[float]) -> Estimate:
    """The mean over folds, and the interval in which it would lie with other images of the kind.

    The folds' training sets overlap, so their results vary less than independent ones would, and the plain t
    interval is too narrow. Here the variance is s² (1/k + 1/(k - 1)) instead of s²/k, with k - 1 degrees of
    freedom: the corrected resampled t statistic of Nadeau and Bengio (Machine Learning 52, 2003), whose
    second term is the number of test images over that of training images.
    """
    values = np.asarray(by_fold, dtype=np.float64)
    k = len(values)
    mean, std = float(values.mean()), float(values.std(ddof=1))
    half = float(stdtrit(k - 1, (1 + CONFIDENCE) / 2)) * std * math.sqrt(1 / k + 1 / (k - 1))
    return Estimate(mean, std, mean - half, mean + half)


def _result(plan: Plan) -> dict[str, Any]:
    """What cv.json says. A fold's result is the mean over its seeds: they share its images."""
    jobs = []
    for name in plan.jobs():
        fold, seed = (int(part.partition("-")[2]) for part in name.split("_"))
        metrics = json.loads((plan.directory / name / "metrics.json").read_text())
        test = {key: metrics["test"][key] for key in ("num_images", *METRICS)}
        jobs.append({"fold": fold, "seed": seed, **test})
    summary = {}
    for metric in METRICS:
        table = np.array([job[metric] for job in jobs]).reshape(len(plan.seeds), plan.folds)
        over_folds = estimate(table.mean(axis=0).tolist())
        between_seeds = float(table.mean(axis=1).std(ddof=1)) if len(plan.seeds) > 1 else None
        summary[metric] = {**vars(over_folds), "std_between_seeds": between_seeds}
    summary["acc"]["high"] = min(summary["acc"]["high"], 1.0)
    return {
        "name": plan.settings["name"],
        "data": plan.settings["data"]["name"],
        "model": metrics["model"],
        "num_images": sum(job["num_images"] for job in jobs if job["seed"] == plan.seeds[0]),
        "folds": plan.folds,
        "seeds": plan.seeds,
        "overrides": plan.words,
        "substitutes": metrics["lineage"]["substitutes"],
        **summary,
        "jobs": jobs,
    }


def _open_parent(plan: Plan, recorder: Recorder) -> str | None:
    """The record's group that the folds belong to, begun or going on; None without tracking."""
    noted = plan.directory / "cv.json"
    parent_id = json.loads(noted.read_text()).get("parent_id") if noted.is_file() else None
    write_json(noted, {"parent_id": parent_id})  # the directory is this one's, whatever kills it from here on
    tags = {"cross-validation": f"{plan.folds} folds, seeds {', '.join(map(str, plan.seeds))}"}
    parent_id = recorder.begin_group(plan.directory, str(plan.settings["name"]), tags, parent_id)
    write_json(noted, {"parent_id": parent_id})
    return parent_id


def _record(directory: Path, parent_id: str, result: dict[str, Any], recorder: Recorder) -> None:
    flat = {f"cv/{metric}_{key}": value for metric in METRICS for key, value in result[metric].items()}
    known = {name: value for name, value in flat.items() if value is not None}
    recorder.end_group(directory, parent_id, known, files=[directory / "cv.json"])
