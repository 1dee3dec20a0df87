"""A trained network that travels alone: a directory from which any machine with convlab predicts.

<directory>/
  model.json             as in a run's `model/` (runs.py)
  <kind>.safetensors     the weights that predict, "raw" or "averaged"
  backbone.safetensors   of a head on bottleneck vectors, what makes them: all weights of its backbone
"""

import hashlib
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from convlab import runs
from convlab.bottleneck.backbone import Backbone
from convlab.errors import ConvlabError
from convlab.prediction import Predictor, of_run
from convlab.preprocessing import Preprocessing

BACKBONE = "backbone.safetensors"


def write(run_dir: Path, directory: Path) -> None:
    """Make `directory` from a run's model; raises ConvlabError as `prediction.of_run` does."""
    network = of_run(run_dir).network
    card = runs.read_card(run_dir / "model")
    kind = card["selected"]
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(run_dir / "model" / f"{kind}.safetensors", directory)
    if len(card["input_shape"]) == 1:
        weights = save(network.get_submodule("backbone").state_dict())
        (directory / BACKBONE).write_bytes(weights)
        card["backbone"] |= {"weights": BACKBONE, "sha256": hashlib.sha256(weights).hexdigest()}
    if "cache_gib" in card["model"]:
        card["model"]["cache_gib"] = 0.0  # of the images trained on; a server would fill it with others
    runs.write_json(directory / "model.json", card | {"weights": {kind: card["weights"][kind]}})


def load(directory: Path) -> Predictor:
    """The network in `directory`; raises ConvlabError if a file is missing or was altered."""
    card = runs.read_card(directory)
    network = runs.load_model(directory)
    if len(card["input_shape"]) == 1:
        backbone = _backbone(directory, card["backbone"])
        network = nn.Sequential(OrderedDict(backbone=backbone.model, head=network))
    return Predictor(network.eval(), Preprocessing.from_dict(card["preprocessing"]), card["classes"])


def _backbone(directory: Path, settings: dict[str, Any]) -> Backbone:
    path = directory / BACKBONE
    if not path.is_file():
        raise ConvlabError(f"{path} is missing: the vectors that the model takes can't be made. Restore it.")
    backbone = Backbone(
        settings["name"], settings["architecture"], path, settings["seed"], settings["options"]
    )
    if backbone.weights_hash != settings.get("sha256"):
        raise ConvlabError(f"{path} differs from what model.json says was saved. Restore it.")
    return backbone
