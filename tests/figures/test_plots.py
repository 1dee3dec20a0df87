"""What the figures show, read back from the artists and from the pixels they are drawn with."""

import math

import matplotlib as mpl
import numpy as np
import pytest
from drawn import pixels, texts
from matplotlib.colors import to_hex
from PIL import Image

from convlab.figures import plots
from convlab.figures.mistakes import mistakes
from convlab.figures.style import BLUE, VERMILLION


def row(epoch, **metrics):
    return {"epoch": epoch, **{name.replace("_", "/"): value for name, value in metrics.items()}}


def test_confusion_matrix_counts_and_colours():
    matrix = [[3, 1, 0], [0, 0, 0], [1, 0, 8]]
    figure = plots.confusion_matrix(matrix, ["a", "b", "c"])
    axes = figure.axes[0]
    cells = axes.images[0].get_array()
    assert to_hex(cells[0, 0, :3]) == BLUE
    assert to_hex(cells[0, 1, :3]) == VERMILLION
    # the square root of the share of the row: 3/4, 1/4; 1/9, 8/9; an empty row stays clear
    strength = [[math.sqrt(0.75), 0.5, 0], [0, 0, 0], [1 / 3, 0, math.sqrt(8 / 9)]]
    np.testing.assert_allclose(cells[..., 3], strength)
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "3", (1, 0): "1", (0, 2): "1", (2, 2): "8"}  # x: predicted, y: true
    assert axes.get_title(loc="left") == "11 of 13 right (84.6 %)"


@pytest.mark.parametrize(
    ("num_classes", "numbers", "names"), [(20, True, True), (21, False, True), (61, False, False)]
)
def test_confusion_matrix_of_many_classes_stays_readable(num_classes, numbers, names):
    figure = plots.confusion_matrix(np.eye(num_classes), [f"class {k}" for k in range(num_classes)])
    assert bool(figure.axes[0].texts) is numbers
    assert ("class 7" in texts(figure)) is names
    assert max(figure.get_size_inches()) <= 10


def test_nothing_but_certainty_is_called_100_per_cent():
    matrix = [[99_999, 1], [0, 0]]
    assert plots.confusion_matrix(matrix, ["a", "b"]).axes[0].get_title(loc="left").endswith("(99.9 %)")
    assert plots.confusion_matrix(np.eye(2), ["a", "b"]).axes[0].get_title(loc="left").endswith("(100.0 %)")


def test_curves_draw_each_epoch_of_train_and_val():
    history = [
        row(1, train_loss=0.9, train_acc=0.7, val_loss=0.8, val_acc=0.75),
        row(2, train_loss=0.5, train_acc=0.8, val_loss=0.6, val_acc=0.85),
    ]
    loss, accuracy = plots.curves(history).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in loss.lines}
    assert drawn == {"validation": [[1, 0.8], [2, 0.6]], "training": [[1, 0.9], [2, 0.5]]}
    assert accuracy.lines[0].get_xydata().tolist() == [[1, 0.75], [2, 0.85]]
    assert loss.lines[0].get_color() != loss.lines[1].get_color()
    assert loss.lines[0].get_linestyle() != loss.lines[1].get_linestyle()


def test_curves_of_a_single_epoch_have_one_tick_and_visible_points():
    figure = plots.curves([row(1, train_loss=0.9, train_acc=1.0, val_loss=0.0, val_acc=1.0)])
    figure.draw_without_rendering()
    loss, accuracy = figure.axes
    low, high = accuracy.get_xlim()
    assert [tick for tick in accuracy.get_xticks() if low <= tick <= high] == [1]
    assert accuracy.get_ylim()[1] == pytest.approx(1, abs=0.01)
    assert loss.get_ylim()[0] == 0
    blue = np.abs(pixels(figure) - [0, 0x72, 0xB2]).sum(axis=2) < 10
    assert blue.sum() > 50


def test_epochs_without_a_number_are_left_out():
    history = [
        row(1, train_loss=0.9, val_loss=math.nan),
        row(2, train_loss=0.5),
        row(3, train_loss="", val_loss=0.4),
    ]
    lines = {line.get_label(): line.get_xydata().tolist() for line in plots.curves(history).axes[0].lines}
    assert lines == {"validation": [[3, 0.4]], "training": [[1, 0.9], [2, 0.5]]}


def test_overlaid_runs_differ_in_colour_marker_and_dash():
    histories = {f"run{k}": [row(1, val_acc=0.9), row(2, val_acc=0.9 + k / 100)] for k in range(4)}
    axes = plots.overlaid(histories, "val/acc").axes[0]
    looks = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines]
    for aspect in zip(*looks, strict=True):
        assert len(set(aspect)) == 4
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(histories)
    assert axes.get_title(loc="left") == "Validation accuracy"


def test_class_names_are_text_not_mathematics():
    names = ["$\\broken{$", "a_name_that_is_far_too_long_for_any_axis"]
    for figure in (
        plots.confusion_matrix(np.eye(2), names),
        mistakes([Image.new("L", (4, 4))], [0], [[0.1, 0.9]], names),
        plots.overlaid({names[0]: [row(1, val_loss=1.0)]}, "val/loss"),
    ):
        pixels(figure)
        assert any("$\\broken{$" in text for text in texts(figure))
    assert "a_name_that_is_far_…" in texts(plots.confusion_matrix(np.eye(2), names))


def test_figures_leave_the_callers_settings_alone():
    before = dict(mpl.rcParams)
    plots.confusion_matrix(np.eye(2), ["a", "b"])
    assert dict(mpl.rcParams) == before


def test_accuracy_by_size_joins_means_and_spans_the_seeds():
    figure = plots.by_size({"linear": {20: [0.7, 0.9], 5: [0.5, 0.6]}, "mlp": {5: [0.4]}}, "images a class")
    (axes,) = figure.axes
    linear, mlp = axes.lines
    assert (linear.get_xdata().tolist(), linear.get_ydata().tolist()) == ([5, 20], pytest.approx([0.55, 0.8]))
    assert (mlp.get_xdata().tolist(), mlp.get_ydata().tolist()) == ([5], [0.4])
    band = axes.collections[0].get_paths()[0].vertices
    assert {(x, y) for x, y in band.round(6).tolist()} == {(5, 0.5), (5, 0.6), (20, 0.7), (20, 0.9)}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["5", "20"]
    assert axes.get_xlabel() == "images a class"
