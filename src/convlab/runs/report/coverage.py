"""A run's coverage against its accuracy, as a curve to draw: x is coverage, y accuracy with its interval."""

import math
from typing import Any

from convlab.runs.report.thresholds import THRESHOLDS, Point

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 48, 322, 12, 156  # of the axes, in the same units
FIRST = THRESHOLDS.index(0.9)  # where the slider stands at first


def curve(points: list[Point]) -> dict[str, Any] | None:
    """What the template draws, and a row for each threshold: what is said there, and where its dot lies.

    None where no probability is a number.
    """
    answered = [point for point in points if point.answered]
    if not answered:
        return None
    lowest = min(point.right / point.answered for point in answered)
    step = _step(1 - lowest)
    bottom = max(0.0, math.floor(lowest / step) * step) if lowest < 1 else 1 - step

    def place(coverage: float, accuracy: float) -> tuple[float, float]:
        height = (max(accuracy, bottom) - bottom) / (1 - bottom)
        return round(LEFT + coverage * (RIGHT - LEFT), 2), round(BOTTOM - height * (BOTTOM - TOP), 2)

    line = [place(point.coverage, point.right / point.answered) for point in answered]
    high = [place(point.coverage, point.high) for point in answered]
    low = [place(point.coverage, point.low) for point in answered]
    dots = dict(zip((point.threshold for point in answered), line, strict=True))
    return {
        "line": _drawn(line),
        "band": _drawn(high + low[::-1]),
        "ticks": [
            (place(0, tick)[1], f"{100 * tick:.{_decimals(step)}f} %") for tick in _ticks(bottom, step)
        ],
        "first": FIRST,
        "rows": [[*point, *dots.get(point.threshold, (None, None))] for point in points],
        "start": points[FIRST],
        "dot": dots.get(points[FIRST].threshold),
    }


def _drawn(places: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in dict.fromkeys(places))


def _step(span: float) -> float:
    """Of the ticks: 1, 2 or 5 times a power of ten, so that at most five cover `span`."""
    steps = (factor * 10.0**power for power in range(-4, 1) for factor in (1, 2, 5))
    return next((step for step in steps if span / step <= 4), 0.5)


def _ticks(bottom: float, step: float) -> list[float]:
    return [bottom + place * step for place in range(round((1 - bottom) / step) + 1)]


def _decimals(step: float) -> int:
    return max(0, math.ceil(-math.log10(100 * step) - 1e-9))
