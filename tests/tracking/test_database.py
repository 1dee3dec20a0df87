"""A kill while MLflow makes its first tables costs nothing."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from alembic import command
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

from convlab.cli.commands import doctor
from convlab.tracking import store
from convlab.tracking.database import ensure, half_made, revisions

MAKE = "from convlab.tracking import store; store.experiment_id('convlab')"
EARLY = "451aebb31d03"  # MLflow's first migration


@pytest.fixture
def unprepared(project, monkeypatch):
    """A project without the database that tests otherwise begin with."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (project / "mlflow.db").unlink(missing_ok=True)
    store._put_right.cache_clear()
    yield project
    store._put_right.cache_clear()


def migrated(path, revision):
    """As a kill leaves it: the first tables, and the migrations up to `revision`; None: not even one."""
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    if revision:
        with engine.begin() as connection:
            config = utils._get_alembic_config(f"sqlite:///{path}")
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    engine.dispose()


@pytest.mark.parametrize("revision", [None, pytest.param(EARLY, marks=pytest.mark.slow)])
def test_a_half_made_database_is_made_anew(unprepared, capsys, revision):
    migrated(unprepared / "mlflow.db", revision)
    assert half_made(unprepared / "mlflow.db")
    doctor.run([])
    assert "mlflow.db was left half made, with no run in it" in capsys.readouterr().out
    made = store.experiment_id("convlab")
    assert store.client().get_experiment(made).name == "convlab"
    assert not half_made(unprepared / "mlflow.db")
    with closing(sqlite3.connect(unprepared / "mlflow.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(revisions()[1],)]


def test_an_early_database_with_a_run_is_left_alone(unprepared):
    database = unprepared / "mlflow.db"
    migrated(database, EARLY)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO runs (run_uuid, name) VALUES ('a', 'kept')")
    assert not half_made(database)
    ensure(database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name FROM runs").fetchall() == [("kept",)]


def test_a_kill_meanwhile_leaves_none(unprepared):
    process = subprocess.Popen([sys.executable, "-c", MAKE])
    fresh = unprepared / ".mlflow.db.new"
    until = time.monotonic() + 60
    while not (fresh.is_file() and fresh.stat().st_size > 50_000):  # some migrations are done
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (unprepared / "mlflow.db").exists()
    store.experiment_id("convlab")
    assert sorted(path.name for path in unprepared.glob("*mlflow.db*")) == ["mlflow.db"]
