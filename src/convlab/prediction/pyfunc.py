"""A complete model as MLflow loads it: the loader module that a registered champion names.

Input: a DataFrame with one column, `image`, of image files' bytes (JPEG, PNG, BMP, GIF, WebP or TIFF; base64
where they arrive as JSON). Output: a DataFrame with the columns `class`, a name, and `probabilities`, a dict
from each class to its probability. No object is unpickled: weights are safetensors, all else is JSON.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from convlab.prediction import complete_model
from convlab.prediction.predictor import Predictor


class ImageClassifier:
    """What `mlflow.pyfunc.load_model` wraps."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row for each image, in their order. Raises UnreadableImage, saying why."""
        return table(self.predictor(model_input["image"]), list(self.predictor.classes))


def table(probabilities: NDArray[np.float32], classes: list[str]) -> pd.DataFrame:
    """The output, a row for each of `probabilities` n k."""
    best = [classes[index] for index in probabilities.argmax(1).tolist()]
    by_class = [dict(zip(classes, row, strict=True)) for row in probabilities.tolist()]
    return pd.DataFrame({"class": best, "probabilities": by_class})


def _load_pyfunc(path: str) -> ImageClassifier:
    return ImageClassifier(complete_model.load(Path(path), code_beside(Path(path))))


def code_beside(path: Path) -> Path | None:
    """The code that came with the MLflow model of which `path` is the data, and is imported from there."""
    folders = (parent / "code" for parent in path.parents if (parent / "MLmodel").is_file())
    return next((folder for folder in folders if folder.is_dir()), None)
