"""What a run measured, as figures: confusion matrix, learning curves, accuracy by the training set's size.

Arrays to figures: nothing is read or written here. Figures carry their own size and resolution:
`figure.savefig(path)` is all a caller needs.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike

from convlab.figures.style import (
    BLUE,
    DASHES,
    INK,
    MARKERS,
    SERIES,
    VERMILLION,
    percent,
    shortened,
    styled,
)

MAX_NUMBERED, MAX_NAMED = 20, 60  # classes up to which a confusion matrix shows counts, and names

History = Sequence[Mapping[str, Any]]  # one row an epoch, as in history.csv


@styled
def confusion_matrix(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """Counts k k, row: true class, column: predicted. Right answers are blue, mistakes vermillion.

    A cell's strength is the square root of its share of the row: at linear strength the rare mistakes of
    a good network could not be seen. The background stays clear, so the figure suits any page.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    num_classes = len(classes)
    strength = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    cells = np.empty((num_classes, num_classes, 4))
    cells[...] = (*to_rgb(VERMILLION), 1.0)
    cells[np.diag_indices(num_classes)] = (*to_rgb(BLUE), 1.0)
    cells[..., 3] = strength

    side = float(np.clip(2.2 + 0.32 * num_classes, 4.8, 10))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(cells, interpolation="none")
    size = min(10.0, 200 / max(num_classes, 1))
    if num_classes <= MAX_NUMBERED:
        for row, column in np.argwhere(counts):
            colour = "white" if strength[row, column] > 0.6 else INK
            number = f"{counts[row, column]:,}"
            axes.text(column, row, number, ha="center", va="center", color=colour, fontsize=min(size, 8.5))
    names = [shortened(name) for name in classes] if num_classes <= MAX_NAMED else []
    places = range(len(names))
    slant: dict[str, Any] = (
        {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, classes)) > 3 else {}
    )
    axes.set_xticks(places, names, fontsize=size, **slant)
    axes.set_yticks(places, names, fontsize=size)
    axes.set(xlabel="predicted", ylabel="true")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(True)
    total, right = int(counts.sum()), int(np.trace(counts))
    axes.set_title(f"{right:,} of {total:,} right ({percent(right / max(total, 1))})")
    return figure


@styled
def curves(history: History) -> Figure:
    """Loss and accuracy by epoch, training against validation; `history` has the rows of history.csv."""
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    panels = figure.subplots(2, sharex=True)
    for axes, quantity, title in zip(panels, ("loss", "acc"), ("Loss", "Accuracy"), strict=True):
        for index, (split, label) in enumerate((("val", "validation"), ("train", "training"))):
            _line(axes, history, f"{split}/{quantity}", index, label)
        axes.set_title(title)
    _finish(panels[0], [history], "loss")
    _finish(panels[1], [history], "acc")
    panels[0].legend(loc="best")
    panels[1].set_xlabel("epoch")
    return figure


@styled
def overlaid(histories: Mapping[str, History], metric: str, *, legend: bool = True) -> Figure:
    """One metric of history.csv (`val/acc`, `val/loss`) of several runs, by epoch.

    Their lines have the gids `series-0`, `series-1` ..., for a page that switches them on and off.
    """
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for index, (name, history) in enumerate(histories.items()):
        _line(axes, history, metric, index, shortened(name, 28))
    split, quantity = metric.split("/")
    noun = {"acc": "accuracy"}.get(quantity, quantity)
    axes.set_title({"val": "Validation", "train": "Training"}[split] + " " + noun)
    axes.set_xlabel("epoch")
    _finish(axes, list(histories.values()), quantity)
    if legend:
        axes.legend(loc="best", fontsize=9)
    return figure


@styled
def by_size(accuracies: Mapping[str, Mapping[int, Sequence[float]]], size: str) -> Figure:
    """Test accuracy by the size of the training set, a curve a network; `size` names what is counted.

    accuracies: network -> size -> one accuracy for each seed. The line joins means, the band spans all seeds.
    """
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for index, (name, measured) in enumerate(accuracies.items()):
        sizes = sorted(measured)
        means = [float(np.mean(measured[each])) for each in sizes]
        colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
        low, high = ([limit(measured[each]) for each in sizes] for limit in (min, max))
        axes.fill_between(sizes, low, high, color=colour, alpha=0.18, linewidth=0)
        style = DASHES[index % len(DASHES)]
        axes.plot(sizes, means, color=colour, marker=marker, linestyle=style, label=shortened(name, 28))
    axes.set_xscale("log")
    ticks = sorted({each for measured in accuracies.values() for each in measured})
    axes.set_xticks(ticks, [f"{each:,}" for each in ticks])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel(size)
    axes.set_title("Test accuracy: mean and range over seeds")
    axes.legend(loc="lower right", fontsize=9)
    return figure


def _line(axes: Axes, history: History, metric: str, index: int, label: str) -> None:
    """A history's `metric` by epoch; epochs without a number (not measured, or diverged) are left out."""
    points = [(row["epoch"], float(row[metric])) for row in history if row.get(metric) not in (None, "")]
    points = [(epoch, value) for epoch, value in points if math.isfinite(value)]
    axes.plot(
        [epoch for epoch, _ in points],
        [value for _, value in points],
        color=SERIES[index % len(SERIES)],
        marker=MARKERS[index % len(MARKERS)],
        linestyle=DASHES[index % len(DASHES)],
        markevery=max(1, len(points) // 12),
        label=label,
        gid=f"series-{index}",
    )


def _finish(axes: Axes, histories: Sequence[History], quantity: str) -> None:
    """Whole epochs from the first to the last; accuracy in per cent, never above 100, loss never below 0."""
    epochs = [row["epoch"] for history in histories for row in history] or [1]
    first, last = min(epochs), max(epochs)
    pad = min(0.03 * (last - first), 0.5) if last > first else 0.5
    axes.set_xlim(first - pad, last + pad)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.margins(y=0.1)
    bottom, top = axes.get_ylim()
    if quantity == "acc":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        axes.set_ylim(bottom, min(top, 1.0 + 0.02 * (1.0 - bottom)))
    else:
        axes.set_ylim(max(bottom, 0.0), top)
