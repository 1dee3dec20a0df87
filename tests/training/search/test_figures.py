"""A search's figures show the numbers they are given."""

import numpy as np
import pytest
from matplotlib.colors import same_color
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from convlab.figures.style import VERMILLION
from convlab.training.search import figures

SPACE = {
    "lr": FloatDistribution(0.001, 0.1, log=True),
    "pooling": CategoricalDistribution(["max", "average", "none"]),
    "hidden": IntDistribution(10, 50),
}


def test_parallel_coordinates_place_each_value_on_its_axis():
    trials = [
        {"lr": 0.01, "pooling": "average", "hidden": 20},
        {"lr": 0.1, "pooling": "none", "hidden": 10},
    ]
    figure = figures.parallel_coordinates(trials, [0.9, 0.8], [False, True], SPACE, True, "val/acc")
    (axes,) = figure.axes
    lines = {
        tuple(np.round(line.get_ydata(), 6)[:3]): line for line in axes.lines if len(line.get_xdata()) == 4
    }
    assert set(lines) == {(0.5, 0.5, 0.25), (1.0, 1.0, 0.0)}
    assert same_color(lines[0.5, 0.5, 0.25].get_color(), VERMILLION)  # the best complete one
    assert lines[1.0, 1.0, 0.0].get_linestyle() == ":"  # pruned
    assert [text.get_text() for text in axes.get_xticklabels()] == ["lr", "pooling", "hidden", "val/acc"]


def test_a_diverged_trial_does_not_flatten_the_others():
    values = [0.1, 0.1, 0.98, 0.985, 0.99]
    trials = [{"lr": 0.01, "pooling": "max", "hidden": 20}] * 5
    figure = figures.parallel_coordinates(trials, values, [False] * 5, SPACE, True, "val/acc")
    ends = [line.get_ydata()[-1] for line in figure.axes[0].lines if len(line.get_xdata()) == 4]
    # the better half, 0.98 to 0.99, is widened downwards by its own width: the axis is 0.97 to 0.9902
    expected = [0, 0, 0.01 / 0.0202, 0.015 / 0.0202, 0.02 / 0.0202]
    assert sorted(ends) == pytest.approx(expected)
    assert any(text.get_text() == "≤ 0.970" for text in figure.axes[0].texts)


@pytest.mark.parametrize(("maximize", "best"), [(True, [0.5, 0.5, 0.7]), (False, [0.5, 0.4, 0.4])])
def test_the_best_so_far_is_that_of_complete_trials(maximize, best):
    # pruned last, with the best value of all: it does not count
    figure = figures.history(
        [0, 1, 2, 3],
        [0.5, 0.4, 0.7, 9.0 if maximize else 0.1],
        [False, False, False, True],
        maximize,
        "val/acc",
    )
    (line,) = [line for line in figure.axes[0].lines if same_color(line.get_color(), VERMILLION)]
    low, high = figures._limits(np.array([0.5, 0.4, 0.7, 9.0 if maximize else 0.1]), maximize)
    assert line.get_ydata().tolist() == pytest.approx(np.clip([*best, best[-1]], low, high).tolist())


def test_importances_are_in_order_with_their_shares():
    figure = figures.importances({"lr": 0.7, "hidden": 0.1, "pooling": 0.2})
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.2, 0.7]  # from the bottom
    assert [text.get_text() for text in axes.get_yticklabels()] == ["hidden", "pooling", "lr"]
    assert [text.get_text() for text in axes.texts] == ["10 %", "20 %", "70 %"]
