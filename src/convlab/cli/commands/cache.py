"""Show what the bottleneck cache holds, and clear an object store of what dead writers left.

usage: convlab cache                        a line for each backbone and preprocessing
       convlab cache collect [--days N]     remove what no manifest names and is N days old; 1 if left out

The cache is below .convlab/bottlenecks/, or where CONVLAB_CACHE says: another folder, or an object store
(s3://bucket/prefix, gs://..., az://...), which many machines fill at once. A writer that is killed leaves
objects in a store that nobody reads; `collect` finds them, at any time and beside running writers. A folder
needs no such care.

A space can be deleted as a whole: what it held is computed again when it is needed.

examples
  convlab cache
  CONVLAB_CACHE=s3://team/vectors convlab cache
  CONVLAB_CACHE=s3://team/vectors convlab cache collect --days 7
"""

import argparse
from datetime import timedelta

from rich.table import Table

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.project import cache_place
from convlab.features import spaces


def run(args: list[str]) -> int:
    """Tell, or collect."""
    parser = argparse.ArgumentParser(prog="convlab cache", add_help=False)
    parser.add_argument("action", nargs="?", choices=["collect"])
    parser.add_argument("--days", type=float, metavar="N", default=1)
    given = parser.parse_args(args)
    place = cache_place()
    if given.days < 0:
        raise ConvlabError(f"--days {given.days:g}: expected 0 or more")
    return _collect(place, given.days) if given.action else _tell(place)


def _tell(place: str) -> int:
    found = list(spaces.spaces(place))
    console.print(f"{place}: {'' if found else 'empty'}".strip(), markup=False)
    if found:
        table = Table(box=None, pad_edge=False)
        for heading in ("space", "backbone", "vectors", "MB"):
            table.add_column(heading, justify="right" if heading in ("vectors", "MB") else "left")
        for space in found:
            size = f"{space.num_bytes / 1e6:,.1f}"
            table.add_row(space.name, space.architecture, f"{space.vectors:,}", size)
        console.print(table)
    return 0


def _collect(place: str, days: float) -> int:
    removed = list(spaces.collect(place, timedelta(days=days)))
    for name, number, num_bytes in removed:
        console.print(f"{name}: {number:,} objects removed, {num_bytes / 1e6:,.1f} MB", markup=False)
    if not removed:
        console.print(f"{place}: nothing to collect", markup=False)
    return 0
