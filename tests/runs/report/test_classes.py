"""Precision, recall, F1 and their intervals: worked out by hand, and as scikit-learn and SciPy have them."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from convlab.runs.report.classes import by_class, commonest
from convlab.runs.report.wilson import interval


def test_by_hand():
    # x: 5 of its 8 found, 10 taken for it; y: 9 of 16, 11 taken; z: no image of its own, 3 taken for it
    x, y, z = by_class([[5, 2, 1], [5, 9, 2], [0, 0, 0]], ["x", "y", "z"])
    assert (x.name, x.precision.right, x.precision.total, x.recall.total) == ("x", 5, 10, 8)
    assert (x.precision.value, x.recall.value, x.f1) == (0.5, 0.625, 10 / 18)
    assert (y.precision.value, y.recall.value) == (9 / 11, 9 / 16)
    assert (z.precision.value, z.recall.value, z.f1) == (0.0, None, 0.0)
    # Wilson at 5 of 10: (0.5 + z²/20 ± z sqrt(1/40 + z²/400)) / (1 + z²/10), with z = 1.959964
    assert (x.precision.low, x.precision.high) == pytest.approx((0.236593, 0.763407), abs=1e-6)
    assert (z.recall.low, z.recall.high) == (0.0, 1.0)


def test_a_class_that_is_nowhere_has_no_numbers():
    (_, gone) = by_class([[4, 0], [0, 0]], ["a", "b"])
    assert (gone.precision.value, gone.recall.value, gone.f1) == (None, None, None)


def test_as_scikit_learn_has_them():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 400)
    predicted = np.where(rng.random(400) < 0.7, truth, rng.integers(0, 5, 400))
    found = by_class(confusion_matrix(truth, predicted), list("abcde"))
    precision, recall, f1, images = precision_recall_fscore_support(truth, predicted)
    assert [each.precision.value for each in found] == pytest.approx(precision)
    assert [each.recall.value for each in found] == pytest.approx(recall)
    assert [each.f1 for each in found] == pytest.approx(f1)
    assert [each.recall.total for each in found] == images.tolist()


def test_intervals_as_scipy_has_them():
    pairs = [
        (right, total) for total in (1, 2, 7, 188, 10_000) for right in {0, 1, total // 2, total - 1, total}
    ]
    found = interval(*np.array(pairs).T)
    for (right, total), low, high in zip(pairs, *found, strict=True):
        expected = binomtest(right, total).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_mistakes_are_the_commonest_first():
    assert commonest([[5, 2, 0], [7, 9, 1], [0, 0, 3]], 2) == [(1, 0, 7), (0, 1, 2)]
    assert commonest([[5, 2, 0], [7, 9, 1], [0, 0, 3]], 5) == [(1, 0, 7), (0, 1, 2), (1, 2, 1)]
