"""The page's pieces, on runs small enough to work out by hand."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from convlab.base.files import file_hash
from convlab.figures import style
from convlab.runs import test_images
from convlab.runs.report import page
from convlab.runs.report.comparison import compare
from convlab.runs.report.pictures import Pictures
from convlab.runs.report.results import find, read
from convlab.runs.run import Run

HOSTILE = "<script>alert('&')</script>"


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "train.yaml").touch()
    monkeypatch.setenv("CONVLAB_PROJECT", str(tmp_path))
    return tmp_path


def make(project, name, predicted=(0, 1, 1, 1), classes=("a", "b"), config="", **test):
    """A run on four test images, of classes 0 0 1 1."""
    folder = project / "runs" / name
    folder.mkdir(parents=True)
    labels, answers = np.array([0, 0, 1, 1]), np.array(predicted)
    right = labels == answers
    metrics = {
        "data": "toys",
        "model": "Net",
        "weights": "raw",
        "num_parameters": 7,
        "test": {"num_images": 4, "acc": right.mean(), "acc_low": 0.2, "acc_high": 0.8, "loss": 1.0} | test,
        "per_class": {
            label: {"acc": right[labels == k].mean(), "num_images": 2} for k, label in enumerate(classes)
        },
        "lineage": {"config_hash": "c0ffee", "weights_hash": "beef", "substitutes": []},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "config.yaml").write_text(config)
    np.savez(folder / "predictions.npz", labels=labels, probabilities=np.eye(2)[answers])
    return folder


def html():
    return page.page(compare(read(find([]))))


def test_names_are_escaped_in_text_and_figures(project):
    folder = make(project, "a", classes=(HOSTILE, "b"), config=f'note: "{HOSTILE}"\n')
    (folder / "history.csv").write_text("epoch,val/acc,val/loss\n1,0.5,1.0\n")
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics |= {"model": HOSTILE, "data": HOSTILE}
    metrics["lineage"]["substitutes"] = [HOSTILE]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    page = html()
    assert page.count("<script") == 3  # the browser's data, the curves' and the code
    assert "<script>alert" not in page
    escaped = "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"
    for place in (
        f'<h2 id="d0">{escaped} (4 test images)</h2>',
        f'<td data-value="{escaped}">{escaped}</td>',
        f'<th scope="row" data-value="{escaped}">{escaped}</th>',
        f"<strong>1. Substitute:</strong> {escaped}",
        f">{escaped} taken for b (1)</a>.",
        "note: &#34;&lt;script&gt;",
    ):
        assert place in page


def test_confusion_matrix_puts_truth_in_rows(project):
    """Images of classes 0 0 1 1, all taken for b but the first: each number is a link to its images."""
    make(project, "one", predicted=(0, 1, 1, 1))
    matrix = html().split('class="confusion')[1].split("<tbody>")[1]
    cells = re.findall(r'<td[^>]*>(?:<a href="#images\?([^"]+)"[^>]*>(\d+)</a>)?</td>', matrix)
    assert cells[:4] == [
        ("model=one&amp;true=a&amp;predicted=a", "1"),
        ("model=one&amp;true=a&amp;predicted=b", "1"),
        ("", ""),
        ("model=one&amp;true=b&amp;predicted=b", "2"),
    ]


def test_many_classes_are_squares_without_numbers(project):
    folder = make(project, "a")
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["per_class"] = {f"c{k}": {"acc": 0.5, "num_images": 2} for k in range(21)}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    np.savez(folder / "predictions.npz", labels=[0, 0, 1, 20], probabilities=np.eye(21)[[0, 3, 1, 20]])
    matrix = re.search(r'<svg class="confusion" viewBox="0 0 21 21".*?</svg>', html(), re.DOTALL).group(0)
    assert matrix.count("<a ") == 4
    assert '<rect x="3" y="0"' in matrix
    assert "<title>c0 taken for c3: 1</title>" in matrix


def test_class_table_unites_the_classes_of_all_runs(project):
    make(project, "one", predicted=(0, 1, 1, 1), acc=0.9)
    make(project, "two", predicted=(0, 0, 0, 0), classes=("a", "c"))
    assert page._by_class(compare(read(find([]))).data_sets[0].ranked) == [
        {"name": "a", "num_images": 2, "accs": [0.5, 1.0]},
        {"name": "b", "num_images": 2, "accs": [1.0, None]},
        {"name": "c", "num_images": 2, "accs": [None, 0.0]},
    ]


def test_only_settings_that_differ_are_listed(project):
    make(
        project,
        "one",
        config="{name: one, seed: 1, optimizer: {lr: 0.1, betas: [0.9, 1]}, backbone: null}",
        acc=0.9,
    )
    make(
        project,
        "two",
        config="{name: two, seed: 1, optimizer: {lr: 0.2, betas: [0.9, 1]}, model: {width: 3}}",
    )
    assert page._settings(compare(read(find([]))).data_sets[0].ranked) == [
        ("backbone", ["null", ""]),
        ("model.width", ["", "3"]),
        ("optimizer.lr", ["0.1", "0.2"]),
    ]


def test_intervals_are_drawn_to_scale(project):
    make(project, "best", acc=0.75, acc_low=0.7, acc_high=0.8)
    make(project, "next", acc=0.6, acc_low=0.3, acc_high=0.75)
    # axis: 0.3 to 0.8 with 4 % of 0.5 on either side, so 0.28 to 0.82
    places = re.findall(r'class="interval" style="left:([\d.]+)%;width:([\d.]+)%"', html())
    expected = [(100 * 0.42 / 0.54, 100 * 0.1 / 0.54), (100 * 0.02 / 0.54, 100 * 0.45 / 0.54)]
    assert [(float(left), float(width)) for left, width in places] == [
        pytest.approx(pair, abs=0.01) for pair in expected
    ]


def test_commands_and_lineage(project):
    """What trained it, overrides and all, though conf/ has an experiment of that name."""
    (project / "conf" / "experiment" / "known.yaml").touch()
    command = "convlab train experiment=known trainer.max_epochs=1 optimizer.lr=0.2"
    Run(make(project, "known", acc=0.9)).update_state(command=command)
    make(project, "loose")
    page = html()
    assert f"<pre>{command}\nconvlab evaluate known</pre>" in page
    assert "<pre>convlab evaluate loose</pre>" in page
    assert page.count("<dd><code>c0ffee</code></dd>") == 2


def test_mistakes_are_cards_or_of_an_earlier_version_its_picture(project, tmp_path):
    folder = make(project, "a", predicted=(1, 1, 1, 0))
    Image.new("RGB", (2, 2), "red").save(folder / "mistakes.png")
    source = re.search(
        r'<img loading="lazy" alt="Test images that a got wrong[^>]+src="([^"]+)"', html()
    ).group(1)
    pictures = Pictures()
    page.page(compare(read(find([]))), pictures=pictures)
    pictures.write(tmp_path / "out")
    assert (tmp_path / "out" / source).read_bytes() == (folder / "mistakes.png").read_bytes()
    assert "a was evaluated by an earlier version" in html()
    assert "`convlab evaluate a` writes them" in html()
    test_images.write(folder, ["0", "1", "2", "3"], [Image.new("L", (28, 28))] * 4)
    assert "Test images that a got wrong" not in html()
    assert 'data-model="a" data-images="0 1 3"' in html()


def test_runs_on_the_same_images_share_them(project, tmp_path):
    for name in ("one", "two", "three"):
        test_images.write(make(project, name), list("abcd"), [Image.new("L", (28, 28))] * 4)
    make(project, "earlier")
    test_images.write(make(project, "other"), list("wxyz"), [Image.new("L", (28, 28), 9)] * 4)
    data = re.search(r'id="browser-data">(.*?)</script>', html()).group(1)
    data = json.loads(data)
    places = {model["name"]: model["set"] for model in data["models"]}
    assert len(data["sets"]) == 2
    assert places["one"] == places["two"] == places["three"] != places["other"]
    assert places["earlier"] in places.values()
    pictures = Pictures()
    for _ in range(2):
        page.page(compare(read(find([]))), pictures=pictures)
    pictures.write(tmp_path / "out")
    (tmp_path / "out" / "pictures" / "0123456789abcdef.webp").touch()
    (tmp_path / "out" / "pictures" / "mine.png").touch()
    pictures.write(tmp_path / "out")
    kept = {path.name for path in (tmp_path / "out" / "pictures").iterdir()}
    assert len(kept) == 3  # a sheet of each set, and what is not the report's
    assert "mine.png" in kept


def test_the_inside_of_a_network_is_shown_where_it_was_visualized(project):
    folder = make(project, "a") / "visualize"
    make(project, "b")
    assert "Inside the network" not in html()
    folder.mkdir()
    for name, colour in (("one.png", "red"), ("two.png", "blue"), ("three.png", "lime")):
        Image.new("RGB", (2, 2), colour).save(folder / name)
    listed = [
        {"file": "two.png", "title": HOSTILE, "report": True},
        {"file": "one.png", "title": "One", "report": False},
        {"file": "three.png", "title": "Three"},
        {"file": "gone.png", "title": "Gone"},
    ]
    (folder / "visualize.json").write_text(json.dumps({"figures": listed}))
    shown = html()
    assert shown.count("Inside the network (2 pictures)") == 1
    sources = re.findall(r'<figure class="gallery inside"[^>]*><img loading="lazy"[^>]*src="([^"]+)"', shown)
    names = [file_hash(folder / name)[:16] for name in ("two.png", "three.png")]
    assert sources == [f"pictures/{name}.png" for name in names]
    assert shown.count("<script") == 3


def test_figures_take_the_pages_colours(project):
    folder = make(project, "a")
    (folder / "history.csv").write_text("epoch,val/acc,val/loss\n1,0.5,1.0\n")
    page = html()
    page = page.split("</style>", 1)[1]
    assert page.count("<svg") == 6  # two overlays and their legend, reliability, the curves, the coverage
    assert page.count('data-series="0"') == 4
    assert style.INK not in page
    assert style.LINE not in page
    assert "fill: currentColor" in page
    assert "var(--line)" in page


def test_runs_without_predictions_history_or_configuration_still_make_a_page(project):
    folder = make(project, "a")
    for name in ("predictions.npz", "config.yaml"):
        (folder / name).unlink()
    page = html()
    assert page.count("<svg") == 0
    assert "Full configuration" not in page
    assert "75.00 %" in page
