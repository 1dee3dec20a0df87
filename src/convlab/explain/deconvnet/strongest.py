"""What each feature map reacts to most: its strongest activations over a data set, found in one pass."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convlab.base.errors import ConvlabError

NUM_STRONGEST = 9
# Pixels of images that go through a network at once: 250 digits, or 3 photos of 224x224. It bounds the
# memory for the layers' outputs, whatever the size of a batch that data come in.
PIXELS_AT_ONCE = 250 * 28 * 28


@dataclass(frozen=True)
class Strongest:
    """The strongest activations of every map of one layer, at most one an image, the strongest first.

    activations: c k. images: c k, numbers in the order of the data. positions: c k 2, row and column in the
    map. k is the number asked for, or that of the images if they are fewer. Of equal activations, the first
    image and the first position in reading order win.
    """

    activations: Tensor
    images: Tensor
    positions: Tensor

    def merge(self, other: "Strongest", num: int) -> "Strongest":
        """The `num` strongest of both; `other` has seen later images."""
        activations = torch.cat([self.activations, other.activations], 1)
        order = activations.sort(dim=1, descending=True, stable=True).indices[:, :num]
        images = torch.cat([self.images, other.images], 1).gather(1, order)
        positions = torch.cat([self.positions, other.positions], 1)
        return Strongest(
            activations.gather(1, order), images, positions.gather(1, order[..., None].expand(-1, -1, 2))
        )


@torch.no_grad()
def strongest(
    network: nn.Sequential,
    batches: Iterable[Tensor],
    num: int = NUM_STRONGEST,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Strongest]:
    """`Strongest` of each layer of `network` that makes maps, by name, over all of `batches` n c h w.

    Only the running best are kept: memory does not grow with the data. `advance` is told how many images
    are done. Raises ConvlabError if there are no images, or where activations are not finite.
    """
    found: dict[str, Strongest] = {}
    num_seen = 0
    for batch in batches:
        for images in pieces(batch):
            for name, output in outputs(network, images):
                if output.ndim != 4:
                    break
                new = _of_images(output, num_seen)
                found[name] = found[name].merge(new, num) if name in found else new.merge(_nothing(new), num)
            num_seen += len(images)
            advance(len(images))
    if not num_seen:
        raise ConvlabError("there are no images to find the strongest activations in.")
    for name, best in found.items():
        if not best.activations.isfinite().all():
            raise ConvlabError(
                f"{name}: activations are not finite. The training has diverged: lower its rate."
            )
    return found


def outputs(network: nn.Sequential, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Each layer's name and output for images n c h w, one after the other."""
    for name, layer in network.named_children():
        images = layer(images)
        yield name, images


def pieces(images: Tensor) -> tuple[Tensor, ...]:
    """Images n c h w in parts that go through a network at once."""
    return torch.split(images, max(1, PIXELS_AT_ONCE // (images.shape[2] * images.shape[3])))


def choose(best: Strongest, num_maps: int) -> list[int]:
    """The `num_maps` maps whose strongest activations are largest on average, in ascending order.

    A map without any positive activation has reacted to nothing and is not chosen.
    """
    strength = best.activations.clamp(min=0).mean(1)
    order = strength.sort(descending=True, stable=True).indices[:num_maps]
    return sorted(int(index) for index in order if strength[index] > 0)


def _of_images(output: Tensor, first: int) -> Strongest:
    """The strongest activation of each map (n c h w) in each image; the images' numbers start at `first`."""
    num, channels, _, width = output.shape
    activations, places = output.flatten(2).max(2)  # of equal values the first
    positions = torch.stack([places // width, places % width], 2)
    images = torch.arange(first, first + num, device=output.device).expand(channels, num)
    return Strongest(activations.T, images, positions.transpose(0, 1))


def _nothing(like: Strongest) -> Strongest:
    return Strongest(like.activations[:, :0], like.images[:, :0], like.positions[:, :0])
