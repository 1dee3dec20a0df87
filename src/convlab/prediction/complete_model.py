"""A trained network that travels alone: a directory from which any machine with convlab predicts.

<directory>/
  model.json             as in a run's `model/` (runs.py)
  <kind>.safetensors     the weights that predict, "raw" or "averaged"
  backbone.safetensors   of a head on bottleneck vectors, what makes them: all weights of its backbone
  model.onnx             of a champion, all of it once more, from pixels to probabilities (onnx_predictor.py)
"""

import hashlib
import shutil
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from convlab import __version__
from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash
from convlab.data.preprocessing import Preprocessing
from convlab.features.backbone import Backbone
from convlab.models import saved
from convlab.prediction import onnx_predictor
from convlab.prediction.network_predictor import NetworkPredictor, of_run
from convlab.prediction.predictor import Photo
from convlab.runs import model_file
from convlab.runs.run import Run

BACKBONE = "backbone.safetensors"


def write(run: Run, directory: Path) -> None:
    """Make `directory` from a run's model; raises ConvlabError as `network_predictor.of_run` does."""
    network = of_run(run).network
    found = run.model_file
    kind, model, backbone = found.selected, found.model, found.backbone
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(run.model_dir / f"{kind}.safetensors", directory)
    if found.takes_vectors:
        weights = save(network.get_submodule("backbone").state_dict())
        (directory / BACKBONE).write_bytes(weights)
        backbone = {**(backbone or {}), "weights": BACKBONE, "sha256": hashlib.sha256(weights).hexdigest()}
    if "cache_gib" in model:
        model = {**model, "cache_gib": 0.0}  # of the images trained on; a server would fill it with others
    kept = {kind: found.weights[kind]}
    replace(found, model=model, backbone=backbone, weights=kept, convlab_version=__version__).write(directory)


def add_onnx(directory: Path, images: Iterable[Photo]) -> float:
    """Write model.onnx, so that a prediction starts without torch; returns `exporting.largest_difference`.

    Raises NotExportable, with nothing written, if the network can't be, or predicts otherwise on `images`.
    """
    from convlab.prediction.export import checked
    from convlab.prediction.export.formats import FORMATS

    model, path = model_file.read(directory), directory / onnx_predictor.FILE
    difference = checked.export(load(directory), model.name, FORMATS["onnx"], path, images)
    replace(model, onnx_sha256=file_hash(path)).write(directory)
    return difference


def copy(directory: Path, target: Path) -> None:
    """Put the complete model in `directory`, and nothing else that is there, into `target`."""
    model = model_file.read(directory)
    files = [*model.weight_files, *([BACKBONE] if model.takes_vectors else [])]
    files += [onnx_predictor.FILE] if model.onnx_sha256 else []
    target.mkdir(parents=True, exist_ok=True)
    for name in [*files, "model.json"]:
        shutil.copy(directory / name, target)


def load(directory: Path, code: Path | None = None) -> NetworkPredictor:
    """The network in `directory`; raises ConvlabError if a file is missing or was altered.

    code: a folder that came with it, whose classes it may name (`saved.load`).
    """
    model = model_file.read(directory)
    network = saved.load(directory, code=code)
    if model.takes_vectors and model.backbone:
        backbone = _backbone(directory, model.backbone)
        network = nn.Sequential(OrderedDict(backbone=backbone.model, head=network))
    return NetworkPredictor(Preprocessing.from_dict(model.preprocessing), model.classes, network.eval())


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
