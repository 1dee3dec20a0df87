"""Photo folders, `<root>/<class>/*.jpg`: what a photo shows decides, never its name, place or date.

A photo is known by the sha256 of its file's bytes; that alone puts it into train, val or test (`splits.py`).
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from sys import intern

from convlab.base.console import console, progress, warn
from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
LISTED = 10  # unreadable photos on the screen
SHOWN_EVERY = 100  # photos; progress by the single photo would take as long as finding it


@dataclass(frozen=True, slots=True)
class Photo:
    """One file: sha256 hex of its bytes, the name of its class, its path below the root with `/`."""

    content_hash: str
    class_name: str
    path: str


@dataclass(frozen=True)
class PhotoFolder:
    """What `scan` found.

    photos: sorted by content hash; the same content once in each class, under its first path.
    repeats: the further files with the same content in the same class. They are left out: counted
        twice, a photo would weigh twice.
    unreadable: path below the root -> why its bytes could not be read.
    ignored: suffix -> number of files that are no photos by their name.
    """

    root: Path
    photos: tuple[Photo, ...]
    repeats: tuple[Photo, ...]
    unreadable: dict[str, str]
    ignored: dict[str, int]

    def unused(self, failed: dict[str, str]) -> dict[str, str]:
        """path -> reason of every file that can't be used; `failed`: content hash -> reason, by decoding."""
        return self.unreadable | {
            photo.path: failed[photo.content_hash]
            for photo in (*self.photos, *self.repeats)
            if photo.content_hash in failed
        }

    def warnings(self) -> list[str]:
        """What the owner of the photos should know: repeats, contradictions, ignored files."""
        found = []
        if self.repeats:
            found.append(
                f"files that repeat a photo of their own class, left out: {len(self.repeats):,}, "
                f"for instance {self.repeats[0].path}"
            )
        shared: dict[str, list[str]] = {}
        for one, other in pairwise(self.photos):
            if one.content_hash == other.content_hash:
                shared.setdefault(one.content_hash, [one.path]).append(other.path)
        if shared:
            found.append(
                f"photos in more than one class, which no classifier can learn: {len(shared):,}, "
                f"for instance {' = '.join(next(iter(shared.values())))}"
            )
        if self.ignored:
            kinds = ", ".join(f"{number:,} {suffix}" for suffix, number in sorted(self.ignored.items()))
            found.append(f"ignored files that are not of a known image type: {kinds}")
        return found


def scan(root: Path, content_hash: Callable[[str], str] = file_hash) -> PhotoFolder:
    """Find and hash the photos of every class folder below `root`, sub-folders included.

    Hidden files and folders are passed over. Raises ConvlabError, saying what was found, if there is no
    such folder or it has fewer than two classes with photos.

    Args:
        content_hash: gives the sha256 hex of a file's bytes, or raises OSError.
    """
    paths, ignored = [], Counter[str]()
    for path in _files(root):
        if (suffix := _suffix(path)) in SUFFIXES:
            paths.append(path)
        else:
            ignored[suffix or "without suffix"] += 1
    _require_classes(root, paths)
    paths.sort(key=_by_folder)
    found, unreadable = [], {}
    with progress("reading photos", len(paths), unit="photos") as advance:
        for number, path in enumerate(paths, 1):
            try:
                path.encode()  # the index of the features is UTF-8
                found.append(Photo(content_hash(f"{root}/{path}"), intern(path.partition("/")[0]), path))
            except UnicodeEncodeError:
                unreadable[os.fsencode(path).decode(errors="backslashreplace")] = (
                    "its name is not valid UTF-8"
                )
            except OSError as error:
                unreadable[path] = error.strerror or str(error)
            if number % SHOWN_EVERY == 0:
                advance(SHOWN_EVERY)
        advance(len(paths) % SHOWN_EVERY)
    photos, repeats = _without_repeats(found)
    return PhotoFolder(root, tuple(photos), tuple(repeats), unreadable, dict(ignored))


def tell_unused(unused: dict[str, str], where: str = "") -> None:
    """Warn of photos that can't be used, path -> reason; `where` names the file that lists them all."""
    if unused:
        listed = f" ({where})" if where else ""
        warn(f"photos that could not be read, left out: {len(unused):,}{listed}")
    for path, reason in sorted(unused.items())[:LISTED]:
        console.print(f"  {path}: {reason}", markup=False)


def _without_repeats(found: list[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Photos by content and class, the first path of each; and the others, by path. `found` is by path."""
    photos: list[Photo] = []
    repeats = []
    for photo in sorted(found, key=attrgetter("content_hash")):  # of equal ones, the order stays
        last = photos[-1] if photos else None
        if last and last.content_hash == photo.content_hash and last.class_name == photo.class_name:
            repeats.append(photo)
        else:
            photos.append(photo)
    return photos, sorted(repeats, key=lambda photo: _by_folder(photo.path))


def _by_folder(path: str) -> str:
    """A key that sorts as `Path` does: by the first folder, then by the next."""
    return path.replace("/", "\0")


def _files(root: Path) -> Iterator[str]:
    """The path below `root`, with `/`, of every file in a class folder that is not hidden."""
    if not root.is_dir():
        raise ConvlabError(
            f"there is no photo folder {root}. Expected {root}/<class>/<photo>.jpg. "
            "A published set is brought by `convlab fetch`; data.dir=<folder> names your own."
        )
    for class_dir in root.iterdir():
        if not class_dir.is_dir() or class_dir.name.startswith("."):
            continue
        for folder, folders, names in os.walk(class_dir, onerror=_refuse):
            folders[:] = [name for name in folders if not name.startswith(".")]
            below = Path(folder).relative_to(root).as_posix()
            yield from (f"{below}/{name}" for name in names if not name.startswith("."))


def _suffix(path: str) -> str:
    """In lower case, with its dot; as `Path.suffix`, which takes ten times as long."""
    stem, _, ending = path.rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if stem and ending else ""


def _refuse(error: OSError) -> None:
    raise ConvlabError(f"cannot list {error.filename}: {error.strerror}. Make it readable, or take it out.")


def _require_classes(root: Path, paths: list[str]) -> None:
    classes = sorted({path.partition("/")[0] for path in paths})
    if len(classes) >= 2:
        return
    loose = sum(path.suffix.lower() in SUFFIXES for path in root.iterdir() if path.is_file())
    found = f"one class with photos ({classes[0]})" if classes else "no class folder with photos"
    raise ConvlabError(
        f"{root}: at least two classes are needed, found {found} and {loose:,} photos beside the folders. "
        f"Put the photos of each class into a folder of its own: {root}/<class>/<photo>.jpg."
    )
