"""Attributions to a figure: photos, and which of their pixels a decision rests on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from convlab.figures.style import percent, styled
from convlab.figures.tiles import Array, colours

HEADINGS = ("photo", "Grad-CAM", "guided Grad-CAM", "integrated gradients")
NOTE = (
    "What is explained is the class the network chose. Grad-CAM: where the last maps raised its score. "
    "Guided Grad-CAM: the\npixels' part in that; grey is none. Integrated gradients: each pixel's share in "
    "the class's score; black is none."
)
CLIPPED = 99.5  # percentile that is shown at full strength: single pixels would leave the others invisible


class Explained(NamedTuple):
    """One photo, and the attributions of the class chosen for it.

    pixels: uint8 c h w. grad_cam: h w, nowhere negative. guided, integrated: signed, c h w.
    """

    pixels: Array
    grad_cam: Array
    guided: Array
    integrated: Array
    class_name: str
    choice: str
    probability: float


@styled
def attribution(rows: Sequence[Explained], title: str) -> Figure:
    """A row a photo: itself, Grad-CAM over it, guided Grad-CAM, and integrated gradients."""
    side, gap, head = 1.9, 0.32, 1.05  # inches
    figure = Figure(figsize=(4 * side + 0.5, len(rows) * (side + gap) + head))
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - 0.1 / height, title, fontsize=11, va="top")
    figure.text(0.1 / width, 1 - 0.36 / height, NOTE, fontsize=8, va="top", linespacing=1.3)
    for number, row in enumerate(rows):
        bottom = height - head - (number + 1) * (side + gap) + gap / 2
        panels = (colours(row.pixels) / 255, _overlay(row), _signed(row.guided), _strength(row.integrated))
        for column, (heading, panel) in enumerate(zip(HEADINGS, panels, strict=True)):
            left = 0.1 + column * (side + 0.1)
            axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
            _show(axes, panel)
            if number == 0:
                axes.text(0, 1.13, heading, fontsize=9, transform=axes.transAxes, weight="bold", va="bottom")
            if column == 0:
                axes.text(0, 1.02, _caption(row), fontsize=8.5, transform=axes.transAxes, va="bottom")
    return figure


def _caption(row: Explained) -> str:
    chosen = f"{row.choice} {percent(row.probability, 0)}"
    return f"{chosen}, right" if row.choice == row.class_name else f"{chosen}, but it is {row.class_name}"


def _overlay(row: Explained) -> Array:
    """The photo, darkened and grey where Grad-CAM is zero, itself where it is largest."""
    photo = colours(row.pixels) / 255
    largest = float(row.grad_cam.max())
    light = (row.grad_cam / largest if largest > 0 else row.grad_cam)[..., None]
    dimmed = 0.25 * photo.mean(axis=2, keepdims=True)
    overlaid: Array = light * photo + (1 - light) * dimmed
    return overlaid


def _signed(values: Array) -> Array:
    """Channel by channel: 0.5 is zero."""
    largest = float(np.percentile(np.abs(values), CLIPPED)) or 1.0
    return colours(np.clip(0.5 + values / (2 * largest), 0, 1))


def _strength(values: Array) -> Array:
    """h w: how much a pixel's channels add up to, whatever their sign."""
    sums = np.abs(values.sum(axis=0))
    largest = float(np.percentile(sums, CLIPPED)) or 1.0
    strength: Array = np.clip(sums / largest, 0, 1)
    return strength


def _show(axes: Axes, panel: Array) -> None:
    axes.imshow(panel, cmap="gray", vmin=0, vmax=1, aspect="auto")
    axes.set_axis_off()
