"""A comparison as tables of text, for a terminal or Markdown."""

from typing import Any, NamedTuple

from convlab.runs.metrics import COLUMNS, METRICS, Metric
from convlab.runs.report import cross_validations
from convlab.runs.report.comparison import Comparison, DataSet, show
from convlab.runs.report.cross_validations import CrossValidation

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
INTERVAL = "95 % interval"
WORDS = ("run", "data", "model")  # set to the left; numbers to the right


class Table(NamedTuple):
    """Headings, cells by row, and the notes below."""

    headings: list[str]
    rows: list[list[str]]
    notes: list[str]


def of_data_set(data: DataSet, metric: str) -> Table:
    """The ranking by `metric`; in the notes the verdict and, numbered, each substitute.

    Columns that are empty for all runs are left out; a metric without a column of its own gets one if it
    ranks.
    """
    substitutes = list(dict.fromkeys(words for run in data.ranked for words in run.substitutes))
    marks = {words: str(n).translate(SUPERSCRIPTS) for n, words in enumerate(substitutes, start=1)}
    added = () if METRICS[metric].column else (metric,)
    headings = ["", "run", "model", *(name for each in COLUMNS for name in _headings(each))]
    headings += ["parameters", "epochs", *added]
    rows = []
    for row in data.rows():
        name = " ".join([row["name"], *(marks[words] for words in row["substitutes"])])
        cells = [str(row["rank"]), name, str(row["model"])]
        cells += [cell for each in COLUMNS for cell in _cells(each, row)]
        cells += [show(row["num_parameters"], ",d"), show(row["epochs"], "d")]
        rows.append([*cells, *(show(row[key], ".4f") for key in added)])
    keep = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    notes = [data.verdict.sentence] if data.verdict else []
    notes += [f"{mark} substitute: {words}" for words, mark in marks.items()]
    return Table([headings[k] for k in keep], [[row[k] for k in keep] for row in rows], notes)


def of_cross_validations(validated: list[CrossValidation]) -> Table:
    """One row for each; the verdicts as notes."""
    headings = ["run", "data", "model", "folds", "seeds", "images"]
    headings += ["accuracy %", INTERVAL, "std", "loss"]
    rows = [
        [
            *(row["name"], row["data"], row["model"], str(row["folds"]), str(row["seeds"])),
            f"{row['num_images']:,}",
            f"{100 * row['acc_mean']:.2f}",
            f"{100 * row['acc_low']:.2f} to {100 * row['acc_high']:.2f}",
            f"{100 * row['acc_std']:.2f}",
            f"{row['loss_mean']:.4f}",
        ]
        for row in (each.row() for each in validated)
    ]
    return Table(headings, rows, cross_validations.verdicts(validated))


def markdown(compared: Comparison, validated: list[CrossValidation]) -> str:
    """All tables, each below its title."""
    lines = ["# Comparison", "", f"Ranked by {compared.metric}, best first."]
    tables = [(data.title, of_data_set(data, compared.metric)) for data in compared.data_sets]
    if validated:
        tables.append(("Cross-validation", of_cross_validations(validated)))
    for title, (headings, rows, notes) in tables:
        lines += ["", f"## {title}", "", "| " + " | ".join(headings) + " |"]
        lines += ["|" + "|".join(" --- " if name in WORDS else " ---: " for name in headings) + "|"]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        lines += [line for note in notes for line in ("", note)]
    return "\n".join(lines) + "\n"


def _headings(metric: Metric) -> tuple[str, ...]:
    return (metric.heading, INTERVAL) if metric.interval else (metric.heading,)


def _cells(metric: Metric, row: dict[str, Any]) -> list[str]:
    keys = [f"{metric.key}_low", f"{metric.key}_high"] if metric.interval else []
    value, *ends = (show(row[key], metric.form, metric.scale) for key in (metric.key, *keys))
    return [value, " to ".join(ends)] if ends else [value]
