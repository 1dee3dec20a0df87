"""A project that was moved or copied, whose MLflow database still names the former folder.

MLflow keeps the absolute address of each experiment's, run's and model's files. After a move they can't be
found. After a copy it is worse: the copy writes into the original. No MLflow is imported here.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from convlab.base.errors import ConvlabError

FILES = "mlartifacts"  # the folder beside the database
PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def moved_from(database: Path) -> Path | None:
    """The folder that the project's own `database` was in before; None where it still lies there."""
    if not database.is_file():
        return None
    before = _before(database)
    return None if before is None or before == _address(database) else Path(unquote(urlsplit(before).path))


def put_right(database: Path) -> Path | None:
    """Let the database name the files beside it again; returns the former folder, None if there was none.

    What lies elsewhere, at a location that the user gave MLflow, stays. Raises ConvlabError if the database
    can't be written.
    """
    former = moved_from(database)
    if former is None:
        return None
    before, now = f"{former.as_uri()}/{FILES}/", f"{_address(database)}/{FILES}/"
    try:
        with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
            for table, column in PLACES.items():
                change = f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                which = f"WHERE substr({column}, 1, ?) = ?"
                values = (now, len(before) + 1, len(before), before)
                connection.execute(f"{change} {which}", values)
    except sqlite3.Error as error:
        raise ConvlabError(
            f"the project was in {former}, and {database} can't be put right: {error}. Make it writable."
        ) from None
    return former


def _before(database: Path) -> str | None:
    """The address of the folder in which the last experiment's files were kept beside the database."""
    try:
        address = f"{database.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
            rows = connection.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id DESC")
            found = [str(location).partition(f"/{FILES}/") for (location,) in rows]
    except sqlite3.Error:  # half made, damaged, or none: MLflow and `convlab doctor` say so
        return None
    return next((folder for folder, files, _ in found if files and folder.startswith("file://")), None)


def _address(database: Path) -> str:
    return database.resolve().parent.as_uri()
