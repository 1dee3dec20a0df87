"""HTTP requests that are tried again when it may help, and whose failures read well."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import requests
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.util import Retry

from convlab import __version__
from convlab.base.console import console

T = TypeVar("T")
# Waits 0, 1, 2, 4 seconds, or what the server asks for.
POLICY = Retry(total=4, backoff_factor=0.5, retry_after_max=120)
TRANSIENT_STATUS = {408, 429, 500, 502, 503, 504}
TIMEOUT_S = (10, 60)  # to connect, between two packets
# Without "identity", a server or requests may undo the gzip of a file that is meant to stay one.
HEADERS = {"User-Agent": f"convlab/{__version__}", "Accept-Encoding": "identity"}


class Unavailable(Exception):
    """A URL doesn't give the expected file. The text says why; `missing`: the server says there is none."""

    def __init__(self, reason: str, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


class Transient(Exception):
    """Failed in a way that the next attempt may not. `response`, if any, may say how long to wait."""

    def __init__(self, reason: str, response: requests.Response | None = None) -> None:
        super().__init__(reason)
        self.response = response


def retrying(url: str, attempt: Callable[[], T], received: Callable[[], int] = lambda: 0) -> T:
    """What `attempt` returns, called again after each Transient. Raises Unavailable when that is no use.

    `received` counts bytes: attempts start to be counted anew whenever one has got further than any before.
    """
    retry, most = POLICY, received()
    while True:
        try:
            return attempt()
        except Transient as error:
            if received() > most:
                retry, most = POLICY, received()
            try:
                retry = retry.increment("GET", error=error)
            except MaxRetryError:
                raise Unavailable(f"{error} (tried {len(retry.history) + 1} times)") from None
            console.print(f"{url}: {error}; trying again", markup=False)
            try:
                retry.sleep(error.response.raw if error.response is not None else None)
            except InvalidHeader:  # a Retry-After that is neither seconds nor a date
                retry.sleep()


@contextmanager
def request(url: str, headers: dict[str, str] | None = None) -> Iterator[requests.Response]:
    """GET `url`, its body still to be read; the status is 200, 206 or 416.

    Raises Transient or Unavailable, also for what goes wrong while the caller reads the body.
    """
    try:
        with requests.get(url, headers=HEADERS | (headers or {}), stream=True, timeout=TIMEOUT_S) as response:
            reason = f"{response.status_code} {response.reason}".strip()
            if response.status_code in TRANSIENT_STATUS:
                raise Transient(reason, response)
            if response.status_code not in (200, 206, 416):
                raise Unavailable(reason, missing=response.status_code in (404, 410))
            yield response
    except requests.exceptions.SSLError as error:
        raise Unavailable(_reason(error)) from None
    except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
        raise Transient(_reason(error)) from None
    except requests.RequestException as error:
        raise Unavailable(_reason(error)) from None


def _reason(error: BaseException) -> str:
    """The innermost cause's text, without urllib3's `HTTPConnection(host=..., port=...): `."""
    for cause in (getattr(error, "reason", None), *reversed(error.args)):
        if isinstance(cause, BaseException):
            return _reason(cause)
    return re.sub(r"^HTTPS?Connection(Pool)?\(.*?\): ", "", str(error))
