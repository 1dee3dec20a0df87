"""A run's network as MLflow shows and loads it: a logged model, linked to its run.

An image network takes image files (prediction/pyfunc.py); a head takes bottleneck vectors
(prediction/vector_pyfunc.py): with its backbone, a head of kilobytes would weigh a hundred megabytes, each
time. `convlab promote` registers both.
Loading one takes an environment with convlab.
"""

import base64
import json
import platform
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, DataType, Map, Schema, TensorSpec

from convlab.base import own_code
from convlab.base.project import project_dir
from convlab.data.example_image import example_image
from convlab.data.preprocessing import Preprocessing
from convlab.runs.model_file import ModelFile
from convlab.runs.run import Run
from convlab.tracking import store
from convlab.tracking.mlflow_runs import KEY_TAG

LOADER, VECTOR_LOADER = "convlab.prediction.pyfunc", "convlab.prediction.vector_pyfunc"
CODE = "code"
EXAMPLE = "input_example.json"
OUTPUTS = Schema([ColSpec(DataType.string, "class"), ColSpec(Map(DataType.double), "probabilities")])
SIGNATURE = ModelSignature(Schema([ColSpec(DataType.binary, "image")]), OUTPUTS)


def log(
    name: str,
    experiment_id: str,
    run_id: str | None,
    write: Callable[[Path, Model], None],
    key: str | None = None,
) -> str:
    """Log the model that `write(directory, description)` puts into an empty directory; returns its id.

    key: tells this model from all others; with it, one that was begun and not finished is finished.
    """
    client = store.client()
    logged = _begun(experiment_id, key) if key else None
    if logged is None:
        tags = {KEY_TAG: key} if key else None
        logged = client.create_logged_model(experiment_id, name, run_id, tags)
    model = Model(
        artifact_path=logged.artifact_location,
        run_id=run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
    )
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "model", model)
        client.log_model_artifacts(logged.model_id, f"{folder}/model")
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    if run_id is not None and not _is_linked(run_id, logged.model_id):
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def _begun(experiment_id: str, key: str) -> LoggedModel | None:
    found = store.client().search_logged_models([experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return found[0] if found else None


def _is_linked(run_id: str, model_id: str) -> bool:
    outputs = store.client().get_run(run_id).outputs
    return any(each.model_id == model_id for each in (outputs.model_outputs if outputs else []))


def log_run(run: Run, experiment: str, run_id: str, key: str | None = None) -> str:
    """Log `run`'s `model/`; returns the model's id. key: as for `log`."""

    def write(directory: Path, model: Model) -> None:
        found = run.model_file
        (directory / "data").mkdir(parents=True)
        for name in ("model.json", *found.weight_files):
            (directory / "data" / name).symlink_to((run.model_dir / name).resolve())
        for path in own_code_paths(found):  # beside it, where MLflow imports from
            (directory / CODE).mkdir(exist_ok=True)
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, directory / CODE / path.name)
        _describe(model, directory, found)
        # `mlflow.pyfunc.save_model` would read every installed package's list of files: seconds
        model.save(str(directory / "MLmodel"))

    name = re.sub(r"[/:.%\"']", "_", run.name)  # which MLflow refuses
    return log(name, store.experiment_id(experiment), run_id, write, key)


def own_code_paths(found: ModelFile) -> list[Path]:
    """What of the project a network of the user's own needs: its file, or the folder at the project's top."""
    place = own_code.place(found.model)
    return [project_dir() / Path(place).parts[0]] if place else []


def _describe(model: Model, directory: Path, found: ModelFile) -> None:
    """Loader, signature and input example, in MLflow's formats: a split DataFrame, a tensor as lists."""
    if found.takes_vectors:
        vector = np.linspace(0, 1, found.input_shape[0], dtype=np.float32)
        example: Any = [vector.tolist()]
        kind = {"type": "ndarray", "format": "tf-serving"}
        inputs = Schema([TensorSpec(vector.dtype, (-1, len(vector)))])
        model.signature, loader = ModelSignature(inputs, OUTPUTS), VECTOR_LOADER
    else:
        image = base64.b64encode(example_image(Preprocessing.from_dict(found.preprocessing))).decode()
        example = {"columns": ["image"], "data": [[image]]}
        kind = {"type": "dataframe", "pandas_orient": "split"}
        model.signature, loader = SIGNATURE, LOADER
    (directory / EXAMPLE).write_text(json.dumps(example))
    model.saved_input_example_info = {"artifact_path": EXAMPLE, **kind}
    code = {"code": CODE} if (directory / CODE).is_dir() else {}
    model.add_flavor(
        "python_function", loader_module=loader, data="data", python_version=platform.python_version(), **code
    )
