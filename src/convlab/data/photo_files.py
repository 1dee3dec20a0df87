"""Which files below a folder are photos, by their names: the same for training and for predicting."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from convlab.base.errors import ConvlabError

SUFFIXES = {
    ".bmp",
    ".gif",
    ".jfif",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
}
# Thumbnails and waste that a system keeps beside the user's files: Synology, QNAP, macOS archives, Windows
SYSTEM_FOLDERS = {
    "#recycle",
    "$recycle.bin",
    "@eadir",
    "@recycle",
    "__macosx",
    "lost+found",
    "system volume information",
}
UNSUPPORTED = {".heic": "HEIC", ".heif": "HEIF", ".avif": "AVIF"}  # photos, but not to Pillow's own decoders


def walk(root: Path) -> Iterator[str]:
    """The path below `root`, with `/`, of every file; of a folder that holds none, its own path and a `/`.

    Hidden files and folders and SYSTEM_FOLDERS are passed over. Links to folders are followed, but never
    back up into where they lie. Raises ConvlabError for a folder that can't be listed.
    """
    yield from _walk(str(root), "", ())


def _walk(folder: str, below: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    empty = True
    try:
        stat = os.stat(folder)  # noqa: PTH116  a Path for each of 100,000 files takes longer than this
        if (place := (stat.st_dev, stat.st_ino)) in above:
            return
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ConvlabError(
            f"cannot list {folder}: {error.strerror}. Make it readable, or take it out."
        ) from None
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name.lower() in SYSTEM_FOLDERS:
            continue
        empty = False
        if entry.is_dir():
            yield from _walk(entry.path, f"{below}{name}/", (*above, place))
        else:
            yield f"{below}{name}"
    if empty and below:
        yield below


def is_photo(path: str) -> bool:
    """Whether a file is one by its suffix, whatever its case."""
    return suffix(path) in SUFFIXES


def suffix(path: str) -> str:
    """In lower case, with its dot; as `Path.suffix`, which takes ten times as long."""
    stem, _, ending = path.rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if stem and ending else ""


def left_out(suffixes: Iterable[str]) -> str:
    """Of files that are no photos by their names: how many of which kind, and what to do about photos."""
    counts = Counter(each or "without suffix" for each in suffixes)
    kinds = ", ".join(f"{number:,} {each}" for each, number in sorted(counts.items()))
    known = [name for each, name in UNSUPPORTED.items() if each in counts]
    return kinds + (f" ({' and '.join(known)} can't be read: save them as JPEG)" if known else "")
