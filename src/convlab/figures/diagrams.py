"""Arrays to figures that explain: windows on an axis, images side by side, accuracy along a range.

A figure carries its size and style, nothing is read or written here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from convlab.arithmetic.sizes import Padding, span
from convlab.arithmetic.tiling import Tiling, tiling
from convlab.figures.style import BLUE, DASHES, INK, LINE, MARKERS, SERIES, VERMILLION, styled

GREEN = SERIES[2]
SIGNED = LinearSegmentedColormap.from_list("signed", [VERMILLION, "white", BLUE])


@styled
def windows(
    size: int,
    kernel: int,
    stride: int = 1,
    paddings: Sequence[Padding] = ("VALID", "SAME"),
    dilation: int = 1,
) -> Figure:
    """Where the windows lie on `size` pixels, under each padding: pixels are boxes, zeros grey, taps dots.

    Pixels that no window reads are vermillion. Raises ConvlabError where not even one window fits.
    """
    tilings = [tiling(size, kernel, stride, padding, dilation) for padding in paddings]
    first, last = max(tiles.before for tiles in tilings), size + max(tiles.after for tiles in tilings)
    heights = [1.2 + 0.42 * tiles.outputs for tiles in tilings]
    width = max(0.42 * (first + last), 4.6)
    figure = Figure(figsize=(width, 0.42 * sum(heights) + 0.34 * len(tilings)), layout="constrained")
    panels = figure.subplots(len(paddings), squeeze=False, height_ratios=heights)[:, 0]
    for axes, padding, tiles, height in zip(panels, paddings, tilings, heights, strict=True):
        _boxes(axes, size, tiles)
        for window in range(tiles.outputs):
            start, row = window * stride - tiles.before, -0.55 - 0.42 * window
            colour = (BLUE, GREEN)[window % 2]
            axes.plot([start - 0.32, start + span(kernel, dilation) - 0.68], [row, row], color=colour)
            taps = [start + tap * dilation for tap in range(kernel)]
            axes.plot(taps, [row] * kernel, "o", color=colour, markersize=4)
        name = padding if isinstance(padding, str) else f"P = {padding}"
        axes.set_title(f"{name}: {tiles.outputs} window{'s' if tiles.outputs != 1 else ''}{_beside(tiles)}")
        axes.set(xlim=(-first - 0.7, last - 0.3), ylim=(0.6 - height, 0.5))
        axes.set_aspect("equal", anchor="W")
        axes.set_axis_off()
    return figure


def _boxes(axes: Axes, size: int, tiles: Tiling) -> None:
    for place in range(-tiles.before, size + tiles.after):
        zero = not 0 <= place < size
        unseen = place in tiles.unseen
        face = LINE if zero else VERMILLION if unseen else "white"
        edge = "none" if zero else INK
        axes.add_patch(
            Rectangle((place - 0.45, -0.3), 0.9, 0.72, facecolor=face, edgecolor=edge, linewidth=0.8)
        )
        colour = "white" if unseen else INK
        axes.text(place, 0.05, "0" if zero else f"{place + 1}", ha="center", va="center", color=colour)


def _beside(tiles: Tiling) -> str:
    zeros = f", {tiles.before} + {tiles.after} zeros" if tiles.before or tiles.after else ""
    return zeros + (f", {len(tiles.unseen)} pixels unseen" if tiles.unseen else "")


@styled
def images(named: Mapping[str, ArrayLike], columns: int | None = None, signed: bool = False) -> Figure:
    """Arrays h w side by side, each with its name above, all on one scale of grey.

    signed: zero is white, above it blue, below it vermillion, each array on its own scale.
    """
    count = len(named)
    columns = min(columns or count, count)
    lines = math.ceil(count / columns)
    figure = Figure(figsize=(1.55 * columns, 1.8 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    arrays = [np.asarray(array, dtype=float) for array in named.values()]
    low, high = min(array.min() for array in arrays), max(array.max() for array in arrays)
    for axes, name, array in zip(panels, named, arrays, strict=False):
        reach = float(np.abs(array).max()) or 1.0
        scale = (
            {"cmap": SIGNED, "vmin": -reach, "vmax": reach}
            if signed
            else {"cmap": "gray", "vmin": low, "vmax": high}
        )
        axes.imshow(array, interpolation="none", **scale)
        axes.set_title(name, fontsize=9.5, loc="center")
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(True)
    for axes in figure.axes[count:]:
        axes.set_axis_off()
    return figure


@styled
def accuracies(
    along: Sequence[float], named: Mapping[str, Sequence[float]], title: str, xlabel: str
) -> Figure:
    """Accuracy, as a share of 1, of several networks along a range; each line ends in its name."""
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.subplots()
    for index, (name, values) in enumerate(named.items()):
        style: dict[str, Any] = {
            "color": SERIES[index % len(SERIES)],
            "linestyle": DASHES[index % len(DASHES)],
        }
        axes.plot(along, values, marker=MARKERS[index % len(MARKERS)], label=name, **style)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set(title=title, xlabel=xlabel, xticks=along)
    axes.legend(loc="best", fontsize=9)
    return figure


@styled
def connections_and_codes(
    table: Sequence[Sequence[int]], codes: ArrayLike, code_width: int, names: Sequence[str]
) -> Figure:
    """Left, a column for each output map, a dot where it reads an input map; right, codes n d as bitmaps.

    Columns that read the same number of maps have one colour. Codes are +1 (ink) and -1, one a name.
    """
    in_maps = 1 + max(max(reads) for reads in table)
    bitmaps = np.reshape(np.asarray(codes), (len(names), -1, code_width))
    columns = math.ceil(len(names) / 2)
    figure = Figure(figsize=(9.6, 3.3), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.35, 1], wspace=0.04)[0]
    axes = left.subplots()
    counts = sorted({len(reads) for reads in table})
    for count in counts:
        dots = [(column, read) for column, reads in enumerate(table) if len(reads) == count for read in reads]
        place = counts.index(count)
        style = {"color": SERIES[place % len(SERIES)], "marker": MARKERS[place % len(MARKERS)]}
        axes.plot(*zip(*dots, strict=True), linestyle="none", markersize=9, label=f"reads {count}", **style)
    axes.set_xticks(range(len(table)))
    axes.set_yticks(range(in_maps))
    axes.set(xlabel="map of C3", ylabel="map of S2")
    axes.set_xlim(-0.6, len(table) - 0.4)
    axes.set_ylim(in_maps - 0.4, -0.6)
    axes.tick_params(length=0)
    number = sum(len(reads) for reads in table)
    axes.set_title(f"{number} kernels of {in_maps * len(table)}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(counts), handletextpad=0.2)
    for panel, name, bitmap in zip(right.subplots(2, columns).flat, names, bitmaps, strict=False):
        panel.imshow(bitmap, cmap="Greys", vmin=-1, vmax=1, interpolation="none")
        panel.set_xticks(np.arange(-0.5, code_width), [])
        panel.set_yticks(np.arange(-0.5, bitmap.shape[0]), [])
        panel.tick_params(length=0)
        panel.set_axisbelow(False)
        panel.spines[:].set_visible(True)
        panel.set_title(name, loc="center")
    return figure
