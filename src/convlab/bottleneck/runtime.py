"""Runtimes: ways to run the same backbone. Chosen by `backbone.runtime`; each must give the same vectors.

A runtime is a function from float32 images n c h w to float32 vectors n d. It is not part of the cache's
key, so a change of runtime recomputes nothing. A new one is a function like `torch_eager`, named in RUNTIMES.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from convlab.errors import ConvlabError

if TYPE_CHECKING:
    from torch import Tensor, nn

Runtime = Callable[["Tensor"], "Tensor"]


def torch_eager(model: "nn.Module") -> Runtime:
    """timm's modules as they are, on the CPU."""
    import torch

    return torch.inference_mode()(model.__call__)


RUNTIMES: dict[str, Callable[["nn.Module"], Runtime]] = {"torch": torch_eager}


def make_runtime(name: str, model: "nn.Module") -> Runtime:
    """Raises ConvlabError for a name that is not in RUNTIMES."""
    if name not in RUNTIMES:
        raise ConvlabError(f"backbone.runtime={name} is not known. There is: {', '.join(RUNTIMES)}.")
    return RUNTIMES[name](model)
