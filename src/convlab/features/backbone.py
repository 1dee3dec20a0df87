"""A backbone: any timm model without its classifier, with given weights or seeded random ones."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from convlab.base.errors import ConvlabError, near
from convlab.base.files import file_hash

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Backbone:
    """What conf/backbone/*.yaml says. timm is imported, and a model built, only when one is needed.

    architecture: timm's name of the model.
    weights: a safetensors file of timm's state dict, stored in any float type, or None for random ones.
    seed: of the random weights.
    options: further arguments of `timm.create_model`.
    """

    name: str
    architecture: str
    weights: Path | None = None
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def weights_hash(self) -> str:
        """sha256 hex of the weights file; where there is none, of every random weight."""
        if self.weights is not None:
            return file_hash(self._weights_file())
        digest = hashlib.sha256(f"{self.architecture} {self.seed}".encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        """All that decides the vectors, besides the images and their preprocessing."""
        return {"architecture": self.architecture, "options": self.options, "weights_hash": self.weights_hash}

    @cached_property
    def model(self) -> "nn.Module":
        """In eval mode, on the CPU, float32: images n c h w -> globally pooled vectors n d.

        Raises ConvlabError for an unknown architecture, and for weights that lack a tensor, have one too
        many (the classifier's aside) or one of another shape.
        """
        model = _build(self.architecture, self.seed, self.options)
        if self.weights is not None:
            load_weights(model, self._weights_file())
        return model.eval()

    @cached_property
    def classifier(self) -> "nn.Module":
        """The whole network: images n c h w -> logits n 1000, ImageNet's classes in their usual order.

        Raises ConvlabError if its weights are random, or their file holds no classifier.
        """
        if self.weights is None:
            raise ConvlabError(
                f"backbone={self.name} has random weights, which know no classes. Predict with a run trained "
                "on its vectors, or with a backbone that has weights."
            )
        model = _build(self.architecture, self.seed, self.options, IMAGENET_CLASSES)
        load_weights(model, self._weights_file())
        return model.eval()

    def _weights_file(self) -> Path:
        if self.weights is None or not self.weights.is_file():
            raise ConvlabError(
                f"there are no weights {self.weights} for backbone={self.name}. `convlab fetch {self.name}` "
                "brings published ones; backbone.weights=null takes random ones."
            )
        return self.weights


def _build(architecture: str, seed: int, options: dict[str, Any], num_classes: int = 0) -> "nn.Module":
    import timm
    import torch

    if not timm.is_model(architecture):  # also keeps out names that would make timm download
        hint = near(architecture, timm.list_models()) or "`timm.list_models()` names them all."
        raise ConvlabError(f"timm has no model '{architecture}'. {hint}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model: nn.Module = timm.create_model(
                architecture, pretrained=False, num_classes=num_classes, **options
            )
        except TypeError as error:
            raise ConvlabError(f"backbone {architecture}, options {options}: {error}") from None
    return model.requires_grad_(False)


def load_weights(model: "nn.Module", path: Path) -> None:
    """Give a timm model the weights in a safetensors file; raises ConvlabError unless they are its own.

    Weights of a classifier that the model doesn't have are left out.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ConvlabError(f"{path} is not a whole safetensors file: {error}. Fetch it again.") from None
    expected = model.state_dict()
    own = {name for name in expected if _of_classifier(model, name)}
    if own and own.isdisjoint(state):
        raise ConvlabError(
            f"{path} holds no classifier ({', '.join(sorted(own))}), so it gives vectors, but no ImageNet "
            "classes. Fetch the published file (a mirror's can be a substitute, as provenance.json beside it "
            "tells), or predict with a run trained on the vectors."
        )
    state = {
        name: tensor for name, tensor in state.items() if name in expected or not _of_classifier(model, name)
    }
    problems = _differences(expected, state)
    if problems:
        raise ConvlabError(
            f"{path} does not hold the weights of timm's {type(model).__name__}: {'; '.join(problems)}. "
            "backbone.architecture and backbone.weights must belong together."
        )
    model.load_state_dict(state)


def _of_classifier(model: "nn.Module", name: str) -> bool:
    """Whether this tensor belongs to the layer that num_classes=0 removes."""
    layers = cast(dict[str, Any], model.pretrained_cfg).get("classifier") or ()
    return any(name.startswith(f"{layer}.") for layer in ([layers] if isinstance(layers, str) else layers))


def _differences(expected: "dict[str, Tensor]", found: "dict[str, Tensor]") -> list[str]:
    # How often a batch norm was updated is no weight: files from before torch counted lack it.
    missing = [name for name in expected if name not in found and not name.endswith("num_batches_tracked")]
    surplus = [name for name in found if name not in expected]
    wrong = [
        f"{name} is {tuple(found[name].shape)}, expected {tuple(expected[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    return [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unexpected", surplus), ("of another shape", wrong))
        if names
    ]
