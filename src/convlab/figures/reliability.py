"""The reliability diagram: how often answers of a given confidence are right."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from convlab.figures.style import BLUE, INK, VERMILLION, styled


@styled
def reliability(counts: ArrayLike, accuracy: ArrayLike, confidence: ArrayLike, title: str) -> Figure:
    """Of equal bins of confidence from 0 to 1: the images in each, their accuracy and their mean confidence.

    A bar is a bin's accuracy; its difference from the confidence is framed in vermillion. Below is the share
    of the images that each bin holds. Bins without images have no bar.
    """
    images, right, sure = (np.asarray(each, dtype=np.float64) for each in (counts, accuracy, confidence))
    filled = images > 0
    width = 1 / len(images)
    middle = (np.arange(len(images)) + 0.5)[filled] * width
    images, right, sure = images[filled], right[filled], sure[filled]
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    axes.bar(middle, right, 0.86 * width, color=BLUE, alpha=0.55, label="accuracy")
    axes.bar(
        middle,
        sure - right,
        0.86 * width,
        right,
        color="none",
        edgecolor=VERMILLION,
        label="gap to confidence",
    )
    axes.plot((0, 1), (0, 1), color=INK, linewidth=0.9, linestyle=":")
    axes.set(xlim=(0, 1), ylim=(0, 1), title=title)
    axes.legend(loc="upper left", fontsize=9)
    below.bar(middle, images / max(images.sum(), 1), 0.86 * width, color=BLUE, alpha=0.55)
    below.set(ylim=(0, 1), xlabel="confidence", ylabel="of images")
    for axis in (axes.yaxis, below.yaxis, below.xaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    return figure
