"""Evaluated runs side by side: grouped by data set, ranked, and the best two tested."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import bdtr

from convlab.runs.metrics import METRICS
from convlab.runs.report.results import row
from convlab.runs.run import Run

SIGNIFICANCE = 0.05
SENTENCE = (
    "{best} and {second} {differ} significantly: they disagree on {discordant} test images: "
    "{best} is right on {only_best}, {second} on {only_second} (McNemar's exact test, {p})."
)


@dataclass(frozen=True)
class Verdict:
    """Whether the best two differ. The numbers are None where their predictions can't be paired."""

    best: str
    second: str
    sentence: str
    only_best_right: int | None = None
    only_second_right: int | None = None
    p_value: float | None = None
    significant: bool | None = None

    def words(self) -> dict[str, str]:
        """What SENTENCE is filled with; {} where there was no test."""
        if self.only_best_right is None or self.only_second_right is None or self.p_value is None:
            return {}
        return {
            "best": self.best,
            "second": self.second,
            "differ": "differ" if self.significant else "do not differ",
            "discordant": f"{self.only_best_right + self.only_second_right:,}",
            "only_best": f"{self.only_best_right:,}",
            "only_second": f"{self.only_second_right:,}",
            "p": p_text(self.p_value),
        }


@dataclass(frozen=True)
class DataSet:
    """The runs on one data set, best first, and what is known about the first two."""

    name: str
    ranked: list[Run]
    verdict: Verdict | None

    @property
    def title(self) -> str:
        sizes = sorted({run.metrics["test"]["num_images"] for run in self.ranked})
        return f"{self.name} ({' or '.join(f'{size:,}' for size in sizes)} test images)"

    def rows(self) -> list[dict[str, Any]]:
        """`Run.row` with its `rank`."""
        return [{"rank": place, **row(run)} for place, run in enumerate(self.ranked, start=1)]


@dataclass(frozen=True)
class Comparison:
    """All data sets, in alphabetical order, each ranked by `metric`."""

    metric: str
    data_sets: list[DataSet]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a `ranking`'s entries are rows with lineage and accuracy by class."""
        data_sets = {}
        for each in self.data_sets:
            ranking = [
                {**row, "per_class": run.metrics["per_class"], "lineage": run.lineage}
                for row, run in zip(each.rows(), each.ranked, strict=True)
            ]
            data_sets[each.name] = {"ranking": ranking, "best_two": each.verdict and asdict(each.verdict)}
        return {"metric": self.metric, "data_sets": data_sets}


def compare(runs: Iterable[Run], metric: str = "test/acc") -> Comparison:
    """Group and rank `runs`, and test the best two of each data set against each other."""
    groups = rank(runs, metric)
    return Comparison(metric, [DataSet(name, ranked, verdict(ranked)) for name, ranked in groups.items()])


def rank(runs: Iterable[Run], metric: str) -> dict[str, list[Run]]:
    """Runs by data set (in alphabetical order), best first; a run without the metric comes last."""
    sign = METRICS[metric].sign

    def place(run: Run) -> tuple[bool, float, str]:
        value = run.metric(metric)
        return (True, 0.0, run.name) if math.isnan(value) else (False, sign * value, run.name)

    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=place):
        groups.setdefault(run.data, []).append(run)
    return dict(sorted(groups.items()))


def verdict(ranked: list[Run]) -> Verdict | None:
    """McNemar's exact test between the first two; None for a run alone.

    Under the null hypothesis each image that only one of them gets right falls to either with equal
    chance, so the smaller count is binomial(n, 1/2); the two-sided p-value doubles its lower tail
    (McNemar, Psychometrika 12, 1947). `scipy.stats.binomtest` gives the same but takes a second to import.
    """
    if len(ranked) < 2:
        return None
    best, second = ranked[:2]
    pair = f"{best.name} and {second.name}"
    if best.predictions is None or second.predictions is None:
        missing = best if best.predictions is None else second
        reason = f"{missing.name} has no predictions.npz. {missing.remedy}"
        return Verdict(best.name, second.name, f"{pair} can't be tested against each other: {reason}")
    (labels, scores), (labels_second, scores_second) = best.predictions, second.predictions
    if not np.array_equal(labels, labels_second):
        reason = "they were measured on different test images. Evaluate both on the same data."
        return Verdict(best.name, second.name, f"{pair} can't be tested against each other: {reason}")
    right, right_second = scores.argmax(axis=1) == labels, scores_second.argmax(axis=1) == labels
    only_best, only_second = int((right & ~right_second).sum()), int((~right & right_second).sum())
    discordant = only_best + only_second
    p_value = min(1.0, 2 * float(bdtr(min(only_best, only_second), discordant, 0.5)))
    found = Verdict(best.name, second.name, "", only_best, only_second, p_value, p_value < SIGNIFICANCE)
    return replace(found, sentence=SENTENCE.format_map(found.words()))


def p_text(p_value: float) -> str:
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"


def show(value: float | None, form: str, scale: float = 1) -> str:
    """`value * scale` in the format `form`; nothing where it is unknown."""
    return "" if value is None else format(value * scale, form)
