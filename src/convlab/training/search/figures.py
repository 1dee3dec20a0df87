"""A search's trials as figures: how it went, which parameters mattered, where the good values lie.

Arrays in, figures out. The best trials are vermillion, complete ones blue, pruned ones hollow or dotted: told
apart without colour, too.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from convlab.figures.style import BLUE, INK, LINE, VERMILLION, percent, styled
from convlab.training.search.space import Value

NUM_BEST = 3


@styled
def history(
    numbers: Sequence[int], values: Sequence[float], pruned: Sequence[bool], maximize: bool, metric: str
) -> Figure:
    """Each trial's value by its number, and the best complete one so far."""
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    number, value, hollow = np.array(numbers), np.array(values), np.array(pruned, dtype=bool)
    axes.plot(number[hollow], value[hollow], "o", color=BLUE, fillstyle="none", label="pruned")
    axes.plot(number[~hollow], value[~hollow], "o", color=BLUE, label="complete")
    accumulate = np.fmax if maximize else np.fmin
    best = accumulate.accumulate(np.where(hollow, math.nan, value))
    axes.plot(number, best, color=VERMILLION, drawstyle="steps-post", label="best so far")
    _focus(axes, value, maximize)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=metric)
    axes.set_title("How the search went")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


@styled
def importances(shares: Mapping[str, float]) -> Figure:
    """Shares of 1 by parameter, the largest on top."""
    figure = Figure(figsize=(5.2, 0.7 + 0.42 * len(shares)), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(shares.items(), key=lambda item: item[1])
    rows = range(len(ordered))
    axes.barh(rows, [share for _, share in ordered], color=BLUE, height=0.62)
    for row, (_, share) in zip(rows, ordered, strict=True):
        axes.text(share + 0.01, row, percent(share, 0), va="center", fontsize=9)
    axes.set_yticks(rows, [path for path, _ in ordered])
    axes.set_xlim(0, max(shares.values()) * 1.15)
    axes.set_xticks([])
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title("Which parameters mattered")
    return figure


@styled
def parallel_coordinates(
    trials: Sequence[Mapping[str, Value]],
    values: Sequence[float],
    pruned: Sequence[bool],
    space: Mapping[str, BaseDistribution],
    maximize: bool,
    metric: str,
) -> Figure:
    """A line a trial through its value of each parameter, and its result on the right."""
    num_axes = len(space) + 1
    figure = Figure(figsize=(1.9 + 1.75 * num_axes, 4.2), layout="constrained")
    axes = figure.subplots()
    heights = np.empty((len(trials), num_axes))
    for column, (path, distribution) in enumerate(space.items()):
        heights[:, column] = _heights([trial[path] for trial in trials], distribution)
        _scale(axes, column, _ticks(distribution))
    result = np.array(values, dtype=float)
    low, high = _limits(result, maximize)
    heights[:, -1] = np.clip((result - low) / (high - low), 0, 1)
    ends = {0.0: "≤ " if result.min() < low else "", 1.0: "≥ " if result.max() > high else ""}
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    ticks = [(share, f"{ends.get(share, '')}{low + share * (high - low):.3f}") for share in shares]
    _scale(axes, num_axes - 1, ticks)

    order = np.argsort(-result if maximize else result, kind="stable")
    complete = [index for index in order if not pruned[index]]
    best = complete[:NUM_BEST]
    places = np.arange(num_axes)
    for index in (index for index in order[::-1] if index not in best):
        style = {"linestyle": ":", "alpha": 0.75} if pruned[index] else {"linestyle": "-", "alpha": 0.75}
        axes.plot(places, heights[index], color=BLUE, linewidth=1.1, **style)  # type: ignore[arg-type]
    for index in best[::-1]:
        axes.plot(places, heights[index], color=VERMILLION, linewidth=2.2, marker="o")
    handles = [
        axes.plot([], [], color=VERMILLION, linewidth=2.2, marker="o", label=f"best {len(best)}")[0],
        axes.plot([], [], color=BLUE, linewidth=1.1, label="complete")[0],
        axes.plot([], [], color=BLUE, linewidth=1.1, linestyle=":", label="pruned")[0],
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    axes.set_xticks(places, [*space, metric])
    axes.set(xlim=(-0.25, num_axes - 0.55), ylim=(-0.04, 1.04))
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title("Where the good values lie")
    return figure


def _heights(values: Sequence[Value], distribution: BaseDistribution) -> NDArray[np.float64]:
    """Where the values lie between the ends of their axis, 0 to 1."""
    if isinstance(distribution, CategoricalDistribution):
        places = [distribution.choices.index(value) for value in values]
        return np.array(places) / max(len(distribution.choices) - 1, 1)
    heights: NDArray[np.float64]
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    if distribution.log:  # type: ignore[attr-defined]
        heights = np.log(np.array(values, dtype=float) / low) / math.log(high / low)
    else:
        heights = (np.array(values, dtype=float) - low) / (high - low)
    return heights


def _ticks(distribution: BaseDistribution) -> list[tuple[float, str]]:
    if isinstance(distribution, CategoricalDistribution):
        return list(
            zip(
                _heights(distribution.choices, distribution).tolist(),
                map(str, distribution.choices),
                strict=True,
            )
        )
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    if distribution.log:  # type: ignore[attr-defined]
        powers = [
            10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        ]
        inner = [value for value in powers if 1.5 * low < value < high / 1.5]
    else:
        inner = [low + share * (high - low) for share in (0.25, 0.5, 0.75)]
    values = [low, *inner, high]
    return list(
        zip(_heights(values, distribution).tolist(), (f"{value:.3g}" for value in values), strict=True)
    )


def _scale(axes: Axes, column: int, ticks: Sequence[tuple[float, str]]) -> None:
    axes.axvline(column, color=LINE, linewidth=1.2, zorder=0)
    for height, text in ticks:
        axes.plot([column - 0.02, column + 0.02], [height, height], color=LINE, linewidth=1.2, zorder=0)
        axes.text(column + 0.05, height, text, color=INK, fontsize=8, va="center", zorder=3)


def _limits(values: NDArray[np.float64], maximize: bool) -> tuple[float, float]:
    """The span of the better half, widened by its width: one diverged trial must not flatten the others."""
    finite = np.sort(values[np.isfinite(values)])
    if not len(finite):
        return 0.0, 1.0
    half = finite[len(finite) // 2 :] if maximize else finite[: len(finite) // 2 + 1]
    width = float(half[-1] - half[0]) or 0.01
    if maximize:
        return max(float(finite[0]), float(half[0]) - width), float(finite[-1]) + 0.02 * width
    return float(finite[0]) - 0.02 * width, min(float(finite[-1]), float(half[-1]) + width)


def _focus(axes: Axes, values: NDArray[np.float64], maximize: bool) -> None:
    """Show the better half at a readable scale; trials far off lie at the edge."""
    low, high = _limits(values, maximize)
    pad = 0.06 * (high - low)
    axes.set_ylim(low - pad, high + pad)
    for line in axes.lines:
        line.set_ydata(np.clip(np.asarray(line.get_ydata(), dtype=float), low, high))
