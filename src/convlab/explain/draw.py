"""Draw what is inside a network of pixels: strongest activations, filters, activations, occlusion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from convlab.base.console import progress, warn
from convlab.base.errors import ConvlabError
from convlab.data.labelled import LabelledData
from convlab.explain.deconvnet.closeups import Closeup, Fields, closeups, fields_of
from convlab.explain.deconvnet.occlusion import Sensitivity, occlusion
from convlab.explain.deconvnet.strongest import NUM_STRONGEST, Strongest, outputs, strongest
from convlab.explain.images import Images
from convlab.explain.layers import check_maps, check_network, chosen_maps, projected_layers
from convlab.explain.pictures import Pictures, rounded
from convlab.figures import deconvnet as figures
from convlab.figures.plots import percent

GREY = "grey is zero, white positive, black negative"
MAX_NAMED = 20  # classes up to which the outputs are named one by one


@dataclass(frozen=True)
class Unit:
    """One of a map's strongest activations, close up."""

    image: int
    position: tuple[int, int]
    closeup: Closeup


@torch.no_grad()
def draw(
    network: nn.Module, data: LabelledData, settings: dict[str, Any], class_names: list[str]
) -> Pictures:
    """The pictures that conf/visualize.yaml describes, of a chain of layers with a convolution in it.

    class_names: of the network's outputs; where they are not the data's classes, occlusion looks at the
    network's own first choice. Raises ConvlabError for settings that don't fit, before anything takes long.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chain = check_network(network).to(device).eval()
    layers, reason = projected_layers(chain, settings["layer"])
    images = Images(data, settings["split"], _above_zero("num_images", settings["num_images"]), device)
    index = images.check("image", settings["image"])
    occluded = _occluded(images, settings["occlusion"]["images"])
    made = outputs(chain, images.inputs([index]))
    check_maps(settings["maps"], {name: output.shape[1] for name, output in made if name in layers})
    pictures = Pictures(network=type(network).__name__, split=images.split, num_images=images.num)
    with progress("strongest activations", images.num) as advance:
        found = strongest(chain, images.batches(), NUM_STRONGEST, advance)
    chosen = {name: chosen_maps(best, settings["maps"]) for name, best in found.items()}
    if reason:
        warn(f"no projections: {reason}")
        pictures.record["no_projections"] = reason
    picked = "those that react most" if isinstance(settings["maps"], int) else "as asked for"
    _draw_strongest(chain, layers, found, chosen, picked, images, pictures)
    _draw_filters(chain, pictures)
    _draw_activations(chain, index, chosen, images, class_names, pictures)
    if occluded:
        _draw_occlusion(chain, occluded, settings["occlusion"], images, class_names, pictures)
    return pictures


def _draw_strongest(
    network: nn.Sequential,
    layers: list[str],
    found: dict[str, Strongest],
    chosen: dict[str, list[int]],
    picked: str,
    images: Images,
    pictures: Pictures,
) -> None:
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
                    f"{which}. On the left the projections back to pixels: {GREY}. On the right what "
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


def _draw_filters(network: nn.Sequential, pictures: Pictures) -> None:
    name, layer = next((name, each) for name, each in network.named_modules() if isinstance(each, nn.Conv2d))
    weights = layer.weight.detach().cpu().numpy()
    if weights.shape[1] in (1, 3):
        white = abs(weights).max()
        title, note = (
            f"{name}: its {len(weights)} filters",
            f"{GREY.capitalize()}; one scale: white is {white:.2g}.",
        )
        pictures.add(f"filters_{name}.png", figures.filters(weights, title, note), f"{name}: the filters")


def _draw_activations(
    network: nn.Sequential,
    index: int,
    chosen: dict[str, list[int]],
    images: Images,
    class_names: list[str],
    pictures: Pictures,
) -> None:
    inputs = images.inputs([index])
    made = dict(outputs(network, inputs))
    rows = [
        (name, output[0].cpu().numpy(), (chosen[name] or [0]) if output.ndim == 4 else [])
        for name, output in made.items()
        if not isinstance(getattr(network, name), nn.Dropout | nn.Flatten)
    ]
    probabilities = list(made.values())[-1].softmax(1)[0]
    first = int(probabilities.argmax())
    says, share = class_names[first], float(probabilities[first])
    note = (
        f"Image {index} ({images.split}), class {images.class_of(index)}; the network says {says} "
        f"({percent(share)}). Each row has a scale of its own: black is zero and white its largest value, or "
        "grey is zero where there are negative ones."
    )
    names = class_names if len(class_names) <= MAX_NAMED else []
    title = "Activations, layer by layer"
    figure = figures.activations(images.pixels(inputs[0]), rows, names, title, note)
    pictures.add("activations.png", figure, "One image through all layers")
    pictures.record["activations"] = {
        "image": index,
        "class": images.class_of(index),
        "choice": says,
        "probability": rounded(share),
        "maps": {name: shown for name, _, shown in rows if shown},
    }


def _draw_occlusion(
    network: nn.Sequential,
    indices: list[int],
    settings: dict[str, Any],
    images: Images,
    class_names: list[str],
    pictures: Pictures,
) -> None:
    inputs = images.inputs(indices)
    side = min(inputs.shape[2:])
    size = _above_zero("occlusion.size", settings["size"]) or max(1, side // 3)
    stride = _above_zero("occlusion.stride", settings["stride"]) or (1 if side <= 32 else side // 14)
    knows = len(class_names) == len(images.classes)
    targets = [
        int(images.labels[i]) if knows else _first_choice(network, image)
        for i, image in zip(indices, inputs, strict=True)
    ]
    total = len(indices) * len(range(0, side, stride)) ** 2
    with progress("occlusion", total, unit="squares") as advance:
        maps = [
            occlusion(network, image, target, size, stride, advance)
            for image, target in zip(inputs, targets, strict=True)
        ]
    whose = "the true class" if knows else "the network's first choice"
    note = (
        f"Probability of {whose} with a {size}x{size} square of the image's mean over each place. Dark: the "
        "network went by what is there. The square is drawn where it lowers the probability most."
    )
    figure = figures.occlusion(
        [images.pixels(image) for image in inputs],
        [each.probabilities.numpy() for each in maps],
        [class_names[target] for target in targets],
        [_outcome(each, class_names) for each in maps],
        [_worst_square(each, size) for each in maps],
        [_extent(each, stride) for each in maps],
        note,
    )
    pictures.add("occlusion.png", figure, "Occlusion sensitivity")
    pictures.record["occlusion"] = [
        {
            "image": index,
            "class": class_names[target],
            "size": size,
            "stride": stride,
            "uncovered": rounded(each.uncovered),
            "rows": each.rows,
            "columns": each.columns,
            "probabilities": [[rounded(value) for value in row] for row in each.probabilities.tolist()],
            "choices": [[class_names[choice] for choice in row] for row in each.choices.tolist()],
        }
        for index, target, each in zip(indices, targets, maps, strict=True)
    ]


def _first_choice(network: nn.Module, image: torch.Tensor) -> int:
    return int(network(image[None]).argmax())


def _occluded(images: Images, chosen: Any) -> list[int]:
    if isinstance(chosen, list):
        return [images.check("occlusion.images", index) for index in chosen]
    if not isinstance(chosen, int) or chosen < 0:
        raise ConvlabError(f"occlusion.images={chosen}: expected a number, or a list such as [0,5,12].")
    return images.first_of_classes(chosen)


def _above_zero(name: str, value: Any) -> int | None:
    if value is not None and not (isinstance(value, int) and value > 0):
        raise ConvlabError(f"{name}={value}: expected a number above 0, or null.")
    return value


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


def _outcome(each: Sensitivity, class_names: list[str]) -> str:
    """The probability without a square, the lowest with one, and the choice there."""
    says = class_names[int(each.choices.flatten()[each.probabilities.argmin()])]
    lowest = percent(float(each.probabilities.min()))
    return f"uncovered {percent(each.uncovered)}\nlowest {lowest}, choice: {says}"


def _worst_square(each: Sensitivity, size: int) -> tuple[int, int, int]:
    """Left, top and side of the square that lowers the probability most."""
    row, column = divmod(int(each.probabilities.argmin()), len(each.columns))
    return each.columns[column] - size // 2, each.rows[row] - size // 2, size


def _extent(each: Sensitivity, stride: int) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of the grid's cells on the image: each is around its square's middle pixel."""
    (left, right), (top, bottom) = (
        (places[0] + 0.5 - stride / 2, places[-1] + 0.5 + stride / 2) for places in (each.columns, each.rows)
    )
    return left, right, bottom, top
