"""How every figure looks: colours that colour-blind people tell apart, type, and how numbers are written.

The colours are Okabe and Ito's; line style and marker differ too, for print in black and white. Two greys
are named so that a page can exchange them for its own (see `runs/report/svg.py`): `INK` writes, `LINE`
frames.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

INK, LINE = "#1c2024", "#d5dae1"
BLUE, VERMILLION = "#0072b2", "#d55e00"
SERIES = (BLUE, VERMILLION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", ":", "-.")
STYLE: Any = {
    "figure.dpi": 144,
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called `$1 bill $2`
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "legend.frameon": False,
}
Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw with STYLE, and leave the caller's own matplotlib settings alone."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def percent(share: float, decimals: int = 1) -> str:
    """Never rounded up to certainty: 99.97 % is no 100 %."""
    text = f"{100 * share:.{decimals}f} %"
    return f"{100 - 10.0**-decimals:.{decimals}f} %" if share < 1 and text.startswith("100") else text


def shortened(name: str, limit: int = 20) -> str:
    """A name that fits: cut to `limit` characters, the last of them an ellipsis."""
    return name if len(name) <= limit else name[: limit - 1].rstrip() + "…"
