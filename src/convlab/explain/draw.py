"""Draw what is inside a network of pixels: strongest activations, filters, activations, occlusion."""

from typing import Any

import torch
from torch import nn

from convlab.base.console import progress, warn
from convlab.data.labelled import LabelledData
from convlab.explain.deconvnet.strongest import NUM_STRONGEST, outputs, strongest
from convlab.explain.draw_occlusion import draw_occlusion, occluded_images
from convlab.explain.draw_strongest import draw_strongest
from convlab.explain.images import Images, above_zero
from convlab.explain.layers import check_maps, check_network, chosen_maps, projected_layers
from convlab.explain.pictures import Pictures, rounded
from convlab.figures import deconvnet as figures
from convlab.figures.style import percent

MAX_NAMED = 20  # classes up to which the outputs are named one by one


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
    images = Images(data, settings["split"], above_zero("num_images", settings["num_images"]), device)
    index = images.check("image", settings["image"])
    occluded = occluded_images(images, settings["occlusion"]["images"])
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
    draw_strongest(chain, layers, found, chosen, picked, images, pictures)
    _draw_filters(chain, pictures)
    _draw_activations(chain, index, chosen, images, class_names, pictures)
    if occluded:
        draw_occlusion(chain, occluded, settings["occlusion"], images, class_names, pictures)
    return pictures


def _draw_filters(network: nn.Sequential, pictures: Pictures) -> None:
    name, layer = next((name, each) for name, each in network.named_modules() if isinstance(each, nn.Conv2d))
    weights = layer.weight.detach().cpu().numpy()
    if weights.shape[1] in (1, 3):
        white = abs(weights).max()
        title, note = (
            f"{name}: its {len(weights)} filters",
            f"{figures.GREY.capitalize()}; one scale: white is {white:.2g}.",
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
