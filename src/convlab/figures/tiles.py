"""Arrays to pictures h w 3 from 0 to 1: signed values as greys, enlarged without blurring, in grids."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
OUTSIDE = np.array([0.72, 0.82, 0.91])  # a pale blue: between close-ups, and where there is no image
# In pixels of the figure: what a close-up is enlarged to, what a large one is shrunk to, the size of maps
# and filters; between pictures.
CELL, LARGEST, TILE, GAP = 66, 110, 56, 3


def signed(values: Array, largest: float | None = None) -> Array:
    """h w 3 from 0 to 1: 0.5 where a value (c h w) is 0, 1 at `largest` (its own unless given)."""
    if largest is None:
        largest = float(np.nanmax(np.abs(values), initial=0.0))
    return colours(0.5 + values / (2 * largest) if largest > 0 else values * 0 + 0.5)


def colours(values: Array) -> Array:
    """h w 3 from c h w; one channel is grey."""
    return np.repeat(values, 3 // len(values), axis=0).transpose(1, 2, 0)


def scaled(values: Array, among: Array) -> Array:
    """c h w on the one scale of `among`."""
    low, high = float(among.min()), float(among.max())
    if low < 0:
        return signed(values, max(-low, high))
    return colours(values / high if high > 0 else values)


def grid(pictures: Sequence[Array]) -> Array:
    """Up to nine pictures h w 3 of one size in three rows of three; what is not a number is outside."""
    cells = [fitted(picture, CELL, LARGEST) for picture in pictures]
    height, width = cells[0].shape[:2]
    canvas = np.empty((3 * height + 4 * GAP, 3 * width + 4 * GAP, 3))
    canvas[...] = OUTSIDE
    for place, cell in enumerate(cells):
        row, column = divmod(place, 3)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        canvas[top : top + height, left : left + width] = cell
    return canvas


def fitted(picture: Array, about: int, most: int) -> Array:
    """h w 3 enlarged by a whole number to about so many pixels, or averaged where it has more than `most`."""
    picture = np.where(np.isnan(picture), OUTSIDE, np.clip(picture, 0, 1))
    longer = max(picture.shape[:2])
    if longer <= most:
        factor = max(1, round(about / longer))
        return picture.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = (max(1, round(pixels * most / longer)) for pixels in picture.shape[:2])
    shrunk = Image.fromarray(in_bytes(picture)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(shrunk) / 255


def in_bytes(picture: Array) -> Array:
    """uint8 from 0 to 255."""
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
