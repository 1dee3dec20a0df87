"""Pictures on a sheet of whole pixels, below a title and a note."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from convlab.figures.style import STYLE
from convlab.figures.tiles import TILE, Array, in_bytes

DPI: float = STYLE["figure.dpi"]
BLOCK_GAP = 26  # pixels between blocks of pictures


class Sheet:
    """A figure laid out in whole pixels below its title and note, so that nothing is resampled."""

    def __init__(self, width: int, height: int, title: str, note: str) -> None:
        self.width = max(width, 640)
        lines = wrapped(note, self.width)
        self.top = 30 + 15 * len(lines) + 12
        self.height = self.top + height
        self.figure = Figure(figsize=(self.width / DPI, self.height / DPI))
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        self._axes.set_axis_off()
        self._axes.text(8, 10, title, fontsize=10.5, va="top")
        self._axes.text(8, 33, "\n".join(lines), fontsize=7.5, va="top", linespacing=1.25)

    def paste(self, picture: Array, left: int, top: int) -> None:
        """Put a picture h w 3, from 0 to 1, to so many pixels below the title's part."""
        height, width = picture.shape[:2]
        top += self.top
        self._axes.imshow(
            in_bytes(picture),
            extent=(left, left + width, top + height, top),
            interpolation="nearest",
            aspect="auto",
        )
        self._axes.set(xlim=(0, self.width), ylim=(self.height, 0))

    def write(self, left: float, top: float, text: str, size: float = 8, **style: Any) -> None:
        """Write at so many pixels below the title's part; `style` is matplotlib's."""
        self._axes.text(left, top + self.top, text, fontsize=size, **style)


def sheet_of(pictures: Mapping[str, Array], title: str, note: str, columns: int) -> Figure:
    """Pictures h w 3 of one size, in rows, each under its name."""
    height, width = next(iter(pictures.values())).shape[:2]
    columns = min(columns, len(pictures))
    gap, above = (BLOCK_GAP, 18) if width > 2 * TILE else (8, 13)
    num_rows = math.ceil(len(pictures) / columns)
    sheet = Sheet(columns * (width + gap) + 8, num_rows * (height + above + 6), title, note)
    for place, (name, picture) in enumerate(pictures.items()):
        row, column = divmod(place, columns)
        left, top = 8 + column * (width + gap), row * (height + above + 6) + above
        sheet.paste(picture, left, top)
        sheet.write(left, top - 3, name, size=7.5 if above > 13 else 6, va="bottom")
    return sheet.figure


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a note in a figure of `width` pixels."""
    return textwrap.wrap(text, max(40, width // 8)) if text else []
