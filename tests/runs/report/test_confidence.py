"""Confidence against accuracy, in bins and by threshold: worked out by hand, and as torchmetrics has it."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from convlab.runs.report import coverage, thresholds
from convlab.runs.report.reliability import bins

# five images, of confidence 0.55 0.6 0.75 0.95 0.97; the second and the fourth are wrong
LABELS = np.array([0, 1, 1, 0, 0])
PROBABILITIES = np.array(
    [[0.55, 0.45], [0.6, 0.4], [0.25, 0.75], [0.05, 0.95], [0.97, 0.03]], dtype=np.float32
)


def test_bins_by_hand():
    # fifteenths: 0.55 is in bin 8 (from 0.533), 0.6 opens bin 9, 0.75 is in bin 11; the others share bin 14
    found = bins(LABELS, PROBABILITIES)
    assert found.counts.tolist() == [0] * 8 + [1, 1, 0, 1, 0, 0, 2]
    assert found.accuracy[[8, 9, 11, 14]].tolist() == [1, 0, 1, 0.5]
    assert found.confidence[[8, 9, 11, 14]] == pytest.approx([0.55, 0.6, 0.75, 0.96])
    assert np.isnan(found.accuracy[0])


def test_the_gaps_of_the_bins_are_the_calibration_error_of_an_evaluation():
    rng = np.random.default_rng(0)
    scores = (8 * rng.random((500, 4))).astype(np.float32)
    probabilities = torch.from_numpy(scores).softmax(1)
    labels = torch.from_numpy(np.where(rng.random(500) < 0.5, scores.argmax(1), rng.integers(0, 4, 500)))
    found = bins(labels.numpy(), probabilities.numpy())
    gaps = np.nansum(np.abs(found.accuracy - found.confidence) * found.counts) / 500
    expected = multiclass_calibration_error(probabilities, labels, 4, n_bins=15)
    assert gaps == pytest.approx(float(expected), abs=1e-6)


def test_coverage_by_hand():
    found = {point.threshold: point for point in thresholds.points(LABELS, PROBABILITIES)}
    assert [(found[each].answered, found[each].right) for each in (0.0, 0.56, 0.75, 0.96, 0.98)] == [
        (5, 3),
        (4, 2),
        (3, 2),
        (1, 1),
        (0, 0),
    ]
    assert (found[0.75].coverage, found[0.75].accuracy) == (0.6, 2 / 3)
    assert (found[0.98].accuracy, found[0.98].low, found[0.98].high) == (None, 0, 1)
    # Wilson at 2 of 3
    assert (found[0.75].low, found[0.75].high) == pytest.approx((0.20766, 0.93851), abs=1e-5)


def test_thresholds_rise_and_are_short_numbers():
    assert list(thresholds.THRESHOLDS) == sorted(set(thresholds.THRESHOLDS))
    assert (thresholds.THRESHOLDS[0], thresholds.THRESHOLDS[-1]) == (0, 0.9999)
    assert all(len(repr(each)) <= 6 for each in thresholds.THRESHOLDS)


def test_the_curve_is_drawn_to_scale():
    """The axes reach from 0 to 100 % across, and from the tick below the lowest accuracy to 100 % upwards."""
    drawn = coverage.curve(thresholds.points(LABELS, PROBABILITIES))
    rows = {row[0]: row for row in drawn["rows"]}
    # 3 of 5 right at full coverage, 2 of 4 at four fifths, 1 of 1 at a fifth; ticks at 40, 60, 80, 100 %
    width, height = coverage.RIGHT - coverage.LEFT, coverage.BOTTOM - coverage.TOP
    assert rows[0.0][-2:] == [coverage.RIGHT, pytest.approx(coverage.BOTTOM - height / 3, abs=0.01)]
    assert rows[0.56][-2:] == pytest.approx(
        [coverage.LEFT + 0.8 * width, coverage.BOTTOM - height / 6], abs=0.01
    )
    assert rows[0.96][-2:] == pytest.approx([coverage.LEFT + 0.2 * width, coverage.TOP], abs=0.01)
    assert rows[0.98][-2:] == [None, None]
    assert drawn["ticks"][0] == (coverage.BOTTOM, "40 %")
    assert drawn["ticks"][-1] == (coverage.TOP, "100 %")


def test_without_a_number_there_is_no_curve():
    assert coverage.curve(thresholds.points(LABELS, np.full((5, 2), np.nan, np.float32))) is None
