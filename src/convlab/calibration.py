"""How much of a calibration error is chance: few images alone make a well calibrated network look wrong."""

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15  # as `evaluation.measure` has them
DRAWS = 500


def error_by_chance(probabilities: NDArray[np.floating]) -> float:
    """Mean expected calibration error, by chance alone, of a network that is right as often as it says.

    probabilities: n k. Each image is drawn right or wrong with the probability of its most probable class,
    `DRAWS` times from a fixed seed, and the error taken over 15 equal bins (l1; Guo et al. 2017): consistency
    resampling (Bröcker and Smith 2007). The average of so many draws is within 2 % of itself.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    members = np.eye(NUM_BINS)[bins]  # n bins
    random = np.random.default_rng(0)
    errors = []
    for _ in range(DRAWS):
        right = random.random(len(confidence)) < confidence
        errors.append(np.abs((right - confidence) @ members).sum() / len(confidence))
    return float(np.mean(errors))
