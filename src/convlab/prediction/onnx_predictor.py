"""Prediction from an exported model by ONNX Runtime alone, which starts in a fraction of torch's time.

The graph takes `pixels`, uint8 n c h w as `Preprocessing.array` makes them, and gives `probabilities`,
float32 n k. Its metadata hold what else is needed: `classes` and `preprocessing` (JSON), `convlab_version`,
`name`. Imports no torch.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from convlab.base.errors import ConvlabError
from convlab.data.preprocessing import Preprocessing
from convlab.prediction.predictor import Predictor
from convlab.runs import model_file

FILE, INPUT, OUTPUT = "model.onnx", "pixels", "probabilities"


@dataclass(frozen=True)
class OnnxPredictor(Predictor):
    """session: with `pixels` as its input and `probabilities` as an output."""

    session: onnxruntime.InferenceSession

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """n num_classes from n c h w, what `pixels` makes."""
        found: NDArray[np.float32] = self.session.run([OUTPUT], {INPUT: pixels})[0]
        return found


def load(source: Path | bytes) -> OnnxPredictor:
    """The model in a file, or in a file's bytes; raises ConvlabError unless `convlab export` wrote it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _num_threads()
    options.log_severity_level = 3  # errors; warnings are about the graph's form
    name = source if isinstance(source, Path) else FILE
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a dozen kinds, for damaged files too
        raise ConvlabError(f"{name} is not an ONNX model that can be run: {error}") from None
    about = session.get_modelmeta().custom_metadata_map
    if not {"classes", "preprocessing"} <= about.keys():
        raise ConvlabError(
            f"{name} does not say its classes and preprocessing: `convlab export` did not write it."
        )
    preprocessing = Preprocessing.from_dict(json.loads(about["preprocessing"]))
    return OnnxPredictor(preprocessing, json.loads(about["classes"]), session)


def of_complete_model(directory: Path) -> OnnxPredictor | None:
    """The export beside a complete model's weights, if it has one; ConvlabError if it was altered."""
    expected = model_file.read(directory).onnx_sha256
    path = directory / FILE
    return load(model_file.checked(path, expected)) if expected and path.is_file() else None


def _num_threads() -> int:
    """As many as torch would take."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    return int(chosen) if chosen.isdigit() and int(chosen) else os.cpu_count() or 1
