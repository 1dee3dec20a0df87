"""A trained run or a published network, by torch, with the numbers that evaluation has."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.data.preprocessing import Preprocessing
from convlab.features.backbone import Backbone
from convlab.models import saved
from convlab.models.finetuned import Finetuned
from convlab.prediction.predictor import Predictor
from convlab.runs.run import Run


@dataclass(frozen=True)
class NetworkPredictor(Predictor):
    """network: in evaluation mode, float32 images n c h w, as `preprocessing` makes them, -> logits."""

    network: nn.Module

    @torch.inference_mode()
    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """n num_classes from n c h w, what `pixels` makes."""
        logits = self.network(self.preprocessing.normalize(torch.from_numpy(pixels)))
        found: NDArray[np.float32] = logits.softmax(1).numpy()
        return found


def of_run(run: Run) -> NetworkPredictor:
    """A run's network; for one on bottleneck vectors, its backbone (`backbone`) and itself (`head`) on it.

    Raises ConvlabError if the backbone's weights are not those that the vectors were computed with.
    """
    model = run.model_file
    network = saved.load(run.model_dir)
    if isinstance(network, Finetuned):
        network.stop_caching()
    preprocessing = Preprocessing.from_dict(model.preprocessing)
    if model.takes_vectors and model.backbone:
        backbone = backbone_of(model.backbone)
        if backbone.weights_hash != model.lineage["backbone_hash"]:
            expected, found = model.lineage["backbone_hash"][:8], backbone.weights_hash[:8]
            raise ConvlabError(
                f"{run.name} was trained on vectors of other weights than {backbone.weights}: their "
                f"sha256 begins with {expected}, not {found}. Fetch those, or give `convlab features` and "
                "`convlab train` again."
            )
        network = nn.Sequential(OrderedDict(backbone=backbone.model, head=network))
    return NetworkPredictor(preprocessing, model.classes, network.eval())


def of_backbone(settings: dict[str, Any]) -> NetworkPredictor:
    """A network of conf/backbone/ as published, with ImageNet's 1,000 classes."""
    from timm.data import ImageNetInfo

    backbone = backbone_of(settings)
    network, info = backbone.classifier, ImageNetInfo()
    classes = [info.index_to_description(index) for index in range(info.num_classes())]
    return NetworkPredictor(Preprocessing.from_dict(settings["preprocessing"]), classes, network)


def backbone_of(settings: dict[str, Any]) -> Backbone:
    """What a conf/backbone/*.yaml describes."""
    weights = settings["weights"]
    return Backbone(
        settings["name"],
        settings["architecture"],
        None if weights is None else project_dir() / weights,
        settings["seed"],
        settings["options"],
    )
