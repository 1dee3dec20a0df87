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
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from convlab.bottleneck.atomic import atomic_file, clear_partials
from convlab.bottleneck.cache import BottleneckCache


class Row(NamedTuple):
    """One photo of the index. `label` is the position of its class among the sorted classes."""

    content_hash: str
    path: str
    class_name: str
    label: int
    split: str


def data_hash(rows: Iterable[Row]) -> str:
    """sha256 hex over what is learnt from: each photo's content and class. Names and places are left out."""
    lines = sorted(f"{row.content_hash} {row.class_name}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write_feature_set(
    directory: Path,
    rows: Sequence[Row],
    unreadable: dict[str, str],
    meta: dict[str, Any],
    cache: BottleneckCache,
) -> bool:
    """Write the four files, vectors from `cache`; returns whether anything had to change.

    `meta.json` goes first and comes back last: while it is there, the other files belong together.
    """
    clear_partials(directory)
    meta = {**meta, "space": cache.space}
    texts = {
        "index.csv": _csv(["content_hash", "path", "class", "label", "split"], rows),
        "unreadable.csv": _csv(["path", "reason"], sorted(unreadable.items())),
    }
    digest = _digest_if_current(directory, rows, cache.space)
    if digest and _same(directory, {**texts, "meta.json": _json(meta, digest)}):
        return False
    (directory / "meta.json").unlink(missing_ok=True)
    if not digest:
        with atomic_file(directory / "vectors.npy") as file:
            cache.export((row.content_hash for row in rows), file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    for name, text in {**texts, "meta.json": _json(meta, digest)}.items():
        with atomic_file(directory / name) as file:
            file.write(text)
    return True


def _digest_if_current(directory: Path, rows: Sequence[Row], space: str) -> str | None:
    """The sha256 of vectors.npy if it is undamaged and holds these rows, taken from this space."""
    try:
        meta = json.loads((directory / "meta.json").read_bytes())
        with (directory / "index.csv").open(newline="", encoding="utf-8") as index:
            hashes = [line["content_hash"] for line in csv.DictReader(index)]
        with (directory / "vectors.npy").open("rb") as vectors:
            digest = hashlib.file_digest(vectors, "sha256").hexdigest()
        current = meta["space"] == space and meta["vectors_sha256"] == digest
    except (OSError, ValueError, KeyError, TypeError):  # absent, or not from here: written anew
        return None
    return digest if current and hashes == [row.content_hash for row in rows] else None


def _same(directory: Path, texts: dict[str, bytes]) -> bool:
    paths = {directory / name: text for name, text in texts.items()}
    return all(path.is_file() and path.read_bytes() == text for path, text in paths.items())


def _json(meta: dict[str, Any], vectors_sha256: str) -> bytes:
    return (json.dumps({**meta, "vectors_sha256": vectors_sha256}, indent=2) + "\n").encode()


def _csv(header: list[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
