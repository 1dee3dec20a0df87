"""What a run gains by not answering where it is unsure: coverage against accuracy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlab.runs.report.wilson import interval

# Finer where good networks differ: every per cent, every tenth from 99, every hundredth from 99.9
_TEN_THOUSANDTHS = (*range(0, 9900, 100), *range(9900, 9990, 10), *range(9990, 10000))
THRESHOLDS = tuple(each / 10000 for each in _TEN_THOUSANDTHS)


class Point(NamedTuple):
    """Of `total` images, `answered` have at least the confidence `threshold`; `right` of these are right.

    low, high: the 95 % interval of that share; 0 and 1 where none is answered.
    """

    threshold: float
    answered: int
    right: int
    total: int
    low: float
    high: float

    @property
    def coverage(self) -> float:
        return self.answered / self.total

    @property
    def accuracy(self) -> float | None:
        return self.right / self.answered if self.answered else None


def points(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> list[Point]:
    """One for each of THRESHOLDS; labels n, probabilities n k."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    answered = np.array([np.count_nonzero(confidence >= each) for each in THRESHOLDS])
    hits = np.array([np.count_nonzero(right & (confidence >= each)) for each in THRESHOLDS])
    low, high = interval(hits, answered)
    columns = (THRESHOLDS, answered.tolist(), hits.tolist(), low.tolist(), high.tolist())
    return [
        Point(threshold, images, found, len(labels), below, above)
        for threshold, images, found, below, above in zip(*columns, strict=True)
    ]
