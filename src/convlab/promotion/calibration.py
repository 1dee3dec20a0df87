"""How much of a calibration error is chance: few images alone make a well calibrated network look wrong."""

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_calibration_error

from convlab.training.evaluation import NUM_BINS

DRAWS = 500


def error_by_chance(probabilities: NDArray[np.floating]) -> float:
    """Mean expected calibration error, by chance alone, of a network that is right as often as it says.

    probabilities: n k. Each image is drawn right or wrong with the probability of its most probable class,
    `DRAWS` times from a fixed seed, and the error taken as `evaluation.measure` takes it: consistency
    resampling (Bröcker and Smith 2007).
    """
    confidence = torch.from_numpy(probabilities.max(axis=1))
    random = torch.Generator().manual_seed(0)
    errors = [
        binary_calibration_error(
            confidence, confidence.bernoulli(generator=random).int(), NUM_BINS, validate_args=False
        )
        for _ in range(DRAWS)
    ]
    return float(torch.stack(errors).mean())
