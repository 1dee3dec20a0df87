"""A run's head as MLflow loads it, on the bottleneck vectors that `convlab features` makes.

Input: vectors n d, float32. Output: as in pyfunc.py.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from convlab.models import saved
from convlab.prediction.pyfunc import code_beside, table
from convlab.runs import model_file


class VectorClassifier:
    """What `mlflow.pyfunc.load_model` wraps."""

    def __init__(self, network: torch.nn.Module, classes: list[str]) -> None:
        self.network, self.classes = network, classes

    @torch.no_grad()
    def predict(self, model_input: np.ndarray, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row for each vector, in their order."""
        vectors = torch.from_numpy(np.array(model_input, dtype=np.float32))  # a copy: torch wants to write
        return table(self.network(vectors).softmax(1).numpy(), self.classes)


def _load_pyfunc(path: str) -> VectorClassifier:
    return VectorClassifier(
        saved.load(Path(path), code=code_beside(Path(path))), model_file.read(Path(path)).classes
    )
