"""How a run does on each class: precision, recall and F1, from its confusion matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convlab.runs.report.wilson import interval


@dataclass(frozen=True)
class Share:
    """`right` of `total` images, with the 95 % interval. value: None where there are no images."""

    right: int
    total: int
    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class ClassResult:
    """Of one class. precision: of the images taken for it; recall: of its own images.

    f1: their harmonic mean, None where the class has no image and none is taken for it.
    """

    name: str
    precision: Share
    recall: Share
    f1: float | None


def by_class(confusion: ArrayLike, classes: list[str]) -> list[ClassResult]:
    """A result for each class. confusion: counts k k, row: true class, column: predicted."""
    counts = np.asarray(confusion, dtype=np.int64)
    right, own, taken = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    found = zip(classes, _shares(right, taken), _shares(right, own), strict=True)
    return [ClassResult(name, precision, recall, _f1(precision, recall)) for name, precision, recall in found]


def commonest(confusion: ArrayLike, limit: int) -> list[tuple[int, int, int]]:
    """The commonest mistakes, as (true class, predicted class, number of images)."""
    wrong = np.array(confusion, dtype=np.int64)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    places = [divmod(int(flat), len(wrong)) for flat in order]
    return [(row, column, int(wrong[row, column])) for row, column in places if wrong[row, column]]


def _shares(right: NDArray[np.int64], total: NDArray[np.int64]) -> list[Share]:
    low, high = interval(right, total)
    columns = (right.tolist(), total.tolist(), low.tolist(), high.tolist())
    return [
        Share(hits, images, hits / images if images else None, below, above)
        for hits, images, below, above in zip(*columns, strict=True)
    ]


def _f1(precision: Share, recall: Share) -> float | None:
    """2 right / (taken + own), which is the harmonic mean, and 0 where that is 0 / 0."""
    images = precision.total + recall.total
    return 2 * recall.right / images if images else None
