"""A study in a real PostgreSQL server."""

import json

import psycopg
import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from postgresql_server import PASSWORD

from convlab.base.errors import ConvlabError
from convlab.cli.commands import sweep

WORDS = [
    *("experiment=digits_fully_connected", "trainer.max_epochs=1", "model.hidden=4", "logger=none"),
    *("name=shared", "+search=median", "+search.space.optimizer.lr={low: 0.001, high: 0.3, log: true}"),
]


@pytest.fixture
def states(postgresql):
    """What the server holds, read without Optuna: number -> state."""

    def read() -> dict[int, str]:
        query = "SELECT number, state FROM trials JOIN studies USING (study_id) WHERE study_name = 'shared'"
        with psycopg.connect(postgresql) as connection:
            return dict(connection.execute(query).fetchall())

    yield read
    with psycopg.connect(postgresql) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def test_a_study_in_postgresql_goes_on(project, postgresql, states, monkeypatch):
    monkeypatch.setenv("CONVLAB_OPTUNA_STORAGE", postgresql)
    assert sweep.run([*WORDS, "search.num_trials=1"]) == 0
    assert states() == {0: "COMPLETE"}
    monkeypatch.delenv("CONVLAB_OPTUNA_STORAGE")
    assert sweep.run([*WORDS, "search.num_trials=2", f"storage={postgresql}"]) == 0
    assert states() == {0: "COMPLETE", 1: "COMPLETE"}
    assert not (project / "sweeps" / "shared" / "study.db").exists()
    study = json.loads((project / "sweeps" / "shared" / "study.json").read_text())
    assert [trial["number"] for trial in study["trials"]] == [0, 1]


@pytest.mark.slow
def test_two_workers_share_a_study_in_postgresql(convlab, postgresql, states):
    done = convlab("sweep", *WORDS, "workers=2", "search.num_trials=4", f"storage={postgresql}")
    assert "4 trials: 4 complete" in done.stdout
    assert states() == dict.fromkeys(range(4), "COMPLETE")


def test_mlflow_s_database_is_refused(project, postgresql, states, tmp_path):
    SqlAlchemyStore(postgresql, str(tmp_path)).engine.dispose()
    with pytest.raises(
        ConvlabError, match=r"tables of another program \(MLflow's.*createdb optuna"
    ) as refused:
        sweep.run([*WORDS, f"storage={postgresql}"])
    assert PASSWORD not in str(refused.value)


def test_a_wrong_address_is_named_without_its_password(project):
    with pytest.raises(ConvlabError, match=r"storage=postgres://ann:\*\*\*@host/optuna: expected") as refused:
        sweep.run([*WORDS, "storage=postgres://ann:pa/ss@word@host/optuna"])
    assert "pa/ss" not in str(refused.value)
