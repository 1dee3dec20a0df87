"""MLflow's database or server: whether it answers, and whether its tables are those of the installed MLflow.

MLflow itself is not imported, which would take seconds, nor asked: it would make or migrate tables.
"""

import os
import sqlite3
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from convlab.base.addresses import without_passwords
from convlab.base.project import home_dir
from convlab.cli import extras
from convlab.cli.diagnosis.finding import Finding, ok, problem, some, warning
from convlab.runs.run import Run
from convlab.tracking import database, outbox
from convlab.tracking.moved import moved_from

if TYPE_CHECKING:  # it comes with the extra `track`
    from sqlalchemy.engine import URL

TIMEOUT_S = 3
VARIABLE = "MLFLOW_TRACKING_URI"
REVISIONS = "SELECT version_num FROM alembic_version"


def look() -> list[Finding]:
    if find_spec("mlflow") is None or find_spec("sqlalchemy") is None:
        return [ok("database", f"MLflow is not installed; it tracks runs ({extras.install('track')})")]
    return [*_place(), *_unsent()]


def _unsent() -> list[Finding]:
    """What waits for a server that was away when it should have been told."""
    if not (found := outbox.directories()):
        return []
    text = f"not told everything of {some([Run(directory).argument for directory in found])}"
    return [warning("unsent", text, "convlab sync, once the server answers")]


def _place() -> list[Finding]:
    """The database or the server itself."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    uri = os.environ.get(VARIABLE) or f"sqlite:///{home_dir() / 'mlflow.db'}"
    if uri.startswith(("http://", "https://")):
        return [_server(uri)]
    try:
        url = make_url(uri)
    except ArgumentError:
        reason = f"{VARIABLE}={uri} is neither a database's nor a server's address"
        return [problem("database", reason, f"unset {VARIABLE}, or sqlite:///<absolute path>/mlflow.db")]
    own = [] if VARIABLE in os.environ else _moved(home_dir() / "mlflow.db")
    return [_file(url) if url.drivername.startswith("sqlite") else _database(url), *own]


def _moved(path: Path) -> list[Finding]:
    former = moved_from(path)
    if former is None:
        return []
    text = f"{path} names files in {former}, where the project was before"
    return [warning("database", text, "nothing: the next command that records puts it right (convlab ui)")]


def _file(url: "URL") -> Finding:
    path = Path(url.database or "")
    if not path.exists():
        if not path.parent.is_dir():
            return problem("database", f"no folder {path.parent}", f"mkdir -p {path.parent}")
        return ok("database", f"{path}: not there yet, the first run makes it")
    if database.half_made(path):
        return warning(
            "database", f"{path} was left half made, with no run in it", "nothing: the next run makes it"
        )
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_S)
        try:
            [(damage,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
            revisions = connection.execute(REVISIONS).fetchall()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return problem("database", f"{path} is not an MLflow database", _elsewhere(path))
        return problem("database", f"{path}: {error}", "end what holds it, or make it readable")
    except sqlite3.Error as error:
        return problem("database", f"{path}: {error}", _elsewhere(path))
    if damage != "ok":
        return problem("database", f"{path} is damaged: {damage}", _elsewhere(path))
    return _schema(str(path), url, [row[0] for row in revisions])


def _elsewhere(path: Path) -> str:
    return f"restore a copy of it, or mv {path.name} {path.name}.broken: the next run begins a new one"


def _database(url: "URL") -> Finding:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    shown = url.render_as_string(hide_password=True)
    options = {"connect_timeout": TIMEOUT_S} if url.drivername.startswith(("postgresql", "mysql")) else {}
    try:
        engine = create_engine(url, connect_args=options)
        with engine.connect() as connection:
            revisions = list(connection.execute(text(REVISIONS)).scalars())
        engine.dispose()
    except ModuleNotFoundError as error:
        driver = "'convlab[postgresql]'" if "psycopg" in str(error) else error.name
        return problem("database", f"{shown}: {error}", f"pip install {driver}")
    except SQLAlchemyError as error:
        reason = without_passwords(str(error).splitlines()[0])
        if "alembic_version" in reason:
            return ok("database", f"{shown}: empty, the first run makes its tables")
        return problem("database", f"{shown}: {reason}", f"start the database, or correct {VARIABLE}")
    return _schema(shown, url, revisions)


def _schema(name: str, url: "URL", revisions: list[str]) -> Finding:
    known, newest = database.revisions()
    if revisions == [newest]:
        return ok("database", f"{name}: tables of MLflow {version('mlflow')}")
    found = ", ".join(revisions) or "none"
    if set(revisions) <= known:
        text = f"{name}: tables of an earlier MLflow ({found}, expected {newest})"
        command = f"mlflow db upgrade {url.render_as_string(hide_password=True)}"
        return problem("database", text, f"copy the database, then {command}")
    text = f"{name}: tables of a newer MLflow ({found}), installed is {version('mlflow')}"
    return problem("database", text, "pip install --upgrade mlflow")


def _server(uri: str) -> Finding:
    shown = without_passwords(uri)
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=TIMEOUT_S)
    except requests.RequestException as error:
        reason = without_passwords(str(error).split("(Caused by")[-1].strip(") "))
        return problem("server", f"{shown}: {reason}", f"start it (convlab ui), or correct {VARIABLE}")
    if answer.status_code != 200:
        reason = f"{shown}: {answer.status_code} {answer.reason}"
        return problem("server", reason, f"correct {VARIABLE}, or its user and password")
    return ok("server", f"{shown} answers")
