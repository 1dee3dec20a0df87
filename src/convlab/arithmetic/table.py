"""A network's table for people (on a terminal, in Markdown) and for programs (JSON)."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table

from convlab.arithmetic.effect import Shape
from convlab.arithmetic.network import Fields, Network, Row, rows, totals

LEFT = ("layer", "kind")
RIGHT = ("input", "output", "parameters", "connections", "mult-adds", "field", "memory")


def document(network: Network) -> dict[str, Any]:
    """Plain values for JSON: `input`, `layers` (those of branches nested) and `totals`, for one image.

    A layer's `receptive_field` has size, stride and offset in pixels, each along h and along w.
    """
    table = rows(network)
    return {
        "input": list(network.input),
        "layers": [_plain(row) for row in table],
        "totals": asdict(totals(table)),
    }


def table(network: Network, *, markdown: bool = False) -> Table:
    """The table, layer by layer and in sum; branches are drawn as a tree in its first column."""
    style = box.MARKDOWN if markdown else box.SIMPLE_HEAD
    drawn = Table(box=style, pad_edge=markdown)
    for heading in LEFT:
        drawn.add_column(heading, overflow="fold")
    for heading in RIGHT:
        drawn.add_column(heading, justify="right", overflow="fold")
    lines = rows(network)
    for label, row in _tree(lines):
        drawn.add_row(label, *_cells(row) if row else ())
    if not markdown:
        drawn.add_section()
    total = totals(lines)
    counts = [f"{count:,}" for count in (total.parameters, total.connections, total.multiply_adds)]
    memory = _kilobytes(total.memory_bytes)
    drawn.add_row("total", "", "", "", *counts, "", memory, style="bold")
    return drawn


def _tree(
    lines: list[Row], first: str = "", then: str = "", within: str = ""
) -> Iterator[tuple[str, Row | None]]:
    """Each row with its label; None stands for a branch that passes its input on.

    `first` is drawn before the label of the first line, `then` before the others; names lose `within`,
    the outermost block's.
    """
    for line in lines:
        yield first + line.name.removeprefix(f"{within}."), line
        first = then
        for number, branch in enumerate(line.branches, 1):
            last = number == len(line.branches)
            turn, beside = ("└─ ", "   ") if last else ("├─ ", "│  ")
            if branch:
                yield from _tree(branch, then + turn, then + beside, within or line.name)
            else:
                yield f"{then}{turn}(identity)", None


def _cells(row: Row) -> tuple[str, ...]:
    kind = f"{row.kind} {len(row.branches)} branches" if row.branches else row.kind
    counts = (row.parameters, row.connections, row.multiply_adds)
    return (
        kind,
        _shape(row.input),
        _shape(row.output),
        *(f"{count:,}" if count else "-" for count in counts),
        _sight(row.fields),
        _kilobytes(row.memory_bytes) if row.memory_bytes else "-",
    )


def _kilobytes(num_bytes: int) -> str:
    return f"{num_bytes / 1000:,.1f} kB"


def _shape(shape: Shape) -> str:
    return "x".join(str(size) for size in shape)


def _sight(fields: Fields | None) -> str:
    """`size/stride/offset`; where height and width differ, heightxwidth."""
    if fields is None:
        return "all"
    pairs = [(field.size, field.stride, field.offset) for field in fields]
    texts = [[f"{value:g}" for value in pair] for pair in pairs]
    return "/".join(h if h == w else f"{h}x{w}" for h, w in zip(*texts, strict=True))


def _plain(row: Row) -> dict[str, Any]:
    values = {name: value for name, value in vars(row).items() if name not in ("fields", "branches")}
    values["receptive_field"] = row.fields and {
        part: [getattr(field, part) for field in row.fields] for part in ("size", "stride", "offset")
    }
    if row.branches:
        values["branches"] = [[_plain(line) for line in branch] for branch in row.branches]
    return values
