"""What is inside a network, arrays to figures: projections, filters, activations.

Projections and weights have a sign: middle grey is zero, white positive, black negative, as in the figures
of Zeiler and Fergus (2014); in colour likewise, channel by channel. Pixels are enlarged without blurring.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from convlab.figures.sheet import Sheet, sheet_of
from convlab.figures.style import styled
from convlab.figures.tiles import GAP, OUTSIDE, TILE, Array, colours, fitted, grid, scaled, signed

GREY = "grey is zero, white positive, black negative"  # for notes
LABELS, NUMBERS = 140, 13  # pixels: to the left of rows, and above them


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
                grid([signed(projection) for projection, _ in pairs]),
                grid([colours(patch) for _, patch in pairs]),
            ]
        )
        for index, pairs in blocks.items()
    }
    return sheet_of({f"map {index}": picture for index, picture in drawn.items()}, title, note, columns)


@styled
def filters(weights: Array, title: str, note: str = "", columns: int = 8) -> Figure:
    """The weights n c h w of a convolution that reads pixels, all on one scale; c is 1 or 3."""
    largest = float(np.abs(weights).max())
    tiles = {str(index): fitted(signed(each, largest), TILE, TILE) for index, each in enumerate(weights)}
    return sheet_of(tiles, title, note, min(columns, len(tiles)))


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
    rows = [_row("image", image, [colours(image)], [])]
    for name, output, shown in layers:
        if output.ndim == 3:
            tiles = [scaled(output[index][None], output[list(shown)]) for index in shown]
            rows.append(_row(name, output, tiles, [str(index) for index in shown]))
    pitch = max(tile.shape[1] for row in rows for tile in row.tiles) + GAP
    width = max(LABELS + pitch * max(len(row.tiles) for row in rows), 800)
    for name, output, _ in layers:
        if output.ndim == 1:
            strip = scaled(output[None, None], output)[0]
            places = np.arange(width - LABELS - 8) * len(strip) // (width - LABELS - 8)
            framed = np.empty((20, width - LABELS - 8, 3))
            framed[...] = OUTSIDE
            framed[1:-1, 1:-1] = strip[places][1:-1]
            rows.append(_Row(name, _size(output), [framed], []))
    if classes:
        rows[-1].numbers.extend(classes)
    sheet = Sheet(width, sum(row.height for row in rows) + 4, title, note)
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


class _Row(NamedTuple):
    """A layer's tiles, and the numbers above them."""

    name: str
    size: str
    tiles: list[Array]
    numbers: list[str]

    @property
    def height(self) -> int:
        return int(self.tiles[0].shape[0]) + (NUMBERS if self.numbers else 0) + 8


def _row(name: str, output: Array, tiles: Sequence[Array], numbers: list[str]) -> _Row:
    return _Row(name, _size(output), [fitted(tile, TILE, TILE) for tile in tiles], numbers)


def _size(values: Array) -> str:
    return " x ".join(str(size) for size in values.shape)
