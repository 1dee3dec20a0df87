"""Arrays to figures: confusion matrix, learning curves, worst mistakes. Nothing is read or written here.

Figures carry their own size and resolution: `figure.savefig(path)` is all a caller needs. The colours are
Okabe and Ito's, told apart by colour-blind people; line style and marker differ too, for print in black
and white. Two greys are named so that a page can exchange them for its own (see `report.py`): `INK`
writes, `LINE` frames.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray
from PIL import Image

INK, LINE = "#1c2024", "#d5dae1"
BLUE, VERMILLION = "#0072b2", "#d55e00"
SERIES = (BLUE, VERMILLION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", ":", "-.")
STYLE: Any = {
    "figure.dpi": 144,
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called `$1 bill $2`
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "legend.frameon": False,
}
CARD_WIDTH, CARD_HEIGHT = 1.9, 2.75  # inches, of a mistake in the gallery
MAX_NUMBERED, MAX_NAMED = 20, 60  # classes up to which a confusion matrix shows counts, and names

History = Sequence[Mapping[str, Any]]  # one row an epoch, as in history.csv
Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw with STYLE, and leave the caller's own matplotlib settings alone."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


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
    names = [_short(name) for name in classes] if num_classes <= MAX_NAMED else []
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
def overlaid(histories: Mapping[str, History], metric: str) -> Figure:
    """One metric of history.csv (`val/acc`, `val/loss`) of several runs, by epoch."""
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for index, (name, history) in enumerate(histories.items()):
        _line(axes, history, metric, index, _short(name, 28))
    split, quantity = metric.split("/")
    noun = {"acc": "accuracy"}.get(quantity, quantity)
    axes.set_title({"val": "Validation", "train": "Training"}[split] + " " + noun)
    axes.set_xlabel("epoch")
    _finish(axes, list(histories.values()), quantity)
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
        axes.plot(sizes, means, color=colour, marker=marker, linestyle=style, label=_short(name, 28))
    axes.set_xscale("log")
    ticks = sorted({each for measured in accuracies.values() for each in measured})
    axes.set_xticks(ticks, [f"{each:,}" for each in ticks])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel(size)
    axes.set_title("Test accuracy: mean and range over seeds")
    axes.legend(loc="lower right", fontsize=9)
    return figure


def worst_mistakes(labels: ArrayLike, probabilities: ArrayLike, limit: int = 24) -> NDArray[np.int64]:
    """Indices of wrongly classified images, the network's surest first; labels n, probabilities n k."""
    scores, truth = np.asarray(probabilities), np.asarray(labels)
    wrong = np.flatnonzero(scores.argmax(axis=1) != truth)
    order = np.argsort(-scores[wrong].max(axis=1), kind="stable")
    return wrong[order][:limit]


@styled
def mistakes(
    images: Sequence[Image.Image],
    labels: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    limit: int = 24,
) -> Figure:
    """The `limit` worst of the images (see `worst_mistakes`), each with its true class and the top three.

    labels n, probabilities n k. The true class's bar is blue, wrong ones vermillion.
    """
    scores, truth = np.asarray(probabilities), np.asarray(labels)
    worst = worst_mistakes(truth, scores, limit)
    if not len(worst):
        figure = Figure(figsize=(5, 1))
        figure.text(0.5, 0.5, "No mistakes", ha="center", va="center")
        return figure
    num_columns = min(6, len(worst))
    num_rows = math.ceil(len(worst) / num_columns)
    figure = Figure(figsize=(CARD_WIDTH * num_columns, CARD_HEIGHT * num_rows))
    axes = figure.add_axes((0, 0, 1, 1))  # one for all, in inches: two for each card take a second
    bars: list[tuple[float, float, float, str]] = []
    for place, index in enumerate(worst):
        row, column = divmod(place, num_columns)
        left, top = CARD_WIDTH * column + 0.1, CARD_HEIGHT * row + 0.32
        axes.text(left + 0.85, top - 0.07, f"true: {_short(classes[truth[index]], 18)}", ha="center")
        _picture(axes, images[index], left, top, side=1.7)
        bars += _top_three(axes, scores[index], int(truth[index]), classes, left, top + 1.75, width=1.7)
    lefts, middles, widths, colours = zip(*bars, strict=True)
    axes.barh(middles, widths, height=0.19, left=lefts, color=colours, alpha=0.35)  # once: each call is slow
    axes.set(xlim=(0, CARD_WIDTH * num_columns), ylim=(CARD_HEIGHT * num_rows, 0), aspect="auto")
    axes.set_axis_off()
    return figure


def _picture(axes: Axes, image: Image.Image, left: float, top: float, side: float) -> None:
    """The whole image in the middle of a square, whatever its shape."""
    width, height = (side * length / max(image.size) for length in image.size)
    x, y = left + (side - width) / 2, top + (side - height) / 2
    shown = image.convert("RGB")
    shown.thumbnail((300, 300))  # more can't be seen
    axes.imshow(np.asarray(shown), extent=(x, x + width, y + height, y))


def _top_three(
    axes: Axes,
    scores: NDArray[Any],
    truth: int,
    classes: Sequence[str],
    left: float,
    top: float,
    width: float,
) -> list[tuple[float, float, float, str]]:
    """Write the names; returns left end, middle, width and colour of the bar behind each."""
    best = np.argsort(-scores, kind="stable")[:3]
    middles = [top + 0.21 * (row + 0.5) for row in range(len(best))]
    for middle, index in zip(middles, best, strict=True):
        axes.text(left + 0.04, middle, _short(classes[index], 16), va="center", fontsize=8.5)
        text = percent(scores[index], 0)
        axes.text(left + width - 0.02, middle, text, ha="right", va="center", fontsize=8.5)
    return [
        (left, middle, width * float(scores[index]), BLUE if index == truth else VERMILLION)
        for middle, index in zip(middles, best, strict=True)
    ]


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


def percent(share: float, decimals: int = 1) -> str:
    """Never rounded up to certainty: 99.97 % is no 100 %."""
    text = f"{100 * share:.{decimals}f} %"
    return f"{100 - 10.0**-decimals:.{decimals}f} %" if share < 1 and text.startswith("100") else text


def _short(name: str, limit: int = 20) -> str:
    return name if len(name) <= limit else name[: limit - 1].rstrip() + "…"
