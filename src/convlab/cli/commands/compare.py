"""Rank evaluated runs, say whether the best two differ, and write one report.

usage: convlab compare [RUN...] [--metric NAME] [--group SETTING] [--out DIR] [--json]

RUN is a name under runs/ or a run's directory, a sweep's job for instance; without any, every run that
has a metrics.json is compared. Runs on different data sets are never ranked against each other: each data
set has a table of its own. So have cross-validations (`convlab cv`), by name or directory: mean accuracy over
the folds with its 95 % interval.

  --metric NAME   rank by this: test/acc (default), test/loss, test/ece, val/acc or val/loss
  --group SETTING also a row for each value of a setting: model, or a name in config.yaml (optimizer.lr),
                  with the metric's mean and standard deviation over the runs that share it
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
  convlab compare sweeps/2026-01-31_12-00-00/* --group optimizer.lr
  convlab compare sweeps/2026-01-31_12-00-00/* --out reports/sweep
  convlab compare linear_head_cv mlp_head_cv
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

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.runs.report import cross_validations, results
from convlab.runs.report.comparison import METRICS, Comparison, DataSet, compare, show
from convlab.runs.report.cross_validations import CrossValidation
from convlab.runs.report.groups import by_setting

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
HEADINGS = (
    *("", "run", "model", "accuracy %", "95 % interval", "loss", "ece %"),
    *("raw %", "parameters", "epochs"),
)
DISPENSABLE = ("model", "epochs", "ece %", "minutes", "raw %", "parameters")  # in a narrow terminal
WORDS = ("run", "data", "model")  # set to the left; numbers to the right


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConvlabError(f"{message}. `convlab compare --help` explains the options.")


def run(args: list[str]) -> int:
    """Compare; with --out also write the report."""
    parser = _Parser(prog="convlab compare", add_help=False, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--metric", choices=METRICS, default="test/acc")
    parser.add_argument("--group", metavar="SETTING")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(args)

    validated, names = cross_validations.take(options.runs)
    found = results.find(names) if names or not validated else []
    compared = compare(results.read(found), options.metric)
    if options.json:
        print(_json(compared, validated))
    else:
        for data in compared.data_sets:
            _print(data, options.metric)
            if options.group:
                _print_groups(data, options.metric, options.group)
        if validated:
            _print_validated(validated)
    if options.out:
        _write(options.out, compared, validated)
        if not options.json:
            console.print(f"Report: {options.out / 'comparison.html'}", markup=False)
    return 0


def _write(directory: Path, compared: Comparison, validated: list[CrossValidation]) -> None:
    from convlab.runs.report.page import page  # matplotlib: only when there is something to draw

    contents = {
        "comparison.json": _json(compared, validated) + "\n",
        "comparison.csv": _csv(compared),
        "comparison.md": _markdown(compared, validated),
        "comparison.html": page(compared, validated),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        partial = directory / f".{name}.{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(directory / name)


def _json(compared: Comparison, validated: list[CrossValidation]) -> str:
    rows = {"cross_validations": [each.row() for each in validated]} if validated else {}
    return json.dumps(compared.to_dict() | rows, indent=2, ensure_ascii=False, allow_nan=False)


def _csv(compared: Comparison) -> str:
    text = io.StringIO()
    rows = [row for data in compared.data_sets for row in data.rows()]
    if not rows:  # cross-validations alone
        return ""
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "substitutes": "; ".join(row["substitutes"])} for row in rows)
    return text.getvalue()


def _markdown(compared: Comparison, validated: list[CrossValidation]) -> str:
    lines = ["# Comparison", "", f"Ranked by {compared.metric}, best first."]
    tables = [(data.title, *_tabulate(data, compared.metric)) for data in compared.data_sets]
    if validated:
        tables.append(("Cross-validation", *_tabulate_validated(validated)))
    for title, headings, rows, notes in tables:
        lines += ["", f"## {title}", "", "| " + " | ".join(headings) + " |"]
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


def _print_validated(validated: list[CrossValidation]) -> None:
    headings, rows, notes = _tabulate_validated(validated)
    table = _table(Text("Cross-validation", style="bold"), headings, rows, [])
    table.width = console.measure(table, options=console.options.update(width=1000)).maximum
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
    console.print()


def _print_groups(data: DataSet, metric: str, setting: str) -> None:
    title = Text(f"{metric} by {setting}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    share = not metric.endswith("/loss")
    form, scale = (".2f", 100) if share else (".4f", 1)
    for heading in (setting, "runs", "mean %" if share else "mean", "std", "best", "best run"):
        table.add_column(heading, justify="left" if heading in (setting, "best run") else "right")
    for group in by_setting(data.ranked, metric, setting):
        numbers = (show(value, form, scale) for value in (group.mean, group.std, group.best.metric(metric)))
        table.add_row(Text(group.value), str(group.num_runs), *numbers, Text(group.best.name))
    console.print(table)


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


def _tabulate_validated(validated: list[CrossValidation]) -> tuple[list[str], list[list[str]], list[str]]:
    """Headings, cells by row, and notes below, as `_tabulate`."""
    headings = ["run", "data", "model", "folds", "seeds", "images"]
    headings += ["accuracy %", "95 % interval", "std", "loss"]
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
    return headings, rows, cross_validations.verdicts(validated)


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
