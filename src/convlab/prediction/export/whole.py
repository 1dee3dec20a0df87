"""All that lies between an image's pixels and its class, as one module to export."""

import json
from typing import Any

import torch
from torch import Tensor, nn

from convlab import __version__
from convlab.prediction.network_predictor import NetworkPredictor


class Whole(nn.Module):
    """uint8 n c h w, as `Preprocessing.array` makes them, -> probabilities n k: padding and normalization,
    backbone and head, softmax."""

    def __init__(self, predictor: NetworkPredictor) -> None:
        super().__init__()
        self.network, self.preprocessing = predictor.network, predictor.preprocessing
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(self.preprocessing.normalize(pixels))
        return logits.softmax(1)

    def example(self) -> Tensor:
        """Two black images."""
        size = self.preprocessing.size
        return torch.zeros(2, self.preprocessing.channels, size, size, dtype=torch.uint8)


def metadata(name: str, predictor: NetworkPredictor) -> dict[str, str]:
    """What travels inside an exported file; all but `name` and `convlab_version` are JSON."""
    about: dict[str, Any] = {
        "classes": list(predictor.classes),
        "preprocessing": predictor.preprocessing.to_dict(),
    }
    return {"name": name, "convlab_version": __version__} | {
        key: json.dumps(value, ensure_ascii=False) for key, value in about.items()
    }
