"""A pretrained network trained on, its first part frozen."""

import hashlib
from typing import Any

import torch
from torch import Tensor, fx, nn

from convlab.base.errors import ConvlabError
from convlab.features.backbone import Backbone
from convlab.models.heads import LinearHead


class Finetuned(nn.Module):
    """A timm network (`backbone`) under a linear layer of one's own (`head`); images n c h w.

    A block is a part of the backbone with several convolutions: in Inception-v3 the eleven `Mixed_*`, in a
    ResNet `layer1` to `layer4`. Trained are the head and what follows the start of the last
    `unfrozen_blocks` blocks; the rest is frozen. Batch norms are frozen in every block: they keep the
    statistics, the scale and the shift they came with, since batches of a few photos would give worse ones.
    The backbone's own dropout is off.

    A new one has random weights; `convlab.models.initialization.pretrained` gives it published ones. A
    saved run holds its own, and needs no other file.

    Args:
        architecture: timm's name; its parts must run one after the other.
        drop: dropout before the head, as `LinearHead` has it.
        keep: the probability to keep a value, in place of `drop`.
        options: further arguments of `timm.create_model`.
        cache_gib: memory for what the frozen part made of each image, by the image's content. Then it
            is computed once, image by image; right as long as images are not augmented. 0: no cache.
    """

    def __init__(
        self,
        architecture: str,
        num_classes: int,
        unfrozen_blocks: int = 1,
        drop: float = 0.0,
        keep: float | None = None,
        options: dict[str, Any] | None = None,
        cache_gib: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(architecture, architecture, options=options or {}).model
        self.head = LinearHead(int(self.backbone.num_features), num_classes, drop, keep)  # type: ignore[arg-type]
        parts = parts_in_order(self.backbone)
        blocks = [name for name in parts if is_block(self.backbone.get_submodule(name))]
        if not 0 <= unfrozen_blocks <= len(blocks):
            raise ConvlabError(
                f"model.unfrozen_blocks={unfrozen_blocks}: {architecture} has {len(blocks)} blocks "
                f"({', '.join(blocks)}). Choose 0 to {len(blocks)}."
            )
        first = parts.index(blocks[-unfrozen_blocks]) if unfrozen_blocks else len(parts)
        self.blocks, self._frozen, self._trained = blocks, parts[:first], parts[first:]
        for name in self._trained:
            _unfreeze(self.backbone.get_submodule(name))
        self._cache = _Cache(int(cache_gib * 1024**3))
        self.backbone.register_load_state_dict_post_hook(self._forget)
        self.train()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """c h w of the images that the backbone was made for."""
        channels, height, width = self.backbone.pretrained_cfg["input_size"]  # type: ignore[index]
        return channels, height, width

    def train(self, mode: bool = True) -> "Finetuned":
        """The head alone knows a training mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits n num_classes. Gradients reach the images too, if they ask for one."""
        if not self._cache.capacity or isinstance(images, fx.Proxy) or images.requires_grad or images.is_meta:
            maps = self._run(self._frozen, images)
        else:
            maps = torch.stack([self._frozen_maps(image) for image in images])
        logits: Tensor = self.head(self._run(self._trained, maps))
        return logits

    def _run(self, parts: list[str], maps: Tensor) -> Tensor:
        for name in parts:
            maps = self.backbone.get_submodule(name)(maps)
        return maps

    @torch.no_grad()
    def _frozen_maps(self, image: Tensor) -> Tensor:
        """Of one image, alone: rounding must not depend on its batch, or a resumed run would differ."""
        key = hashlib.blake2b(image.cpu().numpy().tobytes()).digest()
        found = self._cache.get(key)
        if found is None:
            found = self._run(self._frozen, image[None])[0]
            self._cache.add(key, found)
        return found.to(image.device)

    def stop_caching(self) -> None:
        """Keep nothing from now on: what is predicted does not come again."""
        self._cache = _Cache(0)

    def _forget(self, *_: Any) -> None:
        self._cache.clear()


class _Cache:
    """Tensors by key up to `capacity` bytes; what comes later is not kept."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self._held = capacity, 0
        self._tensors: dict[bytes, Tensor] = {}

    def get(self, key: bytes) -> Tensor | None:
        return self._tensors.get(key)

    def add(self, key: bytes, tensor: Tensor) -> None:
        if self._held + tensor.nbytes <= self.capacity:
            self._tensors[key] = tensor
            self._held += tensor.nbytes

    def clear(self) -> None:
        self._tensors.clear()
        self._held = 0


class _Whole(fx.Tracer):
    """Looks at how a network connects its parts, and into none of them."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return "." not in module_qualified_name


def parts_in_order(network: nn.Module) -> list[str]:
    """The names of the children of `network` in the order in which its `forward` runs them.

    Raises ConvlabError unless each takes what the one before made, and nothing lies between them.
    """
    kind = type(network).__name__
    try:
        graph = fx.GraphModule(network, _Whole().trace(network)).graph
    except Exception as error:  # whatever the network's code raises when it runs on stand-ins for tensors
        raise ConvlabError(f"{kind} cannot be taken apart into its blocks: {error}") from error
    graph.eliminate_dead_code()
    first, *parts, last = graph.nodes
    for before, node in zip((first, *parts), (*parts, last), strict=True):
        if node.all_input_nodes != [before] or (node is not last and node.op != "call_module"):
            raise ConvlabError(
                f"{kind} is not a chain of blocks ({node.format_node()}): it can't be frozen up to one."
            )
    return [str(part.target) for part in parts]


def is_block(part: nn.Module) -> bool:
    """Whether there are several convolutions in it."""
    return sum(isinstance(layer, nn.Conv2d) for layer in part.modules()) > 1


def _unfreeze(part: nn.Module) -> None:
    for layer in part.modules():
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for parameter in layer.parameters(recurse=False):
                parameter.requires_grad_(True)
