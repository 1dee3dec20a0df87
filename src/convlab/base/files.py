"""A file is there whole, or it isn't there; and what it is known by."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from convlab.base.errors import ConvlabError

SUFFIX = ".partial"  # what a kill leaves behind ends so
WAYS_OUT = {errno.ENOSPC: "Make room", errno.EDQUOT: "Make room", errno.EROFS: "Make it writable"}


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
def writing_to(folder: Path) -> Iterator[None]:
    """Raise ConvlabError where the block finds that nothing can be written. folder: where most of it goes."""
    try:
        yield
    except Exception as error:
        if (told := unwritten(error, folder)) is None:
            raise
        raise told from error


def unwritten(error: BaseException, folder: Path) -> ConvlabError | None:
    """What to do about a full disk, a read-only file system or a refused permission; None for other errors.

    folder: named where the error does not say which file it was. Libraries of other languages have the
    system's number in their words.
    """
    if isinstance(error, ConvlabError):
        return None
    found = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    file = error.filename if isinstance(error, OSError) and isinstance(error.filename, str) else None
    if number == errno.EACCES:
        return ConvlabError(f"{file or folder}: no permission. Give it, and run the same command again.")
    if number not in WAYS_OUT:
        return None
    place = Path(file).parent if file else folder
    return ConvlabError(
        f"cannot write in {place}: {os.strerror(number)}. {WAYS_OUT[number]}, and run the same command again."
    )


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
