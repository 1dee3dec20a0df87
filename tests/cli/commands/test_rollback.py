"""`convlab rollback`: the champion before is champion again, here and in MLflow, byte for byte."""

import mlflow
import pytest
from sample_runs import copy_runs

from convlab.base.errors import ConvlabError
from convlab.cli.commands import promote, rollback
from convlab.runs import champions
from convlab.tracking import store


def version(data="digits"):
    return store.client().get_model_version_by_alias(f"convlab-{data}", "champion")


def files_of(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def promoted(project, trained):
    """After middling, then lenet5 were promoted: middling's files and version as they were."""
    copy_runs(trained, project, "middling", "lenet5")
    assert promote.run(["middling"]) == 0
    before, number = files_of(champions.champion("digits").directory), version().version
    assert promote.run(["lenet5"]) == 0
    return before, number


def test_it_restores_the_one_before(project, promoted, capsys):
    before, number = promoted
    assert version().version != number
    assert rollback.run([]) == 0
    assert (
        "middling is champion of digits again, convlab-digits, version 1 in MLflow" in capsys.readouterr().out
    )
    champion = champions.champion("digits")
    assert (champion.run, champion.number) == ("middling", 1)
    assert files_of(champion.directory) == before
    assert version().version == number
    model_id = version().source.removeprefix("models:/")
    stored = project / "mlartifacts" / "convlab" / "models" / model_id / "artifacts" / "data" / "model"
    assert files_of(stored) == before

    with pytest.raises(ConvlabError, match="middling is the first champion on digits"):
        rollback.run(["digits"])
    assert promote.run(["lenet5"]) == 0  # what went back can come again, under a number of its own
    assert [each.number for each in champions.history("digits")] == [1, 3]
    assert version().tags["run"] == "lenet5"
    assert rollback.run(["digits"]) == 0
    assert version().version == number


def test_a_registry_that_lost_it_gets_it_again(project, promoted, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/new.db")
    assert rollback.run([]) == 0
    assert version().tags["run"] == "middling"
    assert version().description == (champions.champion("digits").directory / "README.md").read_text()


def test_without_the_registry_nothing_changes(project, promoted, monkeypatch):
    before = files_of(project / "champions")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConvlabError, match="nothing has changed"):
        rollback.run([])
    assert files_of(project / "champions") == before


def test_what_it_needs_is_told(project):
    with pytest.raises(ConvlabError, match=r"no champion yet, only on: none\. `convlab promote` makes one"):
        rollback.run([])
    with pytest.raises(ConvlabError, match="name one data set"):
        rollback.run(["digits", "flowers"])
    for data in ("digits", "flowers"):
        (project / "champions" / data).mkdir(parents=True)
        (project / "champions" / data / "history.json").write_text("[]")
    with pytest.raises(ConvlabError, match="There is one on each of digits, flowers: name the data set"):
        rollback.run([])
    with pytest.raises(ConvlabError, match="no champion on 'birds', only on: digits, flowers"):
        rollback.run(["birds"])


def test_the_registry_is_the_projects_whatever_mlflow_was_told_before(
    project, trained, tmp_path, monkeypatch
):
    """MLflow's own notion of the database is the current directory's, or what it was told before."""
    copy_runs(trained, project, "middling")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/other.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert promote.run(["middling"]) == 0
    assert version().run_id is None
    assert not (tmp_path / "other.db").exists()
