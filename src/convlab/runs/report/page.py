"""A comparison as one self-contained HTML page; `page.html.jinja` is its text.

Figures are matplotlib's, as SVG in the page itself: their two greys become the page's, so that they suit
its light and dark mode. Everything else in the page is escaped by Jinja2.
"""

import base64
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from convlab.base import templates
from convlab.figures import plots, style
from convlab.runs.metrics import COLUMNS
from convlab.runs.report.comparison import Comparison, DataSet, show
from convlab.runs.report.cross_validations import CrossValidation, verdicts
from convlab.runs.run import Run

NUM_CONFUSIONS = 5
HASHES = ("config_hash", "data_hash", "backbone_hash", "weights_hash")


def page(comparison: Comparison, validated: Sequence[CrossValidation] = ()) -> str:
    """The page's HTML: the same for the same run directories, whenever and wherever it is made."""
    environment = templates.environment(Path(__file__).parent)
    environment.filters |= {"show": show}
    data_sets = [_data_set(each, f"d{n}") for n, each in enumerate(comparison.data_sets)]
    template = environment.get_template("page.html.jinja")
    validations = {"rows": [each.row() for each in validated], "notes": verdicts(list(validated))}
    return template.render(metric=comparison.metric, data_sets=data_sets, validations=validations)


def _data_set(data: DataSet, anchor: str) -> dict[str, Any]:
    trained = {run.name: run.history for run in data.ranked if run.history}
    overlays = [plots.overlaid(trained, metric) for metric in ("val/acc", "val/loss")] if trained else []
    rows, classes = data.rows(), _by_class(data.ranked)
    return {
        "name": data.name,
        "title": data.title,
        "anchor": anchor,
        "verdict": data.verdict,
        "rows": rows,
        "columns": [each for each in COLUMNS if any(row[each.key] is not None for row in rows)],
        "scales": {each.key: _scale(rows, each.key) for each in COLUMNS if each.interval},
        "substitutes": list(dict.fromkeys(words for row in rows for words in row["substitutes"])),
        "overlays": [svg(figure, f"{anchor}o{n}") for n, figure in enumerate(overlays)],
        "classes": classes,
        "worst_class": min((acc for each in classes for acc in each["accs"] if acc is not None), default=0.0),
        "settings": _settings(data.ranked),
        "runs": [_run(run, f"{anchor}r{n}") for n, run in enumerate(data.ranked)],
    }


def _scale(rows: list[dict[str, Any]], key: str) -> tuple[float, float]:
    """The ends of the axis that a metric's intervals on a data set are drawn on."""
    low, high = min(row[f"{key}_low"] for row in rows), max(row[f"{key}_high"] for row in rows)
    pad = 0.04 * (high - low) or 0.01
    return max(low - pad, 0.0), min(high + pad, 1.0)


def _run(run: Run, anchor: str) -> dict[str, Any]:
    classes = list(run.metrics["per_class"])
    figures, confusions = [], []
    if run.predictions is not None:
        labels, probabilities = run.predictions
        matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(matrix, (labels, probabilities.argmax(axis=1)), 1)
        figures.append((plots.confusion_matrix(matrix, classes), "Confusion matrix"))
        confusions = _confusions(matrix, classes)
    if run.history:
        figures.append((plots.curves(run.history), "Learning curves"))
    gallery, settings = run.directory / "mistakes.png", run.directory / "config.yaml"
    return {
        "name": run.name,
        "anchor": anchor,
        "figures": [(svg(figure, f"{anchor}f{n}"), title) for n, (figure, title) in enumerate(figures)],
        "confusions": confusions,
        "mistakes": _picture(gallery) if gallery.is_file() else None,
        "inside": _inside(run.directory / "visualize"),
        "lineage": {name: run.lineage[name] for name in HASHES if run.lineage.get(name)},
        "substitutes": run.substitutes,
        "commands": run.commands,
        "config": settings.read_text() if settings.is_file() else None,
    }


def _inside(directory: Path) -> list[tuple[str, str]]:
    """Title and content of the pictures that `convlab visualize` wrote for the report, if it did."""
    path = directory / "visualize.json"
    listed = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.is_file() else []
    shown = [each for each in listed if each.get("report", True) and (directory / each["file"]).is_file()]
    return [(each["title"], _picture(directory / each["file"])) for each in shown]


def _picture(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _confusions(matrix: np.ndarray, classes: list[str]) -> list[tuple[str, str, int]]:
    """The commonest mistakes, as (true class, predicted class, number of images)."""
    wrong = matrix * (1 - np.eye(len(classes), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:NUM_CONFUSIONS]
    places = [divmod(int(flat), len(classes)) for flat in order]
    return [
        (classes[row], classes[column], int(wrong[row, column]))
        for row, column in places
        if wrong[row, column]
    ]


def _by_class(runs: list[Run]) -> list[dict[str, Any]]:
    """A row a class: its number of test images, and its accuracy in each run (None where it has none)."""
    by_run = [run.metrics["per_class"] for run in runs]
    rows = []
    for name in dict.fromkeys(name for per_class in by_run for name in per_class):
        found = [per_class.get(name, {}) for per_class in by_run]
        num_images = next(part["num_images"] for part in found if part)
        rows.append({"name": name, "num_images": num_images, "accs": [part.get("acc") for part in found]})
    return rows


def _settings(runs: list[Run]) -> list[tuple[str, list[str]]]:
    """The settings in which the runs differ, and what each has; a missing one is the empty string."""
    flat = [run.settings for run in runs]
    names = sorted({name for settings in flat for name in settings} - {"name"})
    table = [(name, [settings.get(name, "") for settings in flat]) for name in names]
    return [(name, values) for name, values in table if len(set(values)) > 1]


def svg(figure: Figure, salt: str) -> Markup:
    """`figure` for use inside a page; `salt` keeps its ids apart from those of other figures."""
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        nameless = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nameless)
    svg = text.getvalue()
    svg = re.sub(
        r' id="[\w.]+_\d+"', "", svg[svg.index("<svg") :]
    )  # figure_1, axes_1: the same in every figure
    return Markup(svg.replace(style.INK, "currentColor").replace(style.LINE, "var(--line)"))
