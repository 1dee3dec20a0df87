"""The table of metrics, and that those who show metrics follow it."""

from pathlib import Path

import pytest

from convlab.runs.metrics import COLUMNS, METRICS, RANKING, SHOWN, of_section
from convlab.runs.report.comparison import Comparison, DataSet, rank
from convlab.runs.report.page import page
from convlab.runs.report.results import row
from convlab.runs.report.tables import of_data_set
from convlab.runs.run import Run
from convlab.tracking.run_page import VIEW


def run(name: str, acc: float, **others: float) -> Run:
    test = {"num_images": 10, "acc": acc, "acc_low": acc - 0.1, "acc_high": acc + 0.1, **others}
    whole = {"data": "toys", "model": "Toy", "weights": "raw", "num_parameters": 7, "per_class": {}}
    found = Run(Path("nowhere"), name)
    vars(found)["metrics"] = {**whole, "test": test, "val": {"acc": acc, "loss": 1 - acc}}
    return found


@pytest.fixture
def data() -> DataSet:
    runs = [run("sure", 0.8, loss=0.5, ece=0.25), run("right", 0.9, loss=0.75, ece=0.125)]
    return DataSet("toys", runs, None)


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        *(("test/acc", "right"), ("test/loss", "sure"), ("test/ece", "right")),
        *(("val/acc", "right"), ("val/loss", "right")),
    ],
)
def test_runs_are_ranked_in_a_metric_s_own_direction(data: DataSet, metric: str, best: str) -> None:
    assert rank(data.ranked, metric)["toys"][0].name == best


def test_what_ranks_is_what_the_help_of_compare_lists() -> None:
    assert RANKING == ("test/acc", "test/loss", "test/ece", "val/acc", "val/loss")


def test_a_run_s_row_has_every_metric(data: DataSet) -> None:
    found = row(data.ranked[0])
    assert [key for key in found if key in SHOWN] == list(SHOWN)
    assert {"test/acc_low", "test/acc_high", *METRICS} == set(SHOWN)


def test_a_table_has_a_column_for_each_metric_that_a_run_has(data: DataSet) -> None:
    table = of_data_set(data, "test/acc")
    assert table.headings == [
        "",
        "run",
        "model",
        "accuracy %",
        "95 % interval",
        "loss",
        "ece %",
        "parameters",
    ]
    assert table.rows[0] == ["1", "sure", "Toy", "80.00", "70.00 to 90.00", "0.5000", "25.00", "7"]


def test_a_metric_without_a_column_gets_one_where_it_ranks(data: DataSet) -> None:
    table = of_data_set(data, "val/loss")
    assert (table.headings[-1], table.rows[1][-1]) == ("val/loss", "0.1000")


def test_the_page_shows_the_columns_that_a_run_has(data: DataSet) -> None:
    html = page(Comparison("test/acc", [data]))
    shown = [metric.key for metric in COLUMNS if f">{metric.words.replace(' ', '<br>', 1)}</button>" in html]
    assert shown == ["test/acc", "test/loss", "test/ece"]  # no run has raw weights beside averaged ones
    assert "25.00 %</td>" in html
    assert "0.5000</td>" in html


def test_of_a_split() -> None:
    assert [metric.name for metric in of_section("test")] == ["acc", "loss", "ece"]
    assert [metric.direction for metric in of_section("val")] == ["maximize", "minimize"]


def test_the_tracking_server_shows_what_is_browsed() -> None:
    columns = [name for name in VIEW["selectedColumns"] if name.startswith("metrics.")]
    measured = [f"metrics.`{name}`" for name in ("test/acc", "test/loss", "val/acc")]
    assert columns == [*measured, "metrics.`train/seconds`"]
