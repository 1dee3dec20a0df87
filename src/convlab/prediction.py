"""Photos to classes by a trained run or a published network, with the numbers that evaluation has."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from convlab import runs
from convlab.bottleneck.backbone import Backbone
from convlab.errors import ConvlabError
from convlab.models.finetuned import Finetuned
from convlab.preprocessing import Preprocessing
from convlab.project import project_dir

BATCH_SIZE = 16  # photos
Photo = Path | bytes | Image.Image  # a file, its bytes, or what `Preprocessing.open` makes of them


@dataclass(frozen=True)
class Predictor:
    """A network from pixels to logits, in evaluation mode, with what turns a file into its input.

    network: float32 images n c h w, as `preprocessing` makes them, -> logits n num_classes.
    """

    network: nn.Module
    preprocessing: Preprocessing
    classes: Sequence[str]

    def __call__(self, photos: Iterable[Photo]) -> Tensor:
        """Probabilities n num_classes, float32. Raises UnreadableImage for a file that is no image.

        Never more than a batch of photos is in memory, so `photos` may be drawn from a generator.
        """
        photos, parts = iter(photos), [torch.empty(0, len(self.classes))]
        while batch := [self.pixels(photo) for photo in islice(photos, BATCH_SIZE)]:
            parts.append(self.probabilities(torch.stack(batch)))
        return torch.cat(parts)

    def pixels(self, photo: Photo) -> Tensor:
        """uint8 c h w, as the network was trained on them, yet neither padded nor normalized."""
        image = photo if isinstance(photo, Image.Image) else self.preprocessing.open(photo)
        return self.preprocessing.pixels(image)

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """n num_classes from uint8 n c h w, what `pixels` makes."""
        logits: Tensor = self.network(self.preprocessing.normalize(pixels))
        return logits.softmax(1)


def of_run(run_dir: Path) -> Predictor:
    """A run's network; for one on bottleneck vectors, its backbone (`backbone`) and itself (`head`) on it.

    Raises ConvlabError if the backbone's weights are not those that the vectors were computed with.
    """
    card = runs.read_card(run_dir / "model")
    network = runs.load_model(run_dir / "model")
    if isinstance(network, Finetuned):
        network.stop_caching()
    preprocessing = Preprocessing.from_dict(card["preprocessing"])
    if len(card["input_shape"]) == 1:
        backbone = backbone_of(card["backbone"])
        if backbone.weights_hash != card["lineage"]["backbone_hash"]:
            expected, found = card["lineage"]["backbone_hash"][:8], backbone.weights_hash[:8]
            raise ConvlabError(
                f"{run_dir.name} was trained on vectors of other weights than {backbone.weights}: their "
                f"sha256 begins with {expected}, not {found}. Fetch those, or give `convlab features` and "
                "`convlab train` again."
            )
        network = nn.Sequential(OrderedDict(backbone=backbone.model, head=network))
    return Predictor(network.eval(), preprocessing, card["classes"])


def of_backbone(settings: dict[str, Any]) -> Predictor:
    """A network of conf/backbone/ as published, with ImageNet's 1,000 classes."""
    from timm.data import ImageNetInfo

    backbone = backbone_of(settings)
    network, info = backbone.classifier, ImageNetInfo()
    classes = [info.index_to_description(index) for index in range(info.num_classes())]
    return Predictor(network, Preprocessing.from_dict(settings["preprocessing"]), classes)


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
