"""Draw what each map's strongest activations reacted to, layer by layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from convlab.base.console import progress, warn
from convlab.explain.deconvnet.closeups import Closeup, Fields, closeups, fields_of
from convlab.explain.deconvnet.strongest import Strongest
from convlab.explain.images import Images
from convlab.explain.pictures import Pictures, rounded
from convlab.figures import deconvnet as figures


@dataclass(frozen=True)
class Unit:
    """One of a map's strongest activations, close up."""

    image: int
    position: tuple[int, int]
    closeup: Closeup


def draw_strongest(
    network: nn.Sequential,
    layers: list[str],
    found: dict[str, Strongest],
    chosen: dict[str, list[int]],
    picked: str,
    images: Images,
    pictures: Pictures,
) -> None:
    """Add a picture for each of `layers`, and what it shows to the record.

    found: the strongest activations of each layer; chosen: its maps to show; picked: how they were chosen.
    """
    fields = fields_of(network, images.inputs([0]))
    pictures.record["layers"] = {}
    units: dict[int, list[Unit]] = {}
    previous: nn.Module | None = None
    total = sum(int((found[name].activations[chosen[name]] > 0).sum()) for name in layers)
    with progress("projections", total, unit="units") as advance:
        for name in layers:
            layer = getattr(network, name)
            if isinstance(layer, nn.ReLU) and isinstance(previous, nn.Conv2d):
                advance(sum(map(len, units.values())))  # a ReLU passes what is positive, both ways: the same
            else:
                units = _units(network, name, found[name], chosen[name], images, fields[name], advance)
            previous = layer
            silent = [index for index, each in enumerate(found[name].activations.tolist()) if each[0] <= 0]
            num_maps = len(found[name].activations)
            pictures.record["layers"][name] = {
                "num_maps": num_maps,
                "silent_maps": silent,
                "field": [field.size for field in fields[name]],
                "maps": {
                    str(index): [_noted(unit, images) for unit in each] for index, each in units.items()
                },
            }
            if not units:
                warn(f"{name}: no map has a positive activation, so there is no picture of it.")
                continue
            which = f"{len(units)} of {num_maps} maps"
            which += f", {picked}" if len(units) < num_maps else ""
            which += f" ({len(silent)} never react)" if silent else ""
            which += f"; {images.num:,} images ({images.split})"
            pictures.add(
                f"top9_{name}.png",
                figures.strongest_activations(
                    {
                        index: [(_array(unit), images.pixels(unit.closeup.patch)) for unit in each]
                        for index, each in units.items()
                    },
                    f"{name}: what each map's nine strongest activations reacted to",
                    f"{which}. On the left the projections back to pixels: {figures.GREY}. On the right what "
                    "the units saw, cut to the receptive field. Blue is outside of the image.",
                ),
                f"{name}: the strongest activations of each map",
                report=isinstance(layer, nn.Conv2d),  # ReLU's and pooling's show the same
            )


def _units(
    network: nn.Sequential,
    layer: str,
    best: Strongest,
    maps: list[int],
    images: Images,
    fields: Fields,
    advance: Callable[[int], None],
) -> dict[int, list[Unit]]:
    """The positive ones of each map's strongest activations, close up; maps without any are left out."""
    units = {}
    for index in maps:
        num = int((best.activations[index] > 0).sum())
        if num:
            numbers = best.images[index, :num].tolist()
            positions = [(row, column) for row, column in best.positions[index, :num].tolist()]
            made = closeups(network, images.inputs(numbers), layer, fields, [index] * num, positions)
            units[index] = [Unit(*each) for each in zip(numbers, positions, made, strict=True)]
            advance(num)
    return units


def _array(unit: Unit) -> Any:
    return unit.closeup.projection.numpy()


def _noted(unit: Unit, images: Images) -> dict[str, Any]:
    return {
        "image": unit.image,
        "class": images.class_of(unit.image),
        "activation": rounded(unit.closeup.activation),
        "position": list(unit.position),
        "box": list(unit.closeup.box),
    }
