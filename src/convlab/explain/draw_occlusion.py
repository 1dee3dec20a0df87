"""Draw how the probability of a class falls as a square covers one part of an image after the other."""

from typing import Any

import torch
from torch import nn

from convlab.base.console import progress
from convlab.base.errors import ConvlabError
from convlab.explain.deconvnet.occlusion import Sensitivity, occlusion
from convlab.explain.images import Images, above_zero
from convlab.explain.pictures import Pictures, rounded
from convlab.figures import occlusion as figures
from convlab.figures.style import percent


def occluded_images(images: Images, chosen: Any) -> list[int]:
    """Indices: those in the list `chosen`, or so many first images of the classes."""
    if isinstance(chosen, list):
        return [images.check("occlusion.images", index) for index in chosen]
    if not isinstance(chosen, int) or chosen < 0:
        raise ConvlabError(f"occlusion.images={chosen}: expected a number, or a list such as [0,5,12].")
    return images.first_of_classes(chosen)


def draw_occlusion(
    network: nn.Sequential,
    indices: list[int],
    settings: dict[str, Any],
    images: Images,
    class_names: list[str],
    pictures: Pictures,
) -> None:
    """Add the picture of the images `indices`, and its numbers to the record.

    settings: `size` and `stride` of the square in pixels; null: by the image's size.
    """
    inputs = images.inputs(indices)
    side = min(inputs.shape[2:])
    size = above_zero("occlusion.size", settings["size"]) or max(1, side // 3)
    stride = above_zero("occlusion.stride", settings["stride"]) or (1 if side <= 32 else side // 14)
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
