"""A figure as a part of a page: its greys become the page's, so that it suits light and dark mode."""

import io
import re

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from convlab.figures import style


def svg(figure: Figure, salt: str) -> Markup:
    """`figure` for use inside a page; `salt` keeps its ids apart from those of other figures.

    What has a `gid` of `series-<number>` becomes a group with the attribute `data-series`.
    """
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        nameless = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nameless)
    svg = text.getvalue()
    svg = re.sub(
        r' id="[\w.]+_\d+"', "", svg[svg.index("<svg") :]
    )  # figure_1, axes_1: the same in every figure
    svg = re.sub(r' id="series-(\d+)"', r' data-series="\1"', svg)
    return Markup(svg.replace(style.INK, "currentColor").replace(style.LINE, "var(--line)"))
