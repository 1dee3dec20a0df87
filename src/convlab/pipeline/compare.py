"""Rank evaluated runs, say whether the best two differ, and write one report.

usage: convlab compare [RUN...] [--metric NAME] [--out DIR] [--json]

RUN is a name under runs/ or a run's directory, a sweep's job for instance; without any, every run that
has a metrics.json is compared. Runs on different data sets are never ranked against each other: each data
set has a table of its own.

  --metric NAME   rank by this: test/acc (default), test/loss, test/ece, val/acc or val/loss
  --out DIR       write comparison.json, comparison.csv, comparison.md and comparison.html to DIR
  --json          print what comparison.json would hold, and no table

How to read the table:
  accuracy        share of the test images classified right, in per cent, by the weights that predict
  95 % interval   where the accuracy on endlessly many such images would probably be (Wilson). Intervals
                  of two runs that overlap do not mean that the runs are equal: the test below the table
                  is sharper, because it looks at the same images for both (McNemar's exact test)
  loss            mean cross-entropy on the test images
  ece             calibration error in per cent: by how much confidence and accuracy differ
  raw             accuracy of the weights before averaging, where training kept a moving average
  minutes         training, validation included (on the terminal alone: equal runs differ in it)
  1 2 ...         small numbers after a name: a substitute took the place of the published data or weights

comparison.html is one self-contained page (no network, light and dark, prints well): ranking, learning
curves, confusion matrices, accuracy by class, worst mistakes, settings, lineage, commands. The files
depend on the runs' config.yaml, history.csv, metrics.json, predictions.npz and mistakes.png, and on the
names of the experiments in conf/, alone: equal runs make equal files. Facts that change without the
result (run.json: the date, the git commit) are left to MLflow; the report identifies a run by the hashes
of its configuration, data and weights.

examples:
  convlab compare
  convlab compare lenet lenet5 --metric test/loss
  convlab compare sweeps/2026-01-31_12-00-00/* --out reports/sweep
  convlab compare --json | python -m json.tool
"""

import argparse
import csv
import io
import json
import os
from pathlib import Path
from typing import Any, NoReturn

from rich import box
from rich.table import Table
from rich.text import Text

from convlab.console import console
from convlab.errors import ConvlabError
from convlab.report import results
from convlab.report.comparison import METRICS, Comparison, DataSet, compare, show

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
HEADINGS = (
    *("", "run", "model", "accuracy %", "95 % interval", "loss", "ece %"),
    *("raw %", "parameters", "epochs"),
)
DISPENSABLE = ("model", "epochs", "ece %", "minutes", "raw %", "parameters")  # in a narrow terminal
WORDS = ("run", "model")  # set to the left; numbers to the right


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConvlabError(f"{message}. `convlab compare --help` explains the options.")


def run(args: list[str]) -> int:
    """Compare; with --out also write the report."""
    parser = _Parser(prog="convlab compare", add_help=False, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--metric", choices=METRICS, default="test/acc")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(args)

    compared = compare(results.read(results.find(options.runs)), options.metric)
    if options.json:
        print(_json(compared))
    else:
        for data in compared.data_sets:
            _print(data, options.metric)
    if options.out:
        _write(options.out, compared)
        if not options.json:
            console.print(f"Report: {options.out / 'comparison.html'}", markup=False)
    return 0


def _write(directory: Path, compared: Comparison) -> None:
    from convlab.report.page import page  # matplotlib: only when there is something to draw

    contents = {
        "comparison.json": _json(compared) + "\n",
        "comparison.csv": _csv(compared),
        "comparison.md": _markdown(compared),
        "comparison.html": page(compared),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        partial = directory / f".{name}.{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(directory / name)


def _json(compared: Comparison) -> str:
    return json.dumps(compared.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)


def _csv(compared: Comparison) -> str:
    text = io.StringIO()
    rows = [row for data in compared.data_sets for row in data.rows()]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "substitutes": "; ".join(row["substitutes"])} for row in rows)
    return text.getvalue()


def _markdown(compared: Comparison) -> str:
    lines = ["# Comparison", "", f"Ranked by {compared.metric}, best first."]
    for data in compared.data_sets:
        headings, rows, notes = _tabulate(data, compared.metric)
        lines += ["", f"## {data.title}", "", "| " + " | ".join(headings) + " |"]
        lines += ["|" + "|".join(" --- " if name in WORDS else " ---: " for name in headings) + "|"]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        lines += [line for note in notes for line in ("", note)]
    return "\n".join(lines) + "\n"


def _print(data: DataSet, metric: str) -> None:
    headings, rows, notes = _tabulate(data, metric)
    minutes = [show(run.seconds, ".1f", 1 / 60) for run in data.ranked]
    if any(minutes):
        headings, rows = (
            [*headings, "minutes"],
            [[*row, cell] for row, cell in zip(rows, minutes, strict=True)],
        )
    by = "" if metric == "test/acc" else f", by {metric}"
    title = Text(data.title + by, style="bold")
    left_out: list[str] = []
    for name in (None, *DISPENSABLE):
        left_out += [name] if name in headings else []
        table = _table(title, headings, rows, left_out)
        width = console.measure(table, options=console.options.update(width=1000)).maximum
        if width <= console.width or not console.is_terminal:
            break
    table.width = width  # a file has no width to fit into
    console.print(table)
    if left_out:
        notes.append(f"No room for {', '.join(left_out)}: --json and --out have them.")
    for note in notes:
        console.print(note, markup=False)
    console.print()


def _table(title: Text, headings: list[str], rows: list[list[str]], left_out: list[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    columns = [(k, name) for k, name in enumerate(headings) if name not in left_out]
    for _, name in columns:
        table.add_column(name, justify="left" if name in WORDS else "right")
    for row in rows:
        table.add_row(*(Text(row[k]) for k, _ in columns))
    return table


def _tabulate(data: DataSet, metric: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Headings, cells by row, and notes below: the verdict and, numbered, each substitute.

    Columns that are empty for all runs are left out; a metric of the validation set gets one if it ranks.
    """
    substitutes = list(dict.fromkeys(words for run in data.ranked for words in run.substitutes))
    marks = {words: str(n).translate(SUPERSCRIPTS) for n, words in enumerate(substitutes, start=1)}
    headings = HEADINGS + ((metric,) if metric.startswith("val/") else ())
    rows = []
    for row in data.rows():
        name = " ".join([row["name"], *(marks[words] for words in row["substitutes"])])
        rows.append([str(row["rank"]), name, *_cells(row), show(row[metric], ".4f")][: len(headings)])
    keep = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    notes = [data.verdict.sentence] if data.verdict else []
    notes += [f"{mark} substitute: {words}" for words, mark in marks.items()]
    return [headings[k] for k in keep], [[row[k] for k in keep] for row in rows], notes


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        str(row["model"]),
        show(row["test/acc"], ".2f", 100),
        f"{show(row['test/acc_low'], '.2f', 100)} to {show(row['test/acc_high'], '.2f', 100)}",
        show(row["test/loss"], ".4f"),
        show(row["test/ece"], ".2f", 100),
        show(row["test_raw/acc"], ".2f", 100),
        show(row["num_parameters"], ",d"),
        show(row["epochs"], "d"),
    ]
