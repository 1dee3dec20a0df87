"""The project's own MLflow database: there whole, or not at all.

MLflow makes its tables in some fifty migrations, each written by itself. A kill among them would leave a
database that no later MLflow opens. No MLflow is imported here unless one is made.
"""

import re
import sqlite3
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path

JOURNALS = ("", "-journal", "-wal", "-shm")
WORTH_KEEPING = (  # a row in one of these is somebody's work
    "runs",
    "registered_models",
    "logged_models",
    "experiments WHERE experiment_id != 0",  # 0: Default, which MLflow makes by itself
)


def ensure(database: Path) -> None:
    """Make `database` if it is not there, or if what is there was left half made, with nothing in it.

    For one process at a time.
    """
    if database.is_file() and not half_made(database):
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    fresh = database.with_name(f".{database.name}.new")
    _remove(fresh)
    try:
        SqlAlchemyStore(f"sqlite:///{fresh}", "mlruns").engine.dispose()
    except Exception:  # MLflow keeps a connection, which would see the deleted file at the next attempt
        SqlAlchemyStore._get_or_create_engine(f"sqlite:///{fresh}").dispose()
        raise
    if database.is_file():
        _remove(database)
    fresh.replace(database)


def half_made(database: Path) -> bool:
    """Whether MLflow's migrations stopped on their way in `database`, before anybody kept anything in it."""
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if tables and "experiments" not in tables:  # something else's
                return False
            for rows in WORTH_KEEPING:
                if (
                    rows.split()[0] in tables
                    and connection.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchone()
                ):
                    return False
            noted = "alembic_version" in tables
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall() if noted else []
    except sqlite3.Error:  # locked or damaged: `convlab doctor` says so
        return False
    known, newest = revisions()
    return found != [(newest,)] and {revision for (revision,) in found} <= known


@cache
def revisions() -> tuple[frozenset[str], str]:
    """MLflow's schema revisions, and the one that no other builds upon, from its migration files."""
    spec = find_spec("mlflow")
    folders = list(spec.submodule_search_locations or []) if spec else []
    own, built_upon = set[str](), set[str]()
    for file in Path(folders[0], "store", "db_migrations", "versions").glob("*.py"):
        for down, value in re.findall(r"^(down_)?revision\b[^=\n]*=(.*)$", file.read_text(), re.MULTILINE):
            (built_upon if down else own).update(re.findall(r"[\"'](\w+)[\"']", value))
    [newest] = own - built_upon
    return frozenset(own), newest


def _remove(database: Path) -> None:
    for suffix in JOURNALS:
        database.with_name(database.name + suffix).unlink(missing_ok=True)
