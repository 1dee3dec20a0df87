"""`convlab compare` on run directories with real predictions: scikit-learn's classifiers on its digits."""

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from convlab.base.errors import ConvlabError
from convlab.cli.commands import compare
from convlab.figures.mistakes import mistakes
from convlab.runs import test_images

SUBSTITUTE = "digits.gz is a subset of 1,797 images"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with four evaluated runs: three on the digits, one that tells odd digits from even."""
    root = tmp_path_factory.mktemp("project")
    (root / "conf" / "experiment").mkdir(parents=True)
    (root / "conf" / "train.yaml").write_text("")
    (root / "conf" / "experiment" / "mlp.yaml").write_text("")
    images, digits = load_digits(return_X_y=True)
    images = images / 16
    names = [str(digit) for digit in range(10)]
    mlp, parity = (
        MLPClassifier((32,), batch_size=100, learning_rate_init=0.01, random_state=0) for _ in "12"
    )
    softmax = SGDClassifier(loss="log_loss", alpha=0.01, random_state=0)
    make_run(root, "mlp", "digits", mlp, images, digits, names, num_epochs=12, averaged=True)
    make_run(root, "softmax", "digits", softmax, images, digits, names, num_epochs=4)
    make_run(root, "nearest", "digits", KNeighborsClassifier(), images, digits, names)
    make_run(
        root,
        "parity",
        "odd_even",
        parity,
        images,
        digits % 2,
        ["even", "odd"],
        num_epochs=1,
        sub=[SUBSTITUTE],
    )
    return root


@pytest.fixture(scope="module")
def reports(trained):
    """What `convlab compare --out reports` writes for `trained`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        compare.run(["--out", "reports"])
    return trained / "reports"


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """The same, for a test of its own to alter."""
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def make_run(root, name, data, model, images, labels, classes, num_epochs=0, averaged=False, sub=()):
    """Train on the first 1,000 images, validate on the next 200, test on the other 597."""
    train, val, test = slice(0, 1000), slice(1000, 1200), slice(1200, None)
    folder = root / "runs" / name
    (folder / "model").mkdir(parents=True)
    history, before = [], None
    for epoch in range(1, num_epochs + 1):
        before = model.predict_proba(images[test]) if epoch > 1 else None
        model.partial_fit(images[train], labels[train], classes=np.arange(len(classes)))
        row = {"epoch": epoch, "step": 10 * epoch, "lr": 0.001}
        for split, part in (("train", train), ("val", val)):
            scores = model.predict_proba(images[part])
            row[f"{split}/loss"] = log_loss(labels[part], scores, labels=range(len(classes)))
            row[f"{split}/acc"] = accuracy_score(labels[part], scores.argmax(1))
        history.append(row)
    if not num_epochs:
        model.fit(images[train], labels[train])
    scores = model.predict_proba(images[test]).astype(np.float32)
    truth = labels[test]
    metrics = {
        "name": name,
        "model": type(model).__name__,
        "data": data,
        "weights": "averaged" if averaged else "raw",
        "num_parameters": sum(part.size for part in getattr(model, "coefs_", [np.zeros(650)])),
        "test": measured(scores, truth),
        **({"test_raw": measured(before, truth)} if averaged else {}),
        "val": {"acc": history[-1]["val/acc"], "loss": history[-1]["val/loss"], "epoch": num_epochs}
        if history
        else {},
        "per_class": {
            cls: {
                "acc": float((scores.argmax(1) == truth)[truth == k].mean()),
                "num_images": int((truth == k).sum()),
            }
            for k, cls in enumerate(classes)
        },
        "lineage": {
            **{
                f"{part}_hash": hashlib.sha256(f"{part} {data}".encode()).hexdigest()
                for part in ("config", "data")
            },
            "weights_hash": hashlib.sha256(scores.tobytes()).hexdigest(),
            "substitutes": list(sub),
        },
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2))
    np.savez_compressed(folder / "predictions.npz", labels=truth, probabilities=scores)
    config = {
        "name": name,
        "batch_size": 100,
        "model": {"kind": type(model).__name__},
        "optimizer": {"lr": 0.001},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "trainer": {"max_epochs": num_epochs}}))
    pictures = [Image.fromarray((255 * image).astype(np.uint8).reshape(8, 8)) for image in images[test]]
    mistakes(pictures, truth, scores, classes, limit=3).savefig(folder / "mistakes.png")
    if name != "nearest":  # evaluated by an earlier version
        test_images.write(folder, [f"digits, image {place}" for place in range(len(truth))], pictures)
    if history:
        with (folder / "history.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(history[0]))
            writer.writeheader()
            writer.writerows(history)


def measured(scores, truth):
    right = int((scores.argmax(1) == truth).sum())
    interval = binomtest(right, len(truth)).proportion_ci(method="wilson")
    confidence, bins = scores.max(1), np.minimum((scores.max(1) * 15).astype(int), 14)
    gaps = [
        abs((scores.argmax(1) == truth)[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean()
        for b in set(bins.tolist())
    ]
    return {
        "num_images": len(truth),
        "acc": right / len(truth),
        "acc_low": interval.low,
        "acc_high": interval.high,
        "loss": float(log_loss(truth, scores, labels=range(scores.shape[1]))),
        "ece": float(sum(gaps)),
    }


def test_table_ranks_each_data_set_by_itself(project, capsys):
    assert compare.run([]) == 0
    out = capsys.readouterr().out
    digits, odd_even = out.split("odd_even (597 test images)")
    accuracy = {
        name: json.loads((project / "runs" / name / "metrics.json").read_text())["test"]["acc"]
        for name in ("mlp", "softmax", "nearest")
    }
    ranked = sorted(accuracy, key=lambda name: -accuracy[name])
    places = [digits.index(f" {name} ") for name in ranked]
    assert places == sorted(places)
    assert "parity" not in digits
    assert f"{100 * accuracy['mlp']:.2f}" in digits
    assert "parity ¹" in odd_even
    assert f"¹ substitute: {SUBSTITUTE}" in odd_even


def test_best_two_are_tested_as_scipy_tests_them(project, capsys):
    compare.run(["nearest", "softmax", "--json"])
    best_two = json.loads(capsys.readouterr().out)["data_sets"]["digits"]["best_two"]
    right = {}
    for name in ("nearest", "softmax"):
        with np.load(project / "runs" / name / "predictions.npz") as arrays:
            right[name] = arrays["probabilities"].argmax(1) == arrays["labels"]
    only_nearest = int((right["nearest"] & ~right["softmax"]).sum())
    only_softmax = int((right["softmax"] & ~right["nearest"]).sum())
    assert (best_two["best"], best_two["second"]) == ("nearest", "softmax")
    assert (best_two["only_best_right"], best_two["only_second_right"]) == (only_nearest, only_softmax)
    expected = binomtest(only_nearest, only_nearest + only_softmax).pvalue
    assert best_two["p_value"] == pytest.approx(expected, rel=1e-9)
    assert best_two["significant"] == (expected < 0.05)


@pytest.mark.usefixtures("project")
def test_metric_turns_the_order(capsys):
    for metric in ("test/acc", "test/loss", "val/acc"):
        compare.run(["mlp", "softmax", "--metric", metric, "--json"])
        ranking = json.loads(capsys.readouterr().out)["data_sets"]["digits"]["ranking"]
        values = [row[metric] for row in ranking]
        assert values == sorted(values, reverse=metric.endswith("acc"))
        assert [row["rank"] for row in ranking] == [1, 2]


@pytest.mark.usefixtures("project")
def test_rows_hold_cost_and_data(capsys):
    compare.run(["mlp", "--json"])
    row = json.loads(capsys.readouterr().out)["data_sets"]["digits"]["ranking"][0]
    assert row["epochs"] == 12
    assert row["num_parameters"] == 64 * 32 + 32 * 10
    assert row["test_raw/acc"] is not None
    assert row["substitutes"] == []


def test_out_writes_the_same_files_from_the_same_runs(reports, project, capsys):
    shutil.rmtree(project / "reports", ignore_errors=True)
    (project / "runs" / "mlp" / "run.json").write_text('{"started": "today", "git_commit": "abc"}')
    compare.run(["--out", "reports"])
    assert "reports/comparison.html" in capsys.readouterr().out
    first, second = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (reports, project / "reports")
    )
    assert sorted(first)[:4] == [f"comparison.{kind}" for kind in ("csv", "html", "json", "md")]
    assert [Path(name).suffix for name in first if name.startswith("pictures/")].count(".webp") == 1
    assert first == second
    for folder in (reports.parent, project):
        assert str(folder).encode() not in b"".join(first.values())


def test_csv_and_markdown_agree_with_json(reports):
    data_sets = json.loads((reports / "comparison.json").read_text())["data_sets"]
    rows = [row for data in data_sets.values() for row in data["ranking"]]
    with (reports / "comparison.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["name"], float(row["test/acc"])) for row in table] == [
        (row["name"], row["test/acc"]) for row in rows
    ]
    assert table[-1]["substitutes"] == SUBSTITUTE
    lines = (reports / "comparison.md").read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| 1 |")
    ]
    assert [cells[0][1], cells[1][1]] == [rows[0]["name"], "parity ¹"]
    assert cells[0][3] == f"{100 * rows[0]['test/acc']:.2f}"


class Page(HTMLParser):
    """Collects what a page loads, and how its tags balance."""

    VOID = ("meta", "link", "img", "br", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.ids, self.count = [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.ids += [value for name, value in attrs if name == "id"]
        self.sources += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_well_formed_and_loads_nothing(reports):
    text = (reports / "comparison.html").read_text()
    page = Page(text)
    shown = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert all(url.startswith("#") for url in re.findall(r"url\(([^)]*)\)", shown))
    assert {url.split("/")[2] for url in re.findall(r"https?://[^\s\"']*", text)} == {
        "www.w3.org"
    }  # names only
    assert page.open == []
    assert [source for source in page.sources if not source.startswith(("#", "data:", "pictures/"))] == []
    for source in page.sources:
        assert not source.startswith("pictures/") or (reports / source).is_file()
    assert len(page.ids) == len(set(page.ids))
    anchors = {source[1:] for source in page.sources if source.startswith("#")}
    assert {anchor for anchor in anchors if not anchor.startswith("images?")} <= set(page.ids)
    assert page.count["article"] == 4
    # two overlays a data set and a line for each run's legend, reliability and coverage of each run, and
    # curves for the three runs with a history
    assert page.count["svg"] == 2 * 2 + 3 + 2 * 4 + 3
    assert page.count["img"] == 1  # the mistakes of the run of an earlier version


def test_missing_predictions_and_other_test_images_are_said(project, capsys):
    (project / "runs" / "mlp" / "predictions.npz").unlink()
    compare.run(["mlp", "softmax"])
    out = capsys.readouterr().out
    assert "mlp has no predictions.npz. `convlab evaluate mlp` writes it." in out
    path = project / "runs" / "nearest" / "predictions.npz"
    with np.load(path) as arrays:
        labels, probabilities = arrays["labels"], arrays["probabilities"]
    np.savez_compressed(path, labels=np.roll(labels, 1), probabilities=probabilities)
    compare.run(["nearest", "softmax"])
    assert "they were measured on different test images" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["lenet9"], r"there is no run 'lenet9'. Runs: mlp, nearest, parity, softmax"),
        (["--metric", "accuracy"], r"invalid choice: 'accuracy'.*test/acc.*convlab compare --help"),
        (["--ranked"], r"unrecognized arguments: --ranked"),
    ],
)
def test_wrong_calls_are_explained(args, message):
    with pytest.raises(ConvlabError, match=message):
        compare.run(args)


