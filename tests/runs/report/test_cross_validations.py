"""Cross-validations in a comparison: the test between the best two, worked out by hand."""

import json

import pytest

from convlab.base.errors import ConvlabError
from convlab.runs.report.cross_validations import take, verdicts


def write(project, name, accs, data="digits"):
    jobs = [
        {"fold": n, "seed": 1, "num_images": 10, "acc": acc, "loss": 0.5} for n, acc in enumerate(accs, 1)
    ]
    acc = {"mean": sum(accs) / len(accs), "std": 0.1, "low": 0.5, "high": 1.0, "std_between_seeds": None}
    result = {"data": data, "model": "LeNet", "num_images": 10 * len(accs), "folds": len(accs), "seeds": [1]}
    directory = project / "sweeps" / name
    directory.mkdir(parents=True)
    text = json.dumps(result | {"acc": acc, "loss": {"mean": 0.5}, "substitutes": [], "jobs": jobs})
    (directory / "cv.json").write_text(text)


def test_names_are_told_apart_and_ranked_within_their_data(project):
    write(project, "good", [0.9, 0.9])
    write(project, "better", [0.95, 0.95])
    write(project, "other", [0.99, 0.99], data="patches")
    found, others = take(["good", "some_run", str(project / "sweeps" / "other"), "better"])
    assert [each.name for each in found] == ["better", "good", "other"]
    assert others == ["some_run"]


def test_the_corrected_t_test_worked_out_by_hand(project):
    # differences 0.1 0.2 0.3: mean 0.2, s = 0.1, t = 0.2 / (0.1 sqrt(5/6)) = 2.190890; with two degrees of
    # freedom p = 1 - t / sqrt(2 + t²) = 0.159839
    write(project, "a", [0.8, 0.8, 0.8])
    write(project, "b", [0.7, 0.6, 0.5])
    (sentence,) = verdicts(take(["a", "b"])[0])
    assert sentence == (
        "a and b do not differ significantly over their 3 common folds "
        "(corrected resampled t test, p = 0.16)."
    )


def test_a_constant_difference_is_significant_and_none_is_not(project):
    write(project, "a", [0.75, 0.75])
    write(project, "b", [0.5, 0.5])
    write(project, "c", [0.75, 0.75])
    assert "a and b differ significantly" in verdicts(take(["a", "b"])[0])[0]
    assert "a and c do not differ significantly" in verdicts(take(["a", "c"])[0])[0]


def test_other_folds_are_not_tested_against_each_other(project):
    write(project, "a", [0.8, 0.8, 0.8])
    write(project, "b", [0.7, 0.6])
    assert verdicts(take(["a", "b"])[0]) == ["a and b were validated on different folds: no test is made."]


def test_an_unfinished_one_is_refused(project):
    write(project, "a", [0.8, 0.8])
    (project / "sweeps" / "a" / "cv.json").write_text('{"parent_id": null}')
    with pytest.raises(ConvlabError, match="it is not finished"):
        take(["a"])
