"""A network as named layers, and the table of what each does to one image."""

from dataclasses import dataclass, field
from math import prod
from typing import Literal

from convlab.arithmetic.effect import Effect, Layer, Shape
from convlab.arithmetic.receptive_field import ReceptiveField, Window
from convlab.base.errors import ConvlabError

FLOAT32_BYTES = 4
Fields = tuple[ReceptiveField, ReceptiveField]


@dataclass(frozen=True)
class Unit:
    """Layers one after the other that count as one, such as convolution, batch norm and relu."""

    layers: tuple[Layer, ...]

    @property
    def kind(self) -> str:
        return " + ".join(layer.kind for layer in self.layers)

    def on(self, shape: Shape) -> Effect:
        effects: list[Effect] = []
        for layer in self.layers:
            effects.append(layer.on(effects[-1].output if effects else shape))
        return Effect(
            output=effects[-1].output,
            parameters=sum(effect.parameters for effect in effects),
            connections=sum(effect.connections for effect in effects),
            multiply_adds=sum(effect.multiply_adds for effect in effects),
            windows=(_chain([e.windows[0] for e in effects]), _chain([e.windows[1] for e in effects])),
            in_place=all(effect.in_place for effect in effects),
        )


@dataclass(frozen=True)
class Branches:
    """Chains of layers that read the same input and meet again; an empty chain passes it on."""

    join: Literal["concatenate", "add"]
    chains: tuple["Chain", ...]


Chain = dict[str, Layer | Branches]


@dataclass(frozen=True)
class Network:
    """Layers by name in the order of their run, and the shape of one input (c h w, or one number)."""

    input: Shape
    layers: Chain


@dataclass(frozen=True)
class Row:
    """One line of the table, for one image; a line with branches counts what is in them.

    fields: what a unit sees along h and along w; None where the network's input is a vector.
    memory_bytes: the output as float32; 0 if it can overwrite the input.
    """

    name: str
    kind: str
    input: Shape
    output: Shape
    parameters: int
    connections: int
    multiply_adds: int
    memory_bytes: int
    fields: Fields | None
    branches: list[list["Row"]] = field(default_factory=list)


@dataclass(frozen=True)
class Totals:
    """Sums over a table's rows."""

    parameters: int
    connections: int
    multiply_adds: int
    memory_bytes: int


def rows(network: Network) -> list[Row]:
    """The table of `network`. Raises ConvlabError, with the layer's name, for a shape that cannot be."""
    fields = (ReceptiveField(), ReceptiveField()) if len(network.input) == 3 else None
    return _rows(network.layers, network.input, fields)


def totals(table: list[Row]) -> Totals:
    """Sums over `table`; a row with branches already counts them."""
    return Totals(
        parameters=sum(row.parameters for row in table),
        connections=sum(row.connections for row in table),
        multiply_adds=sum(row.multiply_adds for row in table),
        memory_bytes=sum(row.memory_bytes for row in table),
    )


def _rows(chain: Chain, shape: Shape, fields: Fields | None) -> list[Row]:
    table: list[Row] = []
    for name, part in chain.items():
        try:
            if isinstance(part, Branches):
                row = _meet(name, part, shape, fields)
            else:
                row = _row(name, part, shape, fields)
        except ConvlabError as error:
            raise ConvlabError(f"{name}: {error}") from None
        table.append(row)
        shape, fields = row.output, row.fields
    return table


def _row(name: str, layer: Layer, shape: Shape, fields: Fields | None) -> Row:
    effect = layer.on(shape)
    seen = fields and (fields[0].through(effect.windows[0]), fields[1].through(effect.windows[1]))
    memory = 0 if effect.in_place else FLOAT32_BYTES * prod(effect.output)
    counts = (effect.parameters, effect.connections, effect.multiply_adds, memory)
    return Row(name, layer.kind, shape, effect.output, *counts, seen)


def _meet(name: str, part: Branches, shape: Shape, fields: Fields | None) -> Row:
    branches = [_rows(chain, shape, fields) for chain in part.chains]
    ends = [branch[-1].output if branch else shape for branch in branches]
    if len({end[1:] if part.join == "concatenate" else end for end in ends}) != 1:
        raise ConvlabError(f"branches of shapes {', '.join(map(str, ends))} cannot {part.join}.")
    output = (sum(end[0] for end in ends), *ends[0][1:]) if part.join == "concatenate" else ends[0]
    seen = [branch[-1].fields if branch else fields for branch in branches]
    joint = seen[0]
    for other in seen[1:]:
        if joint and other:
            joint = (joint[0].union(other[0]), joint[1].union(other[1]))
    inside = totals([row for branch in branches for row in branch])
    counts = (inside.parameters, inside.connections, inside.multiply_adds, inside.memory_bytes)
    return Row(name, part.join, shape, output, *counts, joint, branches)


def _chain(windows: list[Window]) -> Window:
    first = windows[0]
    for then in windows[1:]:
        first = Window(
            span=first.span + (then.span - 1) * first.stride,
            stride=first.stride * then.stride,
            before=first.before + then.before * first.stride,
        )
    return first
