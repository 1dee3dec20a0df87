"""A project that was moved or copied writes into itself, whatever its database remembers."""

import shutil

import pytest

from convlab.cli.commands import doctor, promote, train
from convlab.runs.run import Run
from convlab.tracking import store
from convlab.tracking.moved import moved_from, put_right

WORDS = ["experiment=digits_fully_connected", "trainer.max_epochs=1", "evaluate=true"]


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
def test_a_copy_leaves_the_original_alone(project, monkeypatch, capsys):
    assert train.run(WORDS) == 0
    assert promote.run(["digits_fully_connected"]) == 0
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    copy = project.with_name("a copy of it")
    shutil.copytree(project, copy)
    before = files(project)
    monkeypatch.setenv("CONVLAB_PROJECT", str(copy))
    monkeypatch.chdir(copy)
    capsys.readouterr()
    doctor.run([])
    assert f"names files in {project}, where the project was before" in capsys.readouterr().out
    assert train.run([*WORDS, "name=second", "seed=2"]) == 0
    assert f"warning: the project was in {project}: MLflow's database now names the files here" in (
        capsys.readouterr().out
    )
    assert promote.run(["second"]) == 0
    assert files(project) == before
    client = store.client()
    for name in ("digits_fully_connected", "second"):
        run_id = Run(copy / "runs" / name).state["mlflow"]["run_id"]
        uri = client.get_run(run_id).info.artifact_uri
        assert uri.startswith(f"{copy.as_uri()}/mlartifacts/convlab/{run_id}/")
        assert "config.yaml" in [each.path for each in client.list_artifacts(run_id)]
    version = client.get_model_version_by_alias("convlab-digits", "champion")
    assert version.tags["run"] == "second"
    assert moved_from(copy / "mlflow.db") is None


def test_what_lies_elsewhere_stays(project, tmp_path):
    client = store.client()
    elsewhere = (tmp_path / "elsewhere").as_uri()
    own = client.create_experiment("own", artifact_location=elsewhere)
    made = store.experiment_id("convlab")
    moved = project.rename(project.with_name("moved"))
    assert moved_from(moved / "mlflow.db") == project
    assert put_right(moved / "mlflow.db") == project
    assert put_right(moved / "mlflow.db") is None
    found = store.MlflowClient(f"sqlite:///{moved}/mlflow.db")
    assert found.get_experiment(made).artifact_location == f"{moved.as_uri()}/mlartifacts/convlab"
    assert found.get_experiment(own).artifact_location == elsewhere


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_what_is_no_database_was_never_moved(tmp_path, content):
    if content is not None:
        (tmp_path / "mlflow.db").write_bytes(content)
    assert moved_from(tmp_path / "mlflow.db") is None
