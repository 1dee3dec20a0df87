"""What a model is judged by: its answers, its calibration, and how it stands beside the champion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr
from scipy.stats import binomtest


@dataclass(frozen=True)
class Estimate:
    """An accuracy over folds, and its 95 % interval."""

    folds: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Answers:
    """What a model said of each class's images. counts: k k, row: true class, column: predicted.

    cross_validated: where the images are those of folds, each answered by a network that never saw it; None:
    they are the test images.
    """

    classes: list[str]
    counts: NDArray[np.int64]
    cross_validated: Estimate | None = None

    @property
    def num_images(self) -> int:
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        if self.cross_validated:
            return self.cross_validated.accuracy
        return float(self.counts.trace() / self.num_images)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy, as `evaluate` (Wilson) or `cv` measures it."""
        if self.cross_validated:
            return self.cross_validated.low, self.cross_validated.high
        found = binomtest(int(self.counts.trace()), self.num_images).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    @property
    def most_frequent(self) -> tuple[str, float]:
        """The class with most images, and its share of them: what guessing it always would get right."""
        images = self.counts.sum(axis=1)
        return self.classes[int(images.argmax())], float(images.max() / images.sum())

    @property
    def by_class(self) -> list[tuple[float, int, str]]:
        """Accuracy (0 where there is no image), number of images and name of each class, the worst first."""
        images = self.counts.sum(axis=1)
        right = self.counts.diagonal() / np.maximum(images, 1)
        return sorted(zip(right.tolist(), images.tolist(), self.classes, strict=True))


@dataclass(frozen=True)
class Pairing:
    """A candidate beside the champion, on the same `num_images` test images."""

    champion: str
    num_images: int
    only_candidate_right: int
    only_champion_right: int

    @property
    def p_value(self) -> float:
        """How often an equally good model would do as badly as the candidate, or worse, by chance.

        McNemar's exact test, one-sided: of the images that just one of the two gets right, the candidate's
        are binomial(n, 1/2) if both are equally good. Half the two-sided p-value of `report.comparison`
        where the candidate is the worse one.
        """
        discordant = self.only_candidate_right + self.only_champion_right
        return float(bdtr(self.only_candidate_right, discordant, 0.5))

    @property
    def gain(self) -> float:
        """Accuracy of the candidate less the champion's."""
        return (self.only_candidate_right - self.only_champion_right) / self.num_images


@dataclass(frozen=True)
class Calibration:
    """A calibration error, and what chance alone gives on these images (`calibration.error_by_chance`)."""

    error: float
    by_chance: float
