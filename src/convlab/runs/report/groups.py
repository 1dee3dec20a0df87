"""Runs of a data set in groups that share a setting: how its values do over all else that varies."""

import statistics
from dataclasses import dataclass

from convlab.base.errors import ConvlabError, near
from convlab.runs.metrics import METRICS
from convlab.runs.run import Run


@dataclass(frozen=True)
class Group:
    """The runs in which a setting has one `value`; `std` is the sample's, None for a run alone."""

    value: str
    num_runs: int
    mean: float
    std: float | None
    best: Run


def by_setting(ranked: list[Run], metric: str, setting: str) -> list[Group]:
    """Groups in the order of their means, best first; runs without the metric are left out.

    setting: `model`, or a name in config.yaml such as `optimizer.lr`; a run may lack it.
    ranked: best first, by `metric`. Raises ConvlabError when no run has the setting.
    """
    values = [run.metrics["model"] if setting == "model" else run.settings.get(setting) for run in ranked]
    if not any(values):
        known = sorted({"model", *(name for run in ranked for name in run.settings)})
        hint = near(setting, known, cutoff=0.5) or "config.yaml lists them."
        raise ConvlabError(f"--group {setting}: no run of {ranked[0].data} has such a setting. {hint}")
    members: dict[str, list[Run]] = {}
    for run, value in zip(ranked, values, strict=True):
        if run.metric(metric) == run.metric(metric):  # a number
            members.setdefault(value or "none", []).append(run)
    found = (_group(value, runs, metric) for value, runs in members.items())
    return sorted(found, key=lambda group: METRICS[metric].sign * group.mean)


def _group(value: str, runs: list[Run], metric: str) -> Group:
    measured = [run.metric(metric) for run in runs]
    std = statistics.stdev(measured) if len(measured) > 1 else None
    return Group(value, len(runs), statistics.fmean(measured), std, runs[0])
