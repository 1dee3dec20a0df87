"""What `--model NAME` means, for every verb that predicts.

NAME is `champion`, or `champion/<data>` where several data sets have one; a run, by its name under runs/ or
its directory; a complete model's directory, moved anywhere; an exported .onnx file, or the directory of one;
a model of MLflow's registry, `models:/...`; or a backbone of conf/backbone/.
"""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlab.base.errors import ConvlabError
from convlab.base.project import conf_groups
from convlab.prediction.predictor import Predictor
from convlab.runs import champions
from convlab.runs.run import Run

if TYPE_CHECKING:
    from convlab.prediction.network_predictor import NetworkPredictor


def load(name: str) -> "NetworkPredictor":
    """The model that `name` means, as torch computes it.

    Raises ConvlabError, listing what there is, if none is called so.
    """
    directory = complete(name)
    if directory is not None:
        from convlab.prediction import complete_model

        return complete_model.load(directory)
    if (found := run(name)) is not None:
        from convlab.prediction.network_predictor import of_run

        return of_run(found)
    from convlab.base import config
    from convlab.prediction.network_predictor import of_backbone

    composed: dict[str, Any] = config.plain(config.compose("train", [f"backbone={name}"]))
    return of_backbone(composed["backbone"])


def quickest(name: str) -> Predictor:
    """The model that `name` means, by its ONNX export where it has one; else as `load`."""
    if (path := exported(name)) is not None:
        from convlab.prediction import onnx_predictor

        return onnx_predictor.load(path)
    directory = complete(name)
    if directory is None:
        return load(name)
    if (directory / "model.onnx").is_file():
        from convlab.prediction import onnx_predictor

        if (found := onnx_predictor.of_complete_model(directory)) is not None:
            return found
    from convlab.prediction import complete_model

    return complete_model.load(directory)


def exported(name: str) -> Path | None:
    """The ONNX file that `name` means, itself or by the directory that holds it and no complete model."""
    path = Path(name)
    if path.suffix == ".onnx" and path.is_file():
        return path
    alone = (path / "model.onnx").is_file() and not (path / "model.json").is_file()
    return path / "model.onnx" if alone else None


def complete(name: str) -> Path | None:
    """The directory that `name` means, if that holds a complete model."""
    word, _, data = name.partition("/")
    if word == "champion":
        return champions.champion(data or None).directory
    if word == "models:":
        from convlab.tracking import registry

        folder = tempfile.mkdtemp(prefix="convlab-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return registry.download(name, Path(folder))
    return Path(name) if (Path(name) / "model.json").is_file() else None


def run(name: str) -> Run | None:
    """The run that `name` means; None if it means a backbone.

    Raises ConvlabError, listing both, if it means neither.
    """
    backbones = [choice for choice in conf_groups().get("backbone", {}) if choice != "none"]
    if name in backbones:
        return None
    try:
        return Run.find(name)
    except ConvlabError as error:
        raise ConvlabError(f"--model {name}: {error} Backbones: {', '.join(backbones)}.") from None
