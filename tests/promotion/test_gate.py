"""The gate: conditions from numbers worked out by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import binomtest

from convlab.base.errors import ConvlabError
from convlab.promotion.evidence import Answers, Calibration, Pairing
from convlab.promotion.gate import Gate, judge
from convlab.promotion.model_card import Licences
from convlab.training.evaluation import measure

CONF = Path(__file__).parents[2] / "conf"
GATE = Gate(
    min_images=30,
    min_accuracy=0.9,
    min_gain=0,
    min_class_accuracy=0.5,
    alpha=0.05,
    max_calibration_error=0.1,
    max_latency_ms=50,
)
BOUNDS = {
    "min_images": 30,
    "min_accuracy": 0.5,
    "min_gain": 0,
    "min_class_accuracy": 0.5,
    "alpha": 0.05,
    "max_calibration_error": 0.1,
    "max_latency_ms": 9,
}
OWN = ("own", "photos", "photos_pixels")  # their users' data, of unknown licence
GOOD = [[96, 4], [6, 94]]  # 190 of 200 images: 95 %, by Wilson 91.04 % to 97.26 %


def answers(counts):
    return Answers(["daisy", "rose", "tulip"][: len(counts)], np.array(counts))


def failed(counts=GOOD, calibration=(0.05, 0.0), latency_ms=10.0, pairing=None, gate=GATE):
    conditions = judge(gate, answers(counts), Calibration(*calibration), latency_ms, pairing)
    return {condition.name: condition.shortfall for condition in conditions if not condition.passed}


def pairing(only_candidate, only_champion, num_images=200):
    return Pairing("old", num_images, only_candidate, only_champion)


def test_a_bound_itself_passes():
    assert failed(calibration=(0.125, 0.025), latency_ms=50.0) == {}
    low = answers(GOOD).interval[0]
    assert failed(gate=replace(GATE, min_images=200, min_accuracy=low, min_class_accuracy=0.94)) == {}


@pytest.mark.parametrize(
    ("measured", "shortfall"),
    [
        (
            {"counts": [[90, 10], [10, 90]]},  # 90 % of 200 is 85.06 % at the low end
            "accuracy 90.00% of 200 images may be as low as 85.06%, 4.94 points below the 90.00% required",
        ),
        (
            {"counts": [[90, 0, 0], [3, 2, 0], [0, 0, 105]]},
            "below the 50.00% required of each class: rose 40.00% of 5",
        ),
        (
            {"counts": [[100, 0, 0], [0, 100, 0], [0, 0, 0]]},
            "below the 50.00% required of each class: tulip 0.00% of 0",
        ),
        (
            {"calibration": (0.1534, 0.03)},
            "calibration error 15.34%, of which chance explains 3.00%, is 2.34 points above the 10.00% "
            "required",
        ),
        ({"latency_ms": 61.25}, "latency 61.2 ms is 11.2 ms above the 50 ms required"),
        (
            {"pairing": pairing(1, 9)},
            "accuracy is 4.00 points below the champion old's, significantly at alpha = 0.05 (p = 0.011: "
            "1 images only the candidate gets right, 9 only the champion)",
        ),
    ],
)
def test_a_refusal_says_by_how_much(measured, shortfall):
    assert list(failed(**measured).values()) == [shortfall]


def test_luck_on_few_images_does_not_pass():
    """34 of 42 images are 80.95 %; with a bound of 80 % that passed once, though it may be 66.7 %."""
    found = answers([[17, 4], [4, 17]])
    assert found.interval == pytest.approx((0.6670, 0.9002), abs=1e-4)
    lucky = failed([[17, 4], [4, 17]], gate=replace(GATE, min_accuracy=0.8))
    assert list(lucky.values()) == [
        "accuracy 80.95% of 42 images may be as low as 66.70%, 13.30 points below the 80.00% required"
    ]
    assert failed([[14, 0], [0, 15]], gate=replace(GATE, min_accuracy=0.8)) == {
        "test images": "29 test images are too few to judge by, 30 are required"
    }


def test_a_class_that_is_never_found_is_no_accuracy():
    """200 to 1: always saying daisy is right for 99.5 %."""
    assert failed([[995, 0], [5, 0]]) == {
        "better than guessing": "always saying daisy would be right for 99.50%, "
        "and its accuracy may be as low as 98.83%",
        "every class": "below the 50.00% required of each class: rose 0.00% of 5",
    }


def test_the_gain_over_guessing_has_a_bound_of_its_own():
    """GOOD is 91.04 % at the low end, and its more frequent class half of the images: 41.04 points."""
    assert failed(gate=replace(GATE, min_gain=0.41)) == {}
    assert list(failed(gate=replace(GATE, min_gain=0.42))) == ["better than guessing"]


def test_the_interval_is_the_one_that_evaluation_writes():
    right = torch.tensor([[9.0, 0.0]] * 190 + [[0.0, 9.0]] * 10)
    measured = measure(right, torch.zeros(200, dtype=torch.int64))
    assert answers(GOOD).interval == (measured["acc_low"], measured["acc_high"])


def test_what_is_not_a_number_does_not_pass():
    assert set(failed(calibration=(math.nan, 0.0), latency_ms=math.nan)) == {"calibration error", "latency"}


@pytest.mark.parametrize(
    ("only_candidate", "only_champion", "p_value"),
    [
        (0, 0, 1.0),
        (1, 5, 7 / 64),  # (1 + 6) of 2**6
        (0, 4, 1 / 16),
        (0, 5, 1 / 32),
        (3, 3, 42 / 64),  # 1 + 6 + 15 + 20
        (5, 1, 63 / 64),
    ],
)
def test_mcnemar_by_hand(only_candidate, only_champion, p_value):
    assert pairing(only_candidate, only_champion).p_value == pytest.approx(p_value, rel=1e-12)
    assert ("not worse than old" in failed(pairing=pairing(only_candidate, only_champion))) == (
        p_value < 0.05
    )


def test_mcnemar_as_a_binomial_test():
    expected = binomtest(40, 40 + 62, alternative="less").pvalue
    assert pairing(40, 62).p_value == pytest.approx(expected, rel=1e-9)
    assert pairing(40, 62).gain == pytest.approx(-0.11)


def test_the_calibration_error_by_hand():
    """Two answers at 0.9, one right, and two at 0.6, both right: each half is off by 0.4."""
    logits = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]]).log()
    assert measure(logits, torch.tensor([0, 1, 0, 1]))["ece"] == pytest.approx(0.4, abs=1e-6)


def test_a_data_set_may_have_bounds_of_its_own():
    settings = BOUNDS | {"data": {"birds": {"min_accuracy": 0.7}}}
    assert Gate.of(settings, "birds") == Gate(30, 0.7, 0, 0.5, 0.05, 0.1, 9)
    assert Gate.of(settings, "mnist") == Gate(30, 0.5, 0, 0.5, 0.05, 0.1, 9)
    defaults = BOUNDS | {"max_latency_ms": 7, "data": {"birds": {"alpha": 0.5}}}
    assert Gate.of({"min_images": 9}, "birds", defaults) == Gate(9, 0.5, 0, 0.5, 0.05, 0.1, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_acuracy": 0.5}, "birds: min_acuracy unknown or missing.*Bounds: min_images, min_accuracy"),
        ({"alpha": "low"}, "birds: alpha must be a number, not 'low'"),
        ({"max_latency_ms": True}, "max_latency_ms must be a number, not True"),
    ],
)
def test_a_wrong_bound_is_named(change, message):
    with pytest.raises(ConvlabError, match=message):
        Gate.of(BOUNDS | change, "birds")


def test_the_shipped_files_serve_every_data_set_and_backbone():
    gate, licences = (yaml.safe_load((CONF / name).read_text()) for name in ("gate.yaml", "licences.yaml"))
    files = {group: sorted((CONF / group).glob("*.yaml")) for group in ("data", "backbone")}
    names = {group: [_name(path) for path in each if path.stem not in OWN] for group, each in files.items()}
    for data in names["data"]:
        assert 0 < Gate.of(gate, data).min_accuracy < 1
        for backbone in names["backbone"]:
            found = Licences.of(licences, data, {"name": backbone})
            assert "unknown" not in f"{found.data} {found.weights}"
    assert set(gate["data"]) <= set(names["data"])


def _name(path):
    return yaml.safe_load(path.read_text())["name"]
