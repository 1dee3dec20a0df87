"""Ranking and McNemar's test on predictions small enough to count by hand."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from convlab.base.errors import ConvlabError
from convlab.runs.report.comparison import compare, rank, show, verdict
from convlab.runs.report.results import find, read, row
from convlab.runs.run import Run


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "train.yaml").touch()
    monkeypatch.setenv("CONVLAB_PROJECT", str(tmp_path))
    return tmp_path


def make(project, name, right=None, data="toys", **test):
    """A run on two classes; `right`: whether each test image (all of class 0) is classified right."""
    folder = project / "runs" / name
    folder.mkdir(parents=True)
    num_images = 4 if right is None else len(right)
    metrics = {
        "data": data,
        "model": "Net",
        "weights": "raw",
        "num_parameters": 7,
        "test": {"num_images": num_images, "acc": 0.5, "acc_low": 0.4, "acc_high": 0.6, "loss": 1.0} | test,
        "per_class": {"a": {"acc": 0.5, "num_images": num_images}, "b": {"acc": None, "num_images": 0}},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    if right is not None:
        probabilities = np.array([[0.9, 0.1] if each else [0.1, 0.9] for each in right], dtype=np.float32)
        labels = np.zeros(num_images, dtype=np.int64)
        np.savez(folder / "predictions.npz", labels=labels, probabilities=probabilities)
    return read([folder])[0]


def test_ranked_within_a_data_set_best_first(project):
    runs = [
        make(project, "low", acc=0.5, loss=0.1),
        make(project, "high", acc=0.9, loss=0.7),
        make(project, "tied", acc=0.5, loss=0.3),
        make(project, "other", data="art", acc=0.2),
        make(project, "lost", acc=0.1, loss=float("nan")),
    ]

    def names(metric):
        return {data: [run.name for run in ranked] for data, ranked in rank(runs, metric).items()}

    assert names("test/acc") == {"art": ["other"], "toys": ["high", "low", "tied", "lost"]}
    assert names("test/loss")["toys"] == ["low", "tied", "high", "lost"]  # smaller is better; NaN comes last
    assert list(names("test/acc")) == ["art", "toys"]


def test_mcnemar_by_hand(project):
    # 20 images; only `a` is right on the first 9, only `b` on the next 1, both on 6, neither on 4
    a = make(project, "a", [True] * 9 + [False] * 1 + [True] * 6 + [False] * 4)
    b = make(project, "b", [False] * 9 + [True] * 1 + [True] * 6 + [False] * 4)
    found = verdict([a, b])
    assert (found.only_best_right, found.only_second_right) == (9, 1)
    # two tails of binomial(10, 1/2) at 1: 2 * (1 + 10) / 1024
    assert found.p_value == pytest.approx(22 / 1024, rel=1e-12)
    assert found.significant
    assert found.sentence == (
        "a and b differ significantly: they disagree on 10 test images: a is right on 9, b on 1 "
        "(McNemar's exact test, p = 0.021)."
    )


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 5), (7, 2), (40, 80), (700, 900)])
def test_mcnemar_equals_scipys_exact_binomial_test(project, only_a, only_b):
    a = make(project, "a", [True] * only_a + [False] * only_b + [True])
    b = make(project, "b", [False] * only_a + [True] * only_b + [True])
    found = verdict([a, b])
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    assert found.significant == (expected < 0.05)
    assert ("do not differ" in found.sentence) == (expected >= 0.05)


def test_no_verdict_without_pairs(project):
    alone = make(project, "alone", [True])
    assert verdict([alone]) is None
    bare, longer = make(project, "bare"), make(project, "longer", [True, False])
    assert (
        "bare has no predictions.npz. `convlab evaluate bare` writes it." in verdict([alone, bare]).sentence
    )
    different = verdict([alone, longer])
    assert "different test images" in different.sentence
    assert different.p_value is None


def test_plain_values_hold_for_json(project):
    folder = make(project, "a", [True, False], acc=0.75, loss=float("inf"), ece=float("nan")).directory
    text = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text(text.replace('"acc": null', '"acc": NaN'))  # a class without images
    plain = compare(read(find([]))).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    row = plain["data_sets"]["toys"]["ranking"][0]
    assert row["per_class"]["b"]["acc"] is None
    assert (row["rank"], row["test/acc"], row["test/loss"], row["test/ece"], row["epochs"]) == (
        1,
        0.75,
        None,
        None,
        None,
    )


def test_history_gives_epochs_and_run_json_the_seconds(project):
    run = make(project, "a")
    (run.directory / "history.csv").write_text("epoch,step,lr,val/acc\n1,50,0.1,\n2,100,0.1,0.5\n")
    assert row(run)["epochs"] == 2
    assert run.history[0] == {"epoch": 1, "step": 50, "lr": 0.1}
    assert run.seconds is None
    (run.directory / "run.json").write_text('{"seconds": 16.5}')
    assert run.seconds == 16.5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("history.csv", b"epoch,step\n1,many\n", r"a/history.csv is not a table of numbers.*many"),
        ("history.csv", b"step\n1\n", r"a/history.csv has rows without an epoch"),
        ("config.yaml", b"{", r"a/config.yaml is not valid YAML"),
        (
            "predictions.npz",
            b"PK\x03\x04 cut short",
            r"a/predictions.npz can't be read.*`convlab evaluate a`",
        ),
        ("predictions.npz", b"", r"a/predictions.npz can't be read"),
    ],
)
def test_broken_files_are_named(project, name, content, message):
    run = make(project, "a", [True])
    (run.directory / name).write_bytes(content)
    with pytest.raises(ConvlabError, match=message):
        getattr(run, name.split(".")[0])


def test_predictions_must_belong_to_the_metrics(project):
    run = make(project, "a", [True, False])
    pickled = np.array([object()], dtype=object)
    for arrays, message in (
        (
            {"labels": np.zeros(3), "probabilities": np.zeros((3, 2))},
            r"of 2 images and 2 classes.*found labels \(3,\)",
        ),
        ({"labels": np.zeros(2), "probabilities": np.zeros((2, 5))}, r"probabilities \(2, 5\)"),
        ({"labels": np.zeros(2)}, r"probabilities"),
        ({"labels": pickled, "probabilities": pickled}, r"can't be read.*allow_pickle"),
    ):
        np.savez(run.directory / "predictions.npz", **arrays)
        with pytest.raises(ConvlabError, match=message):
            _ = read([run.directory])[0].predictions


def test_runs_are_named_as_the_command_line_takes_them(project):
    inside = make(project, "a").directory
    assert Run(inside).argument == "a"
    assert Run(project / "sweeps" / "s" / "job").argument == "sweeps/s/job"
    assert find(["a", str(inside)]) == [inside]


def test_show():
    assert show(0.98765, ".2f", 100) == "98.77"
    assert show(None, ".2f", 100) == ""
