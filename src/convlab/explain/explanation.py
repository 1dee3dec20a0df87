"""What the network saw in one image, as pictures.

The image as it goes in; Grad-CAM for a class, or integrated gradients where there is no convolution; and
for a chain of layers with ReLU the deconvolutional network: what the maps that react most reacted to.
"""

import base64
import io
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from convlab.explain.attribution import grad_cam, guided_grad_cam, integrated_gradients, last_maps
from convlab.explain.deconvnet.closeups import reversible_layers
from convlab.explain.deconvnet.projection import activations, project
from convlab.explain.deconvnet.strongest import outputs
from convlab.figures.attribution import CLIPPED
from convlab.prediction.network_predictor import NetworkPredictor

NUM_MAPS = 9
HEAT = 0.6  # of a pixel's colour where Grad-CAM is strongest


@dataclass(frozen=True)
class Picture:
    """pixels: uint8, h w 3 for colour, h w for grey."""

    title: str
    caption: str
    pixels: NDArray[np.uint8]

    def data_uri(self) -> str:
        """A PNG file in a `data:` address."""
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "PNG")
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def explain(
    predictor: NetworkPredictor, image: Image.Image, target: int | None
) -> tuple[float, int, list[Picture]]:
    """Probability and number of the class that is explained (the most probable unless `target`); pictures."""
    network, preprocessing = predictor.network, predictor.preprocessing
    array = predictor.pixels(image)[None]
    probabilities = predictor.probabilities(array)[0]
    pixels = torch.from_numpy(array)
    inputs = preprocessing.normalize(pixels)
    chosen = int(probabilities.argmax()) if target is None else target
    seen = nn.functional.pad(pixels, (preprocessing.pad,) * 4)[0].permute(1, 2, 0).numpy()
    seen = seen.squeeze(2) if preprocessing.channels == 1 else seen
    side, name = seen.shape[0], predictor.classes[chosen]
    pictures = [Picture("The network's input", f"Scaled to {side} x {side} pixels, as for training.", seen)]
    targets, layer = torch.tensor([chosen]), _projected_layer(network)
    if any(isinstance(each, nn.Conv2d) for each in network.modules()):
        maps = _maps(network, inputs)
        heat = grad_cam(network, inputs, targets, maps)[0, 0].numpy()
        caption = f"Warm: where the maps of {maps} raised the score of {name}."
        if not heat.any():
            caption = f"Nothing to show: no map of {maps} raised the score of {name}."
        pictures.append(Picture("Grad-CAM", caption, _warmed(seen, heat)))
        if not layer and _is_rectified(network):
            guided = guided_grad_cam(network, inputs, targets, maps)[0].numpy()
            part = "The pixels' part in that: grey is none." if guided.any() else "Nothing to show, either."
            pictures.append(Picture("Guided Grad-CAM", part, _signed(guided)))
    else:
        black = preprocessing.normalize(torch.zeros_like(pixels))
        shares = integrated_gradients(network, inputs, targets, black)[0].sum(0).numpy()
        caption = f"Each pixel's share in the score of {name}: white for it, black against, grey none."
        if not shares.any():
            caption = f"Nothing to show: no pixel has a share in the score of {name}."
        pictures.append(Picture("Integrated gradients", caption, _signed(shares)))
    if layer:
        pictures += _projections(network, inputs, layer)  # type: ignore[arg-type]
    return float(probabilities[chosen]), chosen, pictures


def _maps(network: nn.Module, inputs: Tensor) -> str:
    """Where Grad-CAM looks: the last maps; of a chain, the last that are larger than one pixel."""
    last = last_maps(network)
    if not isinstance(network, nn.Sequential) or last.startswith("backbone."):
        return last
    convolved = [
        name
        for name, output in outputs(network, inputs)
        if isinstance(getattr(network, name), nn.Conv2d) and output[0, 0].numel() > 1
    ]
    return convolved[-1] if convolved else last


def _projected_layer(network: nn.Module) -> str | None:
    """The last convolution that the deconvolutional network leads back from."""
    if not isinstance(network, nn.Sequential) or not _is_rectified(network):
        return None
    ways = [name for name in reversible_layers(network) if isinstance(getattr(network, name), nn.Conv2d)]
    return ways[-1] if ways else None


def _is_rectified(network: nn.Module) -> bool:
    return any(isinstance(layer, nn.ReLU) for layer in network.modules())


def _projections(network: nn.Sequential, inputs: Tensor, layer: str) -> list[Picture]:
    """Of the maps with the strongest activations: all together, and one by one. None where nothing reacts."""
    strongest = activations(network, inputs, layer)[0].flatten(1).amax(1)
    best = strongest.topk(min(NUM_MAPS, len(strongest)))
    maps = best.indices[best.values > 0]
    if not len(maps):
        caption = f"Nothing to show: no map of {layer} reacts to this image."
        return [Picture("Deconvolutional network", caption, np.full(inputs.shape[2:], 128, np.uint8))]
    back = project(network, inputs.expand(len(maps), -1, -1, -1), layer, maps).pixels.numpy()
    caption = (
        f"What the {len(maps)} maps of {layer} that react most reacted to: white for them, black against."
    )
    tiles = [_signed(each) for each in back]
    return [
        Picture("Deconvolutional network", caption, _signed(back.sum(0))),
        Picture(
            "The same, map by map", f"Maps {', '.join(map(str, maps.tolist()))} of {layer}.", _mosaic(tiles)
        ),
    ]


def _warmed(seen: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The image in grey, coloured by `heat` h w."""
    grey = seen if seen.ndim == 2 else seen.mean(2)
    strength = (heat / (heat.max() or 1))[..., None]
    colour = mpl.colormaps["inferno"](strength[..., 0])[..., :3] * 255
    share = HEAT * strength
    warmed: NDArray[np.uint8] = ((1 - share) * grey[..., None] + share * colour).round().astype(np.uint8)
    return warmed


def _signed(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """h w, or c h w of 1 or 3 channels: 128 is zero; 1 and 255 the magnitude that few are beyond."""
    largest = np.percentile(abs(values), CLIPPED) or abs(values).max() or 1
    scaled = (128 + 127 * (values / largest).clip(-1, 1)).round().astype(np.uint8)
    if scaled.ndim == 2:
        return scaled
    return scaled[0] if len(scaled) == 1 else scaled.transpose(1, 2, 0)


def _mosaic(tiles: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Tiles of one size in rows of three, a white line between them."""
    blank = np.full_like(tiles[0], 255)
    tiles = tiles + [blank] * (-len(tiles) % 3)
    around = ((0, 1), (0, 1)) + ((0, 0),) * (blank.ndim - 2)
    framed = [np.pad(tile, around, constant_values=255) for tile in tiles]
    rows = [np.concatenate(framed[first : first + 3], 1) for first in range(0, len(framed), 3)]
    return np.concatenate(rows)[:-1, :-1]
