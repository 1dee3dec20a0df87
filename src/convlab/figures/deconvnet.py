"""What is inside a network, arrays to figures: projections, filters, activations, occlusion.

Projections and weights have a sign: middle grey is zero, white positive, black negative, as in the figures
of Zeiler and Fergus (2014); in colour likewise, channel by channel. Pixels are enlarged without blurring.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from convlab.figures.plots import LINE, SERIES, STYLE, styled

Array = NDArray[Any]
DPI: float = STYLE["figure.dpi"]
ORANGE = SERIES[4]
OUTSIDE = np.array([0.72, 0.82, 0.91])  # a pale blue: between close-ups, and where there is no image
# In pixels of the figure: what a close-up is enlarged to, what a large one is shrunk to, the size of maps
# and filters; between pictures, and between blocks of them; to the left of rows, and above them.
CELL, LARGEST, TILE = 66, 110, 56
GAP, BLOCK_GAP = 3, 26
LABELS, NUMBERS = 140, 13


@styled
def strongest_activations(
    blocks: Mapping[int, Sequence[tuple[Array, Array]]], title: str, note: str, columns: int = 4
) -> Figure:
    """For each map up to nine projections, and on their right the patches of the images in the same order.

    blocks: map -> (projection, patch) of each activation, strongest first: the projection signed, c h w; the
    patch from 0 to 1, c h w; not a number where there is no image. Each projection is scaled by its own
    largest value.
    """
    drawn = {
        index: np.hstack(
            [
                _grid([signed(projection) for projection, _ in pairs]),
                _grid([_colours(patch) for _, patch in pairs]),
            ]
        )
        for index, pairs in blocks.items()
    }
    return _sheet({f"map {index}": picture for index, picture in drawn.items()}, title, note, columns)


@styled
def filters(weights: Array, title: str, note: str = "", columns: int = 8) -> Figure:
    """The weights n c h w of a convolution that reads pixels, all on one scale; c is 1 or 3."""
    largest = float(np.abs(weights).max())
    tiles = {str(index): _fitted(signed(each, largest), TILE, TILE) for index, each in enumerate(weights)}
    return _sheet(tiles, title, note, min(columns, len(tiles)))


@styled
def activations(
    image: Array,
    layers: Sequence[tuple[str, Array, Sequence[int]]],
    classes: Sequence[str],
    title: str,
    note: str,
) -> Figure:
    """One image through a network: a row a layer.

    image: c h w from 0 to 1. layers: name, output (c h w, or a vector), and the numbers of the maps to show.
    classes: names to write above the last layer's values; none if there are too many.
    Each row has one scale: from black at 0 to white, or grey-centred where the layer has negative values.
    """
    rows = [_row("image", image, [_colours(image)], [])]
    for name, output, shown in layers:
        if output.ndim == 3:
            tiles = [_scaled(output[index][None], output[list(shown)]) for index in shown]
            rows.append(_row(name, output, tiles, [str(index) for index in shown]))
    pitch = max(tile.shape[1] for row in rows for tile in row.tiles) + GAP
    width = max(LABELS + pitch * max(len(row.tiles) for row in rows), 800)
    for name, output, _ in layers:
        if output.ndim == 1:
            strip = _scaled(output[None, None], output)[0]
            places = np.arange(width - LABELS - 8) * len(strip) // (width - LABELS - 8)
            framed = np.empty((20, width - LABELS - 8, 3))
            framed[...] = OUTSIDE
            framed[1:-1, 1:-1] = strip[places][1:-1]
            rows.append(_Row(name, _size(output), [framed], []))
    if classes:
        rows[-1].numbers.extend(classes)
    sheet = _Sheet(width, sum(row.height for row in rows) + 4, title, note)
    top = 0
    for row in rows:
        first = top + (NUMBERS if row.numbers else 0)
        middle = first + row.tiles[0].shape[0] / 2
        apart = 8 if row.tiles[0].shape[0] > 30 else 0  # name and size on two lines, or side by side
        sheet.write(8, middle - apart, row.name, weight="bold", va="center")
        sheet.write(8 if apart else 74, middle + apart + 1, row.size, size=7, va="center")
        for place, tile in enumerate(row.tiles):
            sheet.paste(tile, LABELS + place * pitch, first)
        step = pitch if len(row.tiles) > 1 else (width - LABELS - 8) / max(1, len(row.numbers))
        for place, number in enumerate(row.numbers):
            sheet.write(int(LABELS + place * step), first - 2, number, size=6, va="bottom")
        top += row.height
    return sheet.figure


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
        left.imshow(_colours(image), interpolation="nearest", extent=(0, width, height, 0))
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
    lines = "\n".join(_wrapped(note, int(wide * DPI)))
    figure.text(0.08 / wide, 1 - 0.3 / high, lines, fontsize=7.5, va="top")
    return figure


def signed(values: Array, largest: float | None = None) -> Array:
    """h w 3 from 0 to 1: 0.5 where a value (c h w) is 0, 1 at `largest` (its own unless given)."""
    if largest is None:
        largest = float(np.nanmax(np.abs(values), initial=0.0))
    return _colours(0.5 + values / (2 * largest) if largest > 0 else values * 0 + 0.5)


def _colours(values: Array) -> Array:
    """h w 3 from c h w; one channel is grey."""
    return np.repeat(values, 3 // len(values), axis=0).transpose(1, 2, 0)


def _scaled(values: Array, among: Array) -> Array:
    """c h w on the one scale of `among`."""
    low, high = float(among.min()), float(among.max())
    if low < 0:
        return signed(values, max(-low, high))
    return _colours(values / high if high > 0 else values)


def _grid(pictures: Sequence[Array]) -> Array:
    """Up to nine pictures h w 3 of one size in three rows of three; what is not a number is outside."""
    cells = [_fitted(picture, CELL, LARGEST) for picture in pictures]
    height, width = cells[0].shape[:2]
    canvas = np.empty((3 * height + 4 * GAP, 3 * width + 4 * GAP, 3))
    canvas[...] = OUTSIDE
    for place, cell in enumerate(cells):
        row, column = divmod(place, 3)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        canvas[top : top + height, left : left + width] = cell
    return canvas


def _fitted(picture: Array, about: int, most: int) -> Array:
    """h w 3 enlarged by a whole number to about so many pixels, or averaged where it has more than `most`."""
    picture = np.where(np.isnan(picture), OUTSIDE, np.clip(picture, 0, 1))
    longer = max(picture.shape[:2])
    if longer <= most:
        factor = max(1, round(about / longer))
        return picture.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = (max(1, round(pixels * most / longer)) for pixels in picture.shape[:2])
    shrunk = Image.fromarray(_bytes(picture)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(shrunk) / 255


def _bytes(picture: Array) -> Array:
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


class _Row(NamedTuple):
    """A layer's tiles, and the numbers above them."""

    name: str
    size: str
    tiles: list[Array]
    numbers: list[str]

    @property
    def height(self) -> int:
        return self.tiles[0].shape[0] + (NUMBERS if self.numbers else 0) + 8


