"""A file is there whole, or it isn't there; and what it is known by."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from convlab.base.errors import ConvlabError

SUFFIX = ".partial"  # what a kill leaves behind ends so


@contextmanager
def atomic_file(path: Path) -> Iterator[BufferedRandom]:
    """A new binary file that replaces `path` once the block ends, its bytes already safe on the disk.

    Whoever reads `path`, at any moment and after any crash, finds the old file or the new one. If the block
    raises, nothing changes. Raises ConvlabError where it can't be written (disk full, no permission).
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb+") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise ConvlabError(
            f"cannot write {path}: {error.strerror or error}. Make room or give permission, and run it again."
        ) from error
    finally:
        with suppress(OSError):  # its folder may be none: that is what went wrong, and is said above
            partial.unlink()


@contextmanager
def only_one(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file `path` while the block runs, or raise ConvlabError `busy` if a process has it.

    The system frees it when the process ends, however that is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ConvlabError(busy) from None
    try:
        yield
    finally:
        lock.release()


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, as `atomic_file` does."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def file_hash(path: Path | str, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file's content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def clear_partials(folder: Path) -> None:
    """Delete what a kill left in `folder`. For its one writer: another's work in progress would go too."""
    for partial in folder.glob(f".*{SUFFIX}"):
        partial.unlink()


def _sync_directory(folder: Path) -> None:
    """Make a rename in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
