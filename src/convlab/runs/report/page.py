"""A comparison as an HTML page with its pictures beside it; `page.html.jinja` and its parts are its text.

Everything in the page is escaped by Jinja2, or is text that its scripts write as text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from convlab.base import templates
from convlab.figures import plots, style
from convlab.runs.metrics import COLUMNS
from convlab.runs.report import image_sets, links, run_part
from convlab.runs.report.browser import payload
from convlab.runs.report.comparison import Comparison, DataSet, show
from convlab.runs.report.cross_validations import CrossValidation, verdicts
from convlab.runs.report.pictures import Pictures
from convlab.runs.report.svg import svg
from convlab.runs.run import Run

HERE = Path(__file__).parent
DASHED = {"-": "", "--": "6 3", ":": "1.5 2.5", "-.": "7 2.5 1.5 2.5"}  # as SVG has them


def page(
    comparison: Comparison,
    validated: Sequence[CrossValidation] = (),
    pictures: Pictures | None = None,
    root: str = "",
) -> str:
    """The page's HTML: the same for the same run directories, whenever and wherever it is made.

    pictures: filled with the files that belong beside the page.
    root: the project's address from the page, by which it finds the test images' own files.
    """
    kept = Pictures() if pictures is None else pictures
    environment = templates.environment(HERE)
    environment.filters |= {"show": show, "percent": style.percent}
    environment.globals |= {"images": links.images}
    data_sets = [_data_set(each, f"d{n}", kept) for n, each in enumerate(comparison.data_sets)]
    answered = [run for data in data_sets for run in data["runs"] if run["answered"]]
    curves = {run["anchor"]: run["answered"]["coverage"] for run in answered}
    template = environment.get_template("page.html.jinja")
    return template.render(
        metric=comparison.metric,
        data_sets=data_sets,
        validations={"rows": [each.row() for each in validated], "notes": verdicts(list(validated))},
        style=payload.style() + _inline("page.css"),
        code=payload.code(),
        behaviour=_inline("page.js"),
        browser_data=image_sets.of(comparison, kept).script(root),
        coverage_data=payload.as_json(
            "coverage-data", {anchor: curve["rows"] for anchor, curve in curves.items() if curve}
        ),
    )


def _inline(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))


def _data_set(data: DataSet, anchor: str, pictures: Pictures) -> dict[str, Any]:
    trained = {run.name: run.history for run in data.ranked if run.history}
    measured = ("val/acc", "val/loss") if trained else ()
    overlays = [plots.overlaid(trained, metric, legend=False) for metric in measured]
    rows, classes = data.rows(), _by_class(data.ranked)
    return {
        "name": data.name,
        "title": data.title,
        "anchor": anchor,
        "verdict": data.verdict and links.verdict(data.verdict),
        "rows": rows,
        "columns": [each for each in COLUMNS if any(row[each.key] is not None for row in rows)],
        "scales": {each.key: _scale(rows, each.key) for each in COLUMNS if each.interval},
        "substitutes": list(dict.fromkeys(words for row in rows for words in row["substitutes"])),
        "overlays": [svg(figure, f"{anchor}o{n}") for n, figure in enumerate(overlays)],
        "series": [(name, *_line(place)) for place, name in enumerate(trained)],
        "classes": classes,
        "worst_class": min((acc for each in classes for acc in each["accs"] if acc is not None), default=0.0),
        "settings": _settings(data.ranked),
        "runs": [run_part.values(run, f"{anchor}r{n}", pictures) for n, run in enumerate(data.ranked)],
    }


def _line(place: int) -> tuple[str, str]:
    """Colour and dashes of a curve, as `plots.overlaid` draws it."""
    return style.SERIES[place % len(style.SERIES)], DASHED[style.DASHES[place % len(style.DASHES)]]


def _scale(rows: list[dict[str, Any]], key: str) -> tuple[float, float]:
    """The ends of the axis that a metric's intervals on a data set are drawn on."""
    low, high = min(row[f"{key}_low"] for row in rows), max(row[f"{key}_high"] for row in rows)
    pad = 0.04 * (high - low) or 0.01
    return max(low - pad, 0.0), min(high + pad, 1.0)


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
