"""A comparison's tables on a terminal, narrow ones included."""

from rich import box
from rich.table import Table
from rich.text import Text

from convlab.base.console import console
from convlab.runs.metrics import COLUMNS, METRICS
from convlab.runs.report import tables
from convlab.runs.report.comparison import DataSet, show
from convlab.runs.report.cross_validations import CrossValidation
from convlab.runs.report.groups import by_setting

KEPT = ("accuracy %", "loss")  # of the metrics, in a narrow terminal
DISPENSABLE = ("model", "epochs", "ece %", "minutes", "raw %", "parameters")  # there, in this order


def print_ranking(data: DataSet, metric: str) -> None:
    """The runs on one data set, with the minutes of training; what has no room is named below."""
    headings, rows, notes = tables.of_data_set(data, metric)
    minutes = [show(run.seconds, ".1f", 1 / 60) for run in data.ranked]
    if any(minutes):
        headings = [*headings, "minutes"]
        rows = [[*row, cell] for row, cell in zip(rows, minutes, strict=True)]
    by = "" if metric == "test/acc" else f", by {metric}"
    title = Text(data.title + by, style="bold")
    others = [each.heading for each in COLUMNS if each.heading not in (*KEPT, *DISPENSABLE)]
    left_out: list[str] = []
    for name in (None, *others, *DISPENSABLE):
        left_out += [name] if name in headings else []
        table = _table(title, headings, rows, left_out)
        width = _width(table)
        if width <= console.width or not console.is_terminal:
            break
    if left_out:
        notes = [*notes, f"No room for {', '.join(left_out)}: --json and --out have them."]
    _print(table, notes)


def print_cross_validations(validated: list[CrossValidation]) -> None:
    """A row for each, and the verdicts."""
    headings, rows, notes = tables.of_cross_validations(validated)
    _print(_table(Text("Cross-validation", style="bold"), headings, rows, []), notes)


def print_groups(data: DataSet, metric: str, setting: str) -> None:
    """A row for each value of a setting: the metric's mean and standard deviation over its runs."""
    title = Text(f"{metric} by {setting}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    shown = METRICS[metric]
    for heading in (setting, "runs", "mean %" if shown.share else "mean", "std", "best", "best run"):
        table.add_column(heading, justify="left" if heading in (setting, "best run") else "right")
    for group in by_setting(data.ranked, metric, setting):
        values = (group.mean, group.std, group.best.metric(metric))
        numbers = (show(value, shown.form, shown.scale) for value in values)
        table.add_row(Text(group.value), str(group.num_runs), *numbers, Text(group.best.name))
    console.print(table)


def _table(title: Text, headings: list[str], rows: list[list[str]], left_out: list[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    columns = [(k, name) for k, name in enumerate(headings) if name not in left_out]
    for _, name in columns:
        table.add_column(name, justify="left" if name in tables.WORDS else "right")
    for row in rows:
        table.add_row(*(Text(row[k]) for k, _ in columns))
    return table


def _width(table: Table) -> int:
    return console.measure(table, options=console.options.update(width=1000)).maximum


def _print(table: Table, notes: list[str]) -> None:
    table.width = _width(table)  # a file has no width to fit into
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
    console.print()
