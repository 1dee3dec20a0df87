"""Photos in an object store: `s3://bucket/flowers/<class>/<photo>.jpg` in the place of a folder."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from convlab.base.errors import ConvlabError
from convlab.base.files import atomic_file
from convlab.base.object_store import Entry, ObjectStore, is_address
from convlab.data import photo_files

AT_ONCE = 32  # objects that are read; each waits for the network
SAVED_EVERY = 10_000  # new hashes


class StoreFolder:
    """As a `Path`: `folder / "class/photo.jpg"` has `read_bytes`."""

    def __init__(self, address: str) -> None:
        self._store = ObjectStore(address)

    def __str__(self) -> str:
        return self._store.address

    def __truediv__(self, path: str) -> "StoreFile":
        return StoreFile(self._store, path)

    def __reduce__(self) -> tuple[type["StoreFolder"], tuple[str]]:
        return StoreFolder, (str(self),)

    def entries(self) -> Iterator[Entry]:
        """Every object, as `photo_files.walk` gives files: none that is hidden, or in a system's folder."""
        for entry in self._store.entries():
            parts = entry.path.split("/")
            hidden = any(part.startswith(".") or part.lower() in photo_files.SYSTEM_FOLDERS for part in parts)
            if not hidden:
                yield entry


class StoreFile(NamedTuple):
    """An object."""

    store: ObjectStore
    path: str

    def read_bytes(self) -> bytes:
        """Raises OSError, as a file does."""
        try:
            return self.store.get(self.path)
        except ConvlabError as error:
            raise OSError(str(error)) from None


def photo_root(place: str | Path, base: Path = Path()) -> Path | StoreFolder:
    """What `place` names: a folder, below `base` if it is relative, or one in a store."""
    return StoreFolder(str(place)) if is_address(str(place)) else base / place


class StoreHashes:
    """sha256 of a store's objects; read again is only one whose ETag or size is not the one remembered.

    A store gives an object another ETag with every change of its bytes. `path` keeps a row for each object
    asked for; it is safe to delete.

    Args:
        reread: begin with nothing remembered.
    """

    def __init__(self, path: Path, folder: StoreFolder, reread: bool = False) -> None:
        self._path, self._folder = path, folder
        self._kept = {} if reread else self._load()
        self._rows: dict[str, tuple[str, int, str]] = {}  # path -> ETag, bytes, sha256
        self._reading: dict[str, tuple[Entry, Future[str]]] | None = None
        self._num_new = 0

    def of(self, file: str) -> str:
        """Hex digest of an object of the folder, by its whole address. Raises OSError if it can't be read."""
        if self._reading is None:
            self._reading = self._begin()
        path = file.removeprefix(f"{self._folder}/")
        if path in self._reading:
            entry, digest = self._reading.pop(path)
            try:
                self._rows[path] = (entry.e_tag or "", entry.size, digest.result())
            except KeyboardInterrupt:  # else the process would first read all that waits
                for _, waiting in self._reading.values():
                    waiting.cancel()
                raise
            self._num_new += 1
            if self._num_new % SAVED_EVERY == 0:
                self.save()
        if path not in self._rows:
            raise OSError("it came while the others were listed; run it again")
        return self._rows[path][2]

    def save(self) -> None:
        """Remember what was asked for."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        tags, sizes, digests = zip(*self._rows.values(), strict=True) if self._rows else ((), (), ())
        table = pa.table({"path": list(self._rows), "e_tag": tags, "size": sizes, "sha256": digests})
        with atomic_file(self._path) as file:
            pq.write_table(table, file, compression="zstd")

    def _begin(self) -> dict[str, tuple[Entry, Future[str]]]:
        """Start reading what is new; the others' rows are taken over."""
        pool, reading = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hash"), {}
        for entry in self._folder.entries():
            if not photo_files.is_photo(entry.path):
                continue
            known = self._kept.get(entry.path)
            if known and entry.e_tag and known[:2] == (entry.e_tag, entry.size):
                self._rows[entry.path] = known
            else:
                reading[entry.path] = entry, pool.submit(self._read, entry.path)
        pool.shutdown(wait=False)
        return reading

    def _read(self, path: str) -> str:
        return hashlib.sha256((self._folder / path).read_bytes()).hexdigest()

    def _load(self) -> dict[str, tuple[str, int, str]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with suppress(OSError, pa.ArrowException, LookupError):
            rows = pq.read_table(self._path).to_pydict()
            values = zip(rows["e_tag"], rows["size"], rows["sha256"], strict=True)
            return dict(zip(rows["path"], values, strict=True))
        return {}
