"""The model that is served, and what it is."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash
from convlab.prediction import named_model
from convlab.runs import champions, model_file
from convlab.runs.run import Run
from convlab.serving.answers import Measured

if TYPE_CHECKING:
    from convlab.prediction.network_predictor import NetworkPredictor

MAX_PIXELS = 89_478_485  # of a stranger's picture: Pillow's own limit


@dataclass(frozen=True)
class Origin:
    """Where a model comes from; None where that is not known.

    data: the data set's name. data_hash, weights_hash: sha256 hex.
    """

    run: str | None = None
    data: str | None = None
    data_hash: str | None = None
    weights_hash: str | None = None


class Served:
    """What `--model` means, ready to predict; raises ConvlabError as `named_model.load` does.

    A champion predicts by its ONNX export; its layers are looked into with torch (`looked_into`).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        directory = named_model.complete(name)  # a registered model is downloaded by it: once
        self._source = name if directory is None else str(directory)
        self._predictor = named_model.quickest(self._source)
        self.preprocessing, self.classes = self._predictor.preprocessing, list(self._predictor.classes)
        self.origin = _origin(name, directory)
        self.measured = _measured(self.origin, directory or _run_directory(name))

    def open(self, content: bytes) -> Image.Image:
        """The picture in an image file's bytes; raises UnreadableImage, also above MAX_PIXELS."""
        return self.preprocessing.open(content, limit=MAX_PIXELS)

    def pixels(self, content: bytes) -> NDArray[np.uint8]:
        """uint8 c h w of an image file's bytes; raises UnreadableImage."""
        return self._predictor.pixels(self.open(content))

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """n num_classes from uint8 n c h w."""
        return self._predictor.probabilities(images)

    @property
    def unexplainable(self) -> str | None:
        """Why its layers can't be looked into; None if they can."""
        if named_model.exported(self._source) is None:
            return None
        return "an exported model can't be looked into. Serve the run or the champion that it was made from."

    @cached_property
    def looked_into(self) -> "NetworkPredictor":
        """The same as torch computes it, if `unexplainable` is None; loaded when first asked for."""
        from convlab.prediction.network_predictor import NetworkPredictor

        own = self._predictor
        return own if isinstance(own, NetworkPredictor) else named_model.load(self._source)


def _origin(name: str, directory: Path | None) -> Origin:
    if directory is None and (file := named_model.exported(name)) is not None:
        return Origin(weights_hash=file_hash(file))
    if directory is None:
        run = named_model.run(name)
        if run is None:  # a published backbone
            return Origin()
        directory = run.model_dir
    model = model_file.read(directory)
    return Origin(model.name, _data(name), model.lineage["data_hash"], model.weights_hash)


def _run_directory(name: str) -> Path | None:
    try:
        return Run.find(name).directory
    except ConvlabError:
        return None


def _measured(origin: Origin, directory: Path | None) -> Measured | None:
    """What `evaluate` found of just these weights, where the run or champion has it."""
    if directory is None or not (directory / "metrics.json").is_file():
        return None
    found = Run(directory)
    if found.lineage.get("weights_hash") != origin.weights_hash:
        return None
    return Measured(**{name: found.metrics["test"][name] for name in Measured.model_fields})


def _data(name: str) -> str | None:
    """The data set's name, which a complete model does not say itself."""
    word, _, data = name.partition("/")
    if word == "champion":
        return champions.champion(data or None).data
    try:
        return str(Run.find(name).config["data"]["name"])
    except ConvlabError:
        return None