def _row(name: str, output: Array, tiles: Sequence[Array], numbers: list[str]) -> _Row:
    return _Row(name, _size(output), [_fitted(tile, TILE, TILE) for tile in tiles], numbers)


def _sheet(pictures: Mapping[str, Array], title: str, note: str, columns: int) -> Figure:
    """Pictures h w 3 of one size, in rows, each under its name."""
    height, width = next(iter(pictures.values())).shape[:2]
    columns = min(columns, len(pictures))
    gap, above = (BLOCK_GAP, 18) if width > 2 * TILE else (8, 13)
    num_rows = math.ceil(len(pictures) / columns)
    sheet = _Sheet(columns * (width + gap) + 8, num_rows * (height + above + 6), title, note)
    for place, (name, picture) in enumerate(pictures.items()):
        row, column = divmod(place, columns)
        left, top = 8 + column * (width + gap), row * (height + above + 6) + above
        sheet.paste(picture, left, top)
        sheet.write(left, top - 3, name, size=7.5 if above > 13 else 6, va="bottom")
    return sheet.figure


class _Sheet:
    """A figure laid out in whole pixels below its title and note, so that nothing is resampled."""

    def __init__(self, width: int, height: int, title: str, note: str) -> None:
        self.width = max(width, 640)
        lines = _wrapped(note, self.width)
        self.top = 30 + 15 * len(lines) + 12
        self.height = self.top + height
        self.figure = Figure(figsize=(self.width / DPI, self.height / DPI))
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        self._axes.set_axis_off()
        self._axes.text(8, 10, title, fontsize=10.5, va="top")
        self._axes.text(8, 33, "\n".join(lines), fontsize=7.5, va="top", linespacing=1.25)

    def paste(self, picture: Array, left: int, top: int) -> None:
        height, width = picture.shape[:2]
        top += self.top
        self._axes.imshow(
            _bytes(picture),
            extent=(left, left + width, top + height, top),
            interpolation="nearest",
            aspect="auto",
        )
        self._axes.set(xlim=(0, self.width), ylim=(self.height, 0))

    def write(self, left: float, top: float, text: str, size: float = 8, **style: Any) -> None:
        self._axes.text(left, top + self.top, text, fontsize=size, **style)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(40, width // 8)) if text else []


def _size(values: Array) -> str:
    return " x ".join(str(size) for size in values.shape)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(LINE)
