"""Where MLflow's runs go: the database, its experiments, and their addresses in a browser.

Runs go to `sqlite:///<project>/mlflow.db`, their files to `<project>/mlartifacts/`, unless
MLFLOW_TRACKING_URI names another database or server.
"""

import base64
import json
import logging
import os
import zlib
from functools import cache
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from convlab.base.addresses import without_user
from convlab.base.console import warn
from convlab.base.project import home_dir, state_dir
from convlab.tracking import database, moved, run_page

logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

UI_ADDRESS = "http://127.0.0.1:5000"
VIEW = "results"  # the saved view with the columns that matter
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"


def uri() -> str:
    """MLFLOW_TRACKING_URI, else the project's own database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home_dir() / 'mlflow.db'}"


def client() -> MlflowClient:
    if "MLFLOW_TRACKING_URI" not in os.environ:
        _put_right(home_dir() / "mlflow.db")
    return MlflowClient(uri())


@cache
def _put_right(path: Path) -> None:
    """Once a process, and by one process at a time."""
    with _lock():
        database.ensure(path)
        former = moved.put_right(path)
    if former is not None:
        warn(f"the project was in {former}: MLflow's database now names the files here, in {path.parent}")


def _lock() -> FileLock:
    """Held by one process at a time, in which whoever has it may take it again."""
    state_dir().mkdir(parents=True, exist_ok=True)
    return FileLock(state_dir() / "tracking.lock", is_singleton=True)


def experiment_id(name: str) -> str:
    """The id of MLflow experiment `name`; makes it, and the database, when they are not there yet.

    One process at a time: MLflow's first migration of a fresh database is not safe against another.
    """
    with _lock():
        found = client().get_experiment_by_name(name) or _created(name)
        _ensure_view(found)
        return str(found.experiment_id)


def _created(name: str) -> Experiment:
    """The new experiment; that of another machine, whose project came first by a moment."""
    # A server keeps artifacts where it was told to; a database alone has to be told.
    local = uri().startswith(("sqlite", "postgresql", "mysql", "mssql"))
    location = (home_dir() / "mlartifacts" / name).as_uri() if local else None
    # the interface opens with runs and metrics, not with its pages for language models
    tags = {"mlflow.experimentKind": "custom_model_development", VIEW_TAG: _view()}
    try:
        client().create_experiment(name, artifact_location=location, tags=tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = client().get_experiment_by_name(name)
    assert found is not None
    return found


def _ensure_view(experiment: Experiment) -> None:
    """An experiment of before, or one whose view another version made, gets the present one."""
    if experiment.tags.get(VIEW_TAG) != _view():
        client().set_experiment_tag(experiment.experiment_id, VIEW_TAG, _view())


def _view() -> str:
    """The columns of the runs' table as MLflow's interface saves them: JSON, its state deflated."""
    state = base64.b64encode(zlib.compress(json.dumps(run_page.VIEW).encode())).decode()
    return json.dumps({"name": "Results", "createdAt": 0, "updatedAt": 0, "state": f"deflate;{state}"})


def run_url(run_id: str) -> str:
    """Where a browser finds the run: on the tracking server, or on `convlab ui`."""
    server = without_user(uri()) if uri().startswith("http") else UI_ADDRESS
    found = client().get_run(run_id).info
    page = f"/#/experiments/{found.experiment_id}/runs/{run_id}?workflowType=machine_learning"
    return server.rstrip("/") + page


def table_url(server: str, experiment: str) -> str:
    """Where a browser finds the experiment's runs, in the columns that matter."""
    query = f"workflowType=machine_learning&viewStateShareKey={VIEW}"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id(experiment)}/runs?{query}"
