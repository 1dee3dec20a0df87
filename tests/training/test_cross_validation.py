"""Cross-validation of real, tiny trainings; its interval worked out by hand."""

import json
import math
import sqlite3

import numpy as np
import pytest
from scipy import stats

from convlab.base.errors import ConvlabError
from convlab.cli.commands import compare, cv
from convlab.training import cross_validation

QUICK = ["experiment=digits_fully_connected", "trainer.max_epochs=1", "model.hidden=4"]


def test_the_interval_worked_out_by_hand():
    # mean 0.9, s = 0.1; variance of the mean s² (1/3 + 1/2); t(0.975, 2) = 4.302653
    found = cross_validation.estimate([0.8, 0.9, 1.0])
    assert found.mean == pytest.approx(0.9)
    assert found.std == pytest.approx(0.1)
    half = 4.302653 * 0.1 * math.sqrt(5 / 6)
    assert (found.low, found.high) == pytest.approx((0.9 - half, 0.9 + half), abs=1e-6)


def test_the_corrected_interval_covers_where_the_plain_one_does_not():
    """Folds whose results share what their training sets have in common: correlated by 1/k."""
    random, k, trials = np.random.default_rng(0), 5, 2000
    shared = random.normal(size=(trials, 1)) * math.sqrt(1 / k)
    folds = shared + random.normal(size=(trials, k)) * math.sqrt(1 - 1 / k)
    estimates = [cross_validation.estimate(row.tolist()) for row in folds]
    covered = np.mean([each.low <= 0 <= each.high for each in estimates])
    plain = stats.t.interval(0.95, k - 1, folds.mean(1), folds.std(1, ddof=1) / math.sqrt(k))
    assert np.mean((plain[0] <= 0) & (plain[1] >= 0)) < 0.9
    assert 0.94 <= covered <= 0.96


@pytest.mark.slow
def test_folds_and_seeds_of_a_real_experiment(project, capsys):
    assert cv.run([*QUICK, "folds=2", "seeds=1,2", "name=digits_cv"]) == 0
    directory = project / "sweeps" / "digits_cv"
    result = json.loads((directory / "cv.json").read_text())
    assert (result["num_images"], result["folds"], result["seeds"]) == (1297, 2, [1, 2])
    measured = {}
    for path in directory.glob("*/metrics.json"):
        metrics = json.loads(path.read_text())
        measured[path.parent.name] = metrics["test"]["acc"]
        assert metrics["data"] == f"digits, fold {path.parent.name[5]} of 2"  # not the digits' test images
    assert sorted(measured) == ["fold-1_seed-1", "fold-1_seed-2", "fold-2_seed-1", "fold-2_seed-2"]
    folds = [(measured[f"fold-{n}_seed-1"] + measured[f"fold-{n}_seed-2"]) / 2 for n in (1, 2)]
    assert result["acc"]["mean"] == pytest.approx(sum(folds) / 2)
    assert result["acc"]["std"] == pytest.approx(abs(folds[0] - folds[1]) / math.sqrt(2))
    assert_children_of_one_parent(project / "mlflow.db", "digits_cv", set(measured))

    kept = (directory / "fold-1_seed-1" / "metrics.json").stat().st_mtime_ns
    (directory / "fold-2_seed-2" / "metrics.json").unlink()
    assert cv.run([*QUICK, "folds=2", "seeds=1,2", "name=digits_cv"]) == 0
    assert capsys.readouterr().out.count("finished earlier, kept") == 3
    assert (directory / "fold-1_seed-1" / "metrics.json").stat().st_mtime_ns == kept
    again = json.loads((directory / "cv.json").read_text())
    assert again == result  # the parent run, too

    assert compare.run(["digits_cv", "--out", "report"]) == 0
    mean = f"{100 * result['acc']['mean']:.2f}"
    for text in (capsys.readouterr().out, (project / "report" / "comparison.html").read_text()):
        assert "Cross-validation" in text
        assert mean in text
    row = json.loads((project / "report" / "comparison.json").read_text())["cross_validations"][0]
    assert (row["name"], row["folds"], row["seeds"], row["acc_mean"]) == (
        "digits_cv",
        2,
        2,
        result["acc"]["mean"],
    )


def assert_children_of_one_parent(database, name, children):
    with sqlite3.connect(database) as connection:
        runs = dict(connection.execute("SELECT run_uuid, name FROM runs"))
        parents = dict(
            connection.execute("SELECT run_uuid, value FROM tags WHERE key = 'mlflow.parentRunId'")
        )
        logged = dict(
            connection.execute("SELECT run_uuid, value FROM latest_metrics WHERE key = 'cv/acc_mean'")
        )
    connection.close()
    (parent,) = logged
    assert runs[parent] == name
    assert {runs[run] for run in parents} == children
    assert set(parents.values()) == {parent}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["folds=1"], "folds=1: expected a whole number, at least 2"),
        (["folds=x"], "folds=x: expected"),
        (["seeds=1,1"], "seeds=1,1: a seed is named twice"),
        (["seeds="], "seeds=: expected a whole number"),
        (["seed=3"], "'seed=3': give seeds as seeds=1,2"),
        (["batch_size=8,16"], "'batch_size=8,16'"),
        (["experiment=lenett"], "no experiment 'lenett'"),
        (["-m"], "'-m' is not an option of cv"),
        (["experiment=digits_fully_connected", "folds=1298"], "no image is left for the test split"),
    ],
)
def test_what_is_no_cross_validation_is_refused(project, words, message):
    with pytest.raises(ConvlabError) as raised:
        cv.run(words)
    assert message in str(raised.value)
    assert not (project / "sweeps").exists()
