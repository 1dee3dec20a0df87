"""Objects in a store that speaks S3, Google's or Azure's language: read, listed, written whole or not at all.

A write can be conditional: only where there is no such object, or only while it is the one that was read.
So many writers need no lock. Addresses are `s3://bucket/prefix`, `gs://...`, `az://...`; credentials and an
endpoint come from the environment, under the names that the vendors' own programs read (AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL, ...), and are in no message here.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any, NamedTuple

from convlab.base.errors import ConvlabError

SCHEMES = ("s3", "gs", "az")
RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}  # of a request, with growing pauses


class Tag(NamedTuple):
    """Which state of an object was read: what the store compares at `replace`."""

    e_tag: str | None
    version: str | None


class Entry(NamedTuple):
    """A listed object: its path below the store's address, bytes, when it was written, and its state."""

    path: str
    size: int
    written: datetime
    e_tag: str | None


class MissingObject(ConvlabError):
    """There is no object of this name, or no longer."""


def is_address(text: str) -> bool:
    """Whether this is meant to be a place in a store, not a folder."""
    return "://" in text


class ObjectStore:
    """The objects below `address`. Raises ConvlabError, naming the address, for whatever goes wrong."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        if address.partition("://")[0] not in SCHEMES:
            known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise ConvlabError(f"{address} is no address of an object store. They begin with {known}.")
        if find_spec("obstore") is None:
            raise ConvlabError(f"{self.address} needs: pip install 'convlab[s3]'")
        from obstore.store import from_url

        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        options: dict[str, Any] = {"retry_config": RETRIES}
        if self.address.startswith("s3://") and endpoint:
            options |= {
                "endpoint": endpoint,
                "client_options": {"allow_http": endpoint.startswith("http://")},
            }
        with self._telling():
            self._store: Any = from_url(self.address, **options)

    def get(self, path: str) -> bytes:
        """A whole object. Raises MissingObject."""
        with self._telling(path):
            return bytes(self._store.get(path).bytes())

    def get_tagged(self, path: str) -> tuple[bytes, Tag]:
        """The same, with the state that `replace` asks for. Raises MissingObject."""
        with self._telling(path):
            found = self._store.get(path)
            tag = Tag(found.meta.get("e_tag"), found.meta.get("version"))
            return bytes(found.bytes()), tag

    def written(self, path: str) -> datetime:
        """When an object was written, by the store's clock. Raises MissingObject."""
        with self._telling(path):
            found: datetime = self._store.head(path)["last_modified"]
            return found

    def put(self, path: str, data: bytes) -> None:
        """Write an object, over another of that name."""
        with self._telling(path):
            self._store.put(path, data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object unless there is one of that name: whether it was written."""
        return self._conditional(path, data, "create")

    def replace(self, path: str, data: bytes, tag: Tag) -> bool:
        """Write an object if the one of that name still is in this state: whether it was written."""
        mode = {key: value for key, value in tag._asdict().items() if value}
        return self._conditional(path, data, mode)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Everything below `prefix`, in the order of the names; a page at a time is in memory."""
        with self._telling(prefix):
            for page in self._store.list(prefix or None):
                for each in page:
                    yield Entry(each["path"], each["size"], each["last_modified"], each.get("e_tag"))

    def folders(self) -> list[str]:
        """The names of what lies directly below the address and holds objects."""
        with self._telling():
            found = self._store.list_with_delimiter()["common_prefixes"]
            return sorted(str(each).rstrip("/") for each in found)

    def delete(self, paths: Sequence[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        if paths:
            with self._telling(paths[0]):
                self._store.delete(list(paths))

    def _conditional(self, path: str, data: bytes, mode: "str | dict[str, str]") -> bool:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._telling(path):
            try:
                self._store.put(path, data, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    @contextmanager
    def _telling(self, path: str = "") -> Iterator[None]:
        from obstore.exceptions import BaseError

        place = f"{self.address}/{path}" if path else self.address
        try:
            yield
        except FileNotFoundError:
            raise MissingObject(f"there is no {place}") from None
        except BaseError as error:
            raise ConvlabError(f"{place}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """The first line of what the library says; the rest is a dump of its state."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
