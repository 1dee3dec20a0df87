"""Whether MLflow's server or database can be reached: asked briefly, and said once when not.

One that is away is asked again every half a minute only, so that no training waits for it.
"""

import os
import re
import socket
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from convlab.base.addresses import without_passwords
from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError
from convlab.base.project import home_dir, project_dir
from convlab.tracking import store

FAILURES = (MlflowException, SQLAlchemyError, requests.RequestException, OSError)
ASK_AGAIN_S = 30.0
ANSWER_S = 2.0  # as long as a server may think about the question whether it is there
REQUEST_S, FILES_S = 5, 120  # and about what it is told; about a file, MLflow's own limit
OWN = "mlflow.db"  # the project's own database: wherever the project is moved to
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_environment = threading.RLock()


class Unreached(OSError):
    """No answer, and why."""


@dataclass
class _Known:
    """What this process knows of one address. away_since: the last time that it was asked in vain."""

    away_since: float | None = None
    said: bool = False
    reminded: bool = False


_asked: dict[str, _Known] = {}


def _known() -> _Known:
    return _asked.setdefault(address(), _Known())


def address() -> str:
    """What MLflow is told at, as it may be shown and noted: without a password."""
    uri = store.uri()
    return OWN if uri == f"sqlite:///{home_dir() / OWN}" else without_passwords(uri)


def due() -> bool:
    """Whether it is time to try: it was there the last time, or that is a while ago."""
    since = _known().away_since
    return since is None or time.monotonic() - since > ASK_AGAIN_S


def check() -> None:
    """Raise Unreached if there is no answer within two seconds. A database without a host is not asked."""
    uri = store.uri()
    if uri.startswith(("http://", "https://")):
        _ask(uri)
    elif "://" in uri and (url := make_url(uri)).host:
        try:
            socket.create_connection((url.host, url.port or PORTS[url.get_backend_name()]), ANSWER_S).close()
        except OSError as error:
            raise Unreached(error.strerror or str(error)) from None


def _ask(uri: str) -> None:
    how = {"max_retries": 0, "raise_on_status": False, "timeout": ANSWER_S}
    try:
        answer = http_request(get_default_host_creds(uri), "/health", "GET", **how)
    except MlflowException as error:
        raise Unreached("no answer" if "timeout" in str(error) else "no connection") from None
    if answer.status_code >= 500:  # of a proxy, whose server is away
        raise Unreached(f"{answer.status_code} {answer.reason}")


@contextmanager
def patience(seconds: int = REQUEST_S) -> Iterator[None]:
    """Let MLflow's requests fail soon, which it would repeat for minutes; limits that the user set stay."""
    limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}
    with _environment:
        own = {key: value for key, value in limits.items() if key not in os.environ}
        os.environ.update(own)
        try:
            yield
        finally:
            for key in own:
                os.environ.pop(key, None)


def lost(error: Exception, kept: Path) -> None:
    """It did not take what it was told, which `kept` holds: said once."""
    known = _known()
    known.away_since = time.monotonic()
    if not known.said and not console.quiet:
        known.said = True
        warn(f"{failure(error)}. What it lacks is kept in {_short(kept)}.")


def failure(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, Unreached):
        return f"MLflow at {address()} can't be reached ({error})"
    if re.match(r"API request to \S+ failed with (timeout )?exception", str(error)):  # it went in between
        return f"MLflow at {address()} can't be reached (it went away)"
    return f"MLflow at {address()} did not take it: {reason(error)}"


def reason(error: Exception) -> str:
    """The first words of an error that are for people."""
    text = " ".join(without_passwords(str(error)).split()) or type(error).__name__
    return textwrap.shorten(text, 200).rstrip(".")


def found(everything: bool) -> None:
    """It took what it was told; `everything`: and nothing waits."""
    known = _known()
    known.away_since = None
    if known.said and everything:
        known.said = known.reminded = False
        console.print(f"MLflow at {address()} is back, and has what it lacked.", markup=False)


def remind() -> None:
    """At the end of something: what is left to do."""
    known = _known()
    if not known.reminded and not console.quiet:
        known.reminded = True
        warn(f"MLflow at {address()} has not been reached: `convlab sync` sends what it lacks.")


def demand() -> None:
    """Raise ConvlabError if it can't be reached, for what makes no sense without it."""
    try:
        check()
    except Unreached as error:
        raise ConvlabError(f"{failure(error)}. Start it, or correct MLFLOW_TRACKING_URI.") from None


def _short(path: Path) -> Path:
    root = project_dir().resolve()
    return path.resolve().relative_to(root) if path.resolve().is_relative_to(root) else path
