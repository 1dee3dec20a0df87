"""Occlusion sensitivity, arrays to a figure."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from convlab.figures.sheet import DPI, wrapped
from convlab.figures.style import LINE, SERIES, styled
from convlab.figures.tiles import Array, colours

ORANGE = SERIES[4]


@styled
def occlusion(
    images: Sequence[Array],
    maps: Sequence[Array],
    labels: Sequence[str],
    outcomes: Sequence[str],
    squares: Sequence[tuple[int, int, int]],
    extents: Sequence[tuple[float, float, float, float]],
    note: str,
) -> Figure:
    """Images beside maps of a class's probability, from 0 to 1, by the place of a square that covers a part.

    images: c h w from 0 to 1. maps: h w. labels, outcomes: written above an image, and above its map.
    squares: left, top and side of one to draw on each image. extents: what each map covers of its image:
    left, right, bottom, top.
    """
    columns = min(3, len(images))
    num_rows = math.ceil(len(images) / columns)
    wide, high = 3.6 * columns + 0.7, 2.2 * num_rows + 0.62
    figure = Figure(figsize=(wide, high))
    edges = {"left": 0.06 / wide, "right": 1 - 0.7 / wide, "top": 1 - 0.92 / high, "bottom": 0.08 / high}
    cells = figure.add_gridspec(num_rows, columns, wspace=0.06, hspace=0.26, **edges)
    for place, (image, values) in enumerate(zip(images, maps, strict=True)):
        pair = cells[divmod(place, columns)].subgridspec(1, 2, wspace=0.05)
        left, right = figure.add_subplot(pair[0]), figure.add_subplot(pair[1])
        height, width = image.shape[1:]
        left.imshow(colours(image), interpolation="nearest", extent=(0, width, height, 0))
        x, y, side = squares[place]
        mean = tuple(np.repeat(image.mean((1, 2)), 3 // len(image)))
        left.add_patch(Rectangle((x, y), side, side, facecolor=mean, edgecolor=ORANGE, linewidth=1.2))
        right.imshow(values, cmap="cividis", vmin=0, vmax=1, interpolation="nearest", extent=extents[place])
        right.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=ORANGE, linewidth=1.2))
        left.set_title(labels[place], fontsize=9, pad=4)
        right.set_title(outcomes[place], fontsize=7, pad=3)
        for axes in (left, right):
            axes.set(xlim=(0, width), ylim=(height, 0))
            _bare(axes)
    bar = figure.add_axes((1 - 0.6 / wide, 0.25, 0.13 / wide, 0.4))
    figure.colorbar(ScalarMappable(Normalize(0, 1), "cividis"), cax=bar)
    bar.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"], fontsize=7)
    bar.grid(False)
    bar.tick_params(length=0)
    figure.text(0.08 / wide, 1 - 0.08 / high, "Occlusion sensitivity", fontsize=10.5, va="top")
    lines = "\n".join(wrapped(note, int(wide * DPI)))
    figure.text(0.08 / wide, 1 - 0.3 / high, lines, fontsize=7.5, va="top")
    return figure


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(LINE)
