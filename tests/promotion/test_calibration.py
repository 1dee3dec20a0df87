"""What chance alone does to a calibration error, against numbers worked out by hand and by simulation."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from convlab.promotion.calibration import error_by_chance


def test_one_image_is_off_by_twice_the_product():
    # right with 0.8: |1 - 0.8|, wrong with 0.2: |0 - 0.8|; 0.8 * 0.2 + 0.2 * 0.8
    assert error_by_chance(np.array([[0.8, 0.2]])) == pytest.approx(0.32, rel=0.1)


def test_certainty_leaves_nothing_to_chance():
    assert error_by_chance(np.eye(3)) == 0


def test_images_of_one_bin_cancel_out():
    # the mean of |binomial(100, 0.5) - 50| / 100: sqrt(2 / pi) * 0.05, less a quarter per cent
    even = np.full((100, 2), 0.5)
    assert error_by_chance(even) == pytest.approx(0.0398, rel=0.1)


def test_agrees_with_the_measured_error_of_a_calibrated_network():
    random = np.random.default_rng(1)
    probabilities = random.dirichlet([0.4] * 5, 60)
    measured = []
    for _ in range(200):
        labels = [random.choice(5, p=row) for row in probabilities]  # as likely as the network says
        given = torch.from_numpy(probabilities), torch.tensor(labels)
        measured.append(multiclass_calibration_error(*given, 5, n_bins=15).item())
    assert error_by_chance(probabilities) == pytest.approx(np.mean(measured), rel=0.05)