def test_broken_files_name_themselves_and_the_way_out(project):
    path = project / "runs" / "mlp" / "metrics.json"
    whole = path.read_text()
    for content, message in (
        (whole[:100], r"mlp/metrics.json is not valid JSON.*`convlab evaluate mlp`"),
        ("[]", r"mlp/metrics.json lacks data, model"),
        (whole.replace('"acc_low"', '"low"'), r"mlp/metrics.json lacks test.acc_low"),
    ):
        path.write_text(content)
        with pytest.raises(ConvlabError, match=message):
            compare.run([])
    path.unlink()
    with pytest.raises(ConvlabError, match=r"mlp/metrics.json is missing. `convlab evaluate mlp` writes it"):
        compare.run(["mlp"])
    shutil.rmtree(project / "runs")
    with pytest.raises(ConvlabError, match=r"nothing to compare.*convlab train experiment="):
        compare.run([])


def test_table_costs_no_heavy_import(project):
    code = (
        "import sys; from convlab.cli.commands import compare; compare.run([]);"
        "heavy = {'torch', 'matplotlib', 'mlflow', 'pandas', 'scipy.stats', 'hydra'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_paths_name_runs_elsewhere(project, capsys):
    for seed in (1, 2):
        shutil.copytree(project / "runs" / "mlp", project / "sweeps" / f"s{seed}" / "mlp")
    compare.run(["sweeps/s1/mlp", "sweeps/s2/mlp", str(Path("sweeps/s2/mlp").resolve()), "--json"])
    ranking = json.loads(capsys.readouterr().out)["data_sets"]["digits"]["ranking"]
    assert [row["name"] for row in ranking] == ["s1/mlp", "s2/mlp"]
