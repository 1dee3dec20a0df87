"""What the stage `features` leaves behind: the vectors of one photo folder, in files that anyone can read.

    <directory>/
      vectors.npy      float32 n d, rows in the order of index.csv; `np.load(..., mmap_mode="r")`
      index.csv        content_hash,path,class,label,split; sorted by content hash
      unreadable.csv   path,reason
      meta.json        classes, counts, preprocessing, backbone, hashes, substitutes

No time and no absolute path is in them, so equal input gives equal files.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from convlab.base.errors import ConvlabError
from convlab.base.files import atomic_file, clear_partials
from convlab.base.object_store import is_address
from convlab.data.index import Row
from convlab.features.content_hashes import ContentHashes


class Vectors(Protocol):
    """Of a cache, what is written here."""

    space: str

    def export(self, content_hashes: Iterable[str], file: BinaryIO) -> None:
        """The vectors of these images, in this order, as one `.npy`."""


def write_feature_set(
    directory: Path,
    rows: Sequence[Row],
    unreadable: dict[str, str],
    meta: dict[str, Any],
    cache: Vectors,
    hashes: ContentHashes,
) -> bool:
    """Write the four files, vectors from `cache`; returns whether anything had to change.

    `meta.json` goes first and comes back last: while it is there, the other files belong together.
    """
    clear_partials(directory)
    meta = {**meta, "space": cache.space}
    digest = _digest_if_current(directory, rows, cache.space, hashes)

    def texts() -> dict[str, Iterable[bytes]]:
        return {
            "index.csv": _csv(["content_hash", "path", "class", "label", "split"], rows),
            "unreadable.csv": _csv(["path", "reason"], sorted(unreadable.items())),
            "meta.json": [(json.dumps({**meta, "vectors_sha256": digest}, indent=2) + "\n").encode()],
        }

    if digest and all(_holds(directory / name, text) for name, text in texts().items()):
        return False
    (directory / "meta.json").unlink(missing_ok=True)
    if not digest:
        with atomic_file(directory / "vectors.npy") as file:
            cache.export((row.content_hash for row in rows), file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    for name, text in texts().items():
        with atomic_file(directory / name) as file:
            file.writelines(text)
    return True


def keep_other(project: Path, directory: str, photos: str) -> None:
    """Raise ConvlabError if `directory` holds the vectors of another photo folder, which is still there.

    directory, photos: relative to `project`, or absolute.
    """
    try:
        before = json.loads((project / directory / "meta.json").read_text()).get("dir")
    except (OSError, ValueError):  # absent, or damaged
        return
    if before in (None, photos) or not (is_address(before) or (project / before).is_dir()):
        return
    raise ConvlabError(
        f"{directory} holds the vectors of {before}, these would be those of {photos}. Give them a name of "
        "their own (data.name=...), or replace the others (replace=true)."
    )


def _digest_if_current(directory: Path, rows: Sequence[Row], space: str, hashes: ContentHashes) -> str | None:
    """The sha256 of vectors.npy if it is undamaged and holds these rows, taken from this space."""
    try:
        meta = json.loads((directory / "meta.json").read_bytes())
        with (directory / "index.csv").open(newline="", encoding="utf-8") as index:
            lines = csv.reader(index)
            next(lines, None)
            same = all(line[0] == row.content_hash for line, row in zip(lines, rows, strict=True))
        digest = hashes.of(directory / "vectors.npy")
        current = same and meta["space"] == space and meta["vectors_sha256"] == digest
    except (OSError, ValueError, LookupError, TypeError, csv.Error):  # absent, or not from here
        return None
    return digest if current else None


def _holds(path: Path, text: Iterable[bytes]) -> bool:
    """Whether the file is there and holds this text, which is never in memory as a whole."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return all(file.read(len(part)) == part for part in text) and not file.read(1)


def _csv(header: list[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The file's lines."""
    writer = csv.writer(_Returned(), lineterminator="\n")
    for row in chain([header], rows):
        line: str = writer.writerow(row)
        yield line.encode()


class _Returned:
    """A file for csv.writer, whose `writerow` returns what `write` does."""

    def write(self, line: str) -> str:
        return line
