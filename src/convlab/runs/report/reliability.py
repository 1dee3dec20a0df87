"""Confidence against accuracy: the bins of a reliability diagram.

The calibration error in metrics.json is the mean of their gaps, weighted by their images. (torchmetrics,
which computes it, keeps answers of a confidence of exactly 1 in a bin of their own.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15


@dataclass(frozen=True)
class Bins:
    """NUM_BINS equal bins of confidence, each with its own lower end (Guo et al., ICML 2017).

    counts: images in each; accuracy and confidence: their means, not numbers where there is no image.
    """

    counts: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]


def bins(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Bins:
    """labels n, probabilities n k; the ends of the bins as `evaluate` rounds them, to 32 bits."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    ends = np.linspace(0, 1, NUM_BINS + 1, dtype=np.float32)[1:-1]
    place = np.searchsorted(ends, confidence, side="right")
    counts = np.bincount(place, minlength=NUM_BINS)
    with np.errstate(invalid="ignore"):
        accuracy = np.bincount(place, right, NUM_BINS) / counts
        mean = np.bincount(place, confidence.astype(np.float64), NUM_BINS) / counts
    return Bins(counts, accuracy, mean)
