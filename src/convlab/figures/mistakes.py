"""The gallery of a network's worst mistakes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from convlab.figures.style import BLUE, VERMILLION, percent, shortened, styled

CARD_WIDTH, CARD_HEIGHT = 1.9, 2.75  # inches, of a mistake in the gallery


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
        axes.text(left + 0.85, top - 0.07, f"true: {shortened(classes[truth[index]], 18)}", ha="center")
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
        axes.text(left + 0.04, middle, shortened(classes[index], 16), va="center", fontsize=8.5)
        text = percent(scores[index], 0)
        axes.text(left + width - 0.02, middle, text, ha="right", va="center", fontsize=8.5)
    return [
        (left, middle, width * float(scores[index]), BLUE if index == truth else VERMILLION)
        for middle, index in zip(middles, best, strict=True)
    ]
