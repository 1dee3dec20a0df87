"""How a network's weights start, where it is not PyTorch's own way."""

from typing import Any

import torch
from torch import nn

from convlab.base import provenance
from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash
from convlab.base.project import project_dir


def truncated_normal(network: nn.Module, std: float) -> None:
    """Start every weight from a normal distribution cut at two standard deviations, every bias from zero.

    A draw beyond 2 `std` is made again until it is within, so the weights' own standard deviation is
    0.880 `std`. Weights are the parameters of more than one dimension; batch norm's scales keep their ones.
    Source: `tf.truncated_normal_initializer`. Raises ConvlabError unless `std` is above zero.
    """
    if std <= 0:
        raise ConvlabError(f"init.std={std}: expected a standard deviation above 0, such as 0.1.")
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.trunc_normal_(parameter, std=std, a=-2 * std, b=2 * std)
        elif name.rpartition(".")[2] == "bias":
            nn.init.zeros_(parameter)


def pretrained(network: nn.Module, weights: str | None) -> dict[str, Any]:
    """Start `network.backbone` from published weights, a safetensors file in the project.

    Returns where they come from: `backbone_hash`, their file's sha256, and `substitutes`. None keeps the
    random ones. Raises ConvlabError if the file is missing or holds another network's weights.
    """
    if weights is None:
        return {}
    from convlab.features.backbone import load_weights

    if not isinstance(backbone := getattr(network, "backbone", None), nn.Module):
        raise ConvlabError(
            f"init.weights={weights}: {type(network).__name__} has no backbone. "
            "Choose model=finetuned, or init=null."
        )
    path = project_dir() / weights
    if not path.is_file():
        raise ConvlabError(
            f"there are no weights {path}. `convlab fetch <backbone>` brings published ones; "
            "init.weights=null keeps random ones."
        )
    load_weights(backbone, path)
    return {"backbone_hash": file_hash(path), "substitutes": provenance.substitutes(path.parent)}


def he_normal(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Start each weight from a normal distribution of variance 2 / (values a unit reads), biases from zero.

    Through ReLUs, signals then keep their size however many layers there are. Source: He et al. (2015),
    "Delving deep into rectifiers".
    """
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        elif name.rpartition(".")[2] == "bias":
            nn.init.zeros_(parameter)
