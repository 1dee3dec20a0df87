"""MLflow's Model Registry: it follows the champions that the project keeps, and decides nothing.

Each data set has a registered model, `convlab-<data>`; the alias `champion` is on the version whose files are
those of the present champion. A version is an MLflow model of the flavor python_function: the complete model,
the convlab package that loads it (prediction/pyfunc.py), and the requirements of both. No object is pickled.
"""

import hashlib
import logging
import os
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pandas as pd

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow import MlflowClient, artifacts, pyfunc
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from sqlalchemy.exc import SQLAlchemyError

from convlab.base.addresses import without_passwords
from convlab.base.errors import ConvlabError
from convlab.data.example_image import example_image
from convlab.data.preprocessing import Preprocessing
from convlab.runs import model_file
from convlab.tracking import reach, store
from convlab.tracking.logged_model import LOADER, SIGNATURE, log, own_code_paths

logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)

ALIAS = "champion"
FILES_TAG = "files_hash"
REQUIREMENTS = (
    *("hydra-core", "mlflow", "numpy", "pandas", "pillow"),
    *("safetensors", "timm", "torch", "torchvision"),
)  # what prediction/pyfunc.py imports, and what builds its networks


def model_name(data: str) -> str:
    return f"convlab-{data}"


def set_champion(
    data: str, directory: Path, tags: dict[str, Any], run_id: str | None, experiment: str
) -> str:
    """Give the alias to the version that holds `directory`; it is registered first if there is none.

    run_id: the MLflow run that trained it; ignored where this database does not know it.
    Returns the version as "<model>, version <number>". Raises ConvlabError, with the alias where it was,
    when the database or the server doesn't answer or refuses.
    """
    name = model_name(data)
    mlflow.set_tracking_uri(store.uri())  # the store looks for the logged model there, whatever its client
    try:
        reach.check()
        with reach.patience(reach.FILES_S):
            experiment_id = store.experiment_id(experiment)  # makes the database, if need be
            client = store.client()
            digest = _files_hash(directory)
            version = _version(client, name, digest)
            if version is None:
                run_id = run_id if run_id and _knows(client, run_id) else None
                model_id = _upload(directory, experiment_id, run_id)
                _ensure_registered(client, name, data)
                created = client.create_model_version(
                    name,
                    f"models:/{model_id}",
                    run_id,
                    tags={**tags, FILES_TAG: digest},
                    description=(directory / "README.md").read_text(),
                    model_id=model_id,
                )
                version = str(created.version)
            client.set_registered_model_alias(name, ALIAS, version)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason, where = reach.reason(error), without_passwords(store.uri())
        raise ConvlabError(
            f"MLflow's registry at {where} could not take the champion of {data}, so nothing has "
            f"changed: {reason}. Mend it, or name another with MLFLOW_TRACKING_URI, and run it again."
        ) from error
    return f"{name}, version {version}"


def download(uri: str, folder: Path) -> Path:
    """Put the model that `models:/...` means into `folder`; returns the complete model in it.

    Raises ConvlabError when the registry does not know it or doesn't answer, or if it is none of convlab's.
    """
    where = store.uri()
    try:
        reach.check()
        with reach.patience(reach.FILES_S):
            found = artifacts.download_artifacts(uri, None, None, str(folder), where, where)
        flavor = Model.load(found).flavors.get("python_function", {})
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = reach.reason(error)
        raise ConvlabError(
            f"--model {uri}: could not be loaded from MLflow at {without_passwords(where)}: {reason}."
        ) from error
    if flavor.get("loader_module") != LOADER:
        raise ConvlabError(f"--model {uri}: no model that `convlab promote` registered.")
    return Path(found) / str(flavor["data"])


def _upload(directory: Path, experiment_id: str, run_id: str | None) -> str:
    """Log `directory` as an MLflow model; returns the model's id."""
    found = model_file.read(directory)
    preprocessing = Preprocessing.from_dict(found.preprocessing)

    def write(target: Path, model: Model) -> None:
        pyfunc.save_model(
            target,
            loader_module=LOADER,
            data_path=str(directory),
            code_paths=[str(Path(__file__).parents[1]), *map(str, own_code_paths(found))],
            signature=SIGNATURE,
            input_example=pd.DataFrame({"image": [example_image(preprocessing)]}),
            pip_requirements=[f"{name}=={installed(name).partition('+')[0]}" for name in REQUIREMENTS],
            mlflow_model=model,
        )

    return log(ALIAS, experiment_id, run_id, write)


def _version(client: MlflowClient, name: str, digest: str) -> str | None:
    """The latest version of `name` that holds these files."""
    query = f"name='{name}' and tag.{FILES_TAG}='{digest}'"
    found = client.search_model_versions(query, order_by=["version_number DESC"], max_results=1)
    return str(found[0].version) if found else None


def _ensure_registered(client: MlflowClient, name: str, data: str) -> None:
    try:
        client.create_registered_model(name, description=f"The classifiers of the images in {data}.")
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def _knows(client: MlflowClient, run_id: str) -> bool:
    try:
        client.get_run(run_id)
    except MlflowException:
        return False
    return True


def _files_hash(directory: Path) -> str:
    """sha256 hex over all files in `directory`, which has no folders, and their names."""
    digest = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
