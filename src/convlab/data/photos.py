"""Photo folders, `<root>/<class>/*.jpg`: what a photo shows decides, never its name, place or date.

A photo is known by the sha256 of its file's bytes. That alone puts it into train, val or test (`splits.py`),
unless the folder comes divided (`divided.py`).
"""

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from convlab.base.console import progress
from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash
from convlab.data import photo_files
from convlab.data.divided import Place, places
from convlab.data.store_folder import StoreFolder

SHOWN_EVERY = 100  # photos; progress by the single photo would take as long as finding it
FIRST_KEPT = ("test", "val", "train", None)  # of a photo in several splits: the test split stays whole


@dataclass(frozen=True, slots=True)
class Photo:
    """One file: sha256 hex of its bytes, the name of its class, its path below the root with `/`.

    split: the one whose folder it lies in; None if the folder is not divided.
    """

    content_hash: str
    class_name: str
    path: str
    split: str | None = None


@dataclass(frozen=True)
class PhotoFolder:
    """What `scan` found.

    photos: sorted by content hash; the same content once in each class, under its first path.
    repeats: the further files with the same content in the same class. They are left out: counted
        twice, a photo would weigh twice.
    unreadable: path below the root -> why its bytes could not be read.
    ignored: class -> suffixes of its files that are no photos by their name; None: in no class.
    classless: photos of a divided folder that lie in no class.
    classes: every class folder, with or without photos.
    """

    root: Path | StoreFolder
    photos: tuple[Photo, ...]
    repeats: tuple[Photo, ...]
    unreadable: dict[str, str]
    ignored: dict[str | None, list[str]]
    classless: tuple[str, ...]
    classes: frozenset[str]

    @property
    def divided(self) -> bool:
        """Whether the folders, not the contents, say which split a photo belongs to."""
        return any(photo.split for photo in self.photos)

    def unused(self, failed: dict[str, str]) -> dict[str, str]:
        """path -> reason of every file that can't be used; `failed`: content hash -> reason, by decoding."""
        return self.unreadable | {
            photo.path: failed[photo.content_hash]
            for photo in (*self.photos, *self.repeats)
            if photo.content_hash in failed
        }


def scan(
    root: Path | StoreFolder, content_hash: Callable[[str], str] = file_hash, fewest_classes: int = 2
) -> PhotoFolder:
    """Find and hash the photos of every class folder below `root`, sub-folders included.

    Raises ConvlabError, saying what was found, if there is no such folder, if it has fewer classes with
    photos than `fewest_classes`, or if it is unclear whether its folders are classes or splits.

    Args:
        content_hash: gives the sha256 hex of a file's bytes, or raises OSError.
    """
    files = _files(root)
    paths = [path for path in files if "/" in path and photo_files.is_photo(path)]
    place = places(root, paths)
    located = {path: place(path) for path in files if "/" in path}
    _require_classes(root, located, files, fewest_classes)
    ignored = defaultdict(list)
    for path, (class_name, _) in located.items():
        if not photo_files.is_photo(path) and not path.endswith("/"):
            ignored[class_name].append(photo_files.suffix(path))
    paths.sort(key=_by_folder)
    found, unreadable = [], {}
    with progress("reading photos", len(paths), unit="photos") as advance:
        for number, path in enumerate(paths, 1):
            class_name, split = located[path]
            try:
                path.encode()  # the index of the features is UTF-8
                if class_name is not None:
                    found.append(Photo(content_hash(f"{root}/{path}"), intern(class_name), path, split))
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
    return PhotoFolder(
        root,
        tuple(photos),
        tuple(repeats),
        unreadable,
        dict(ignored),
        tuple(path for path in paths if located[path].class_name is None),
        frozenset(class_name for class_name, _ in located.values() if class_name is not None),
    )


_EXPECTED = "of which each sub-folder is a class: <folder>/<class>/<photo>.jpg"


def _without_repeats(found: list[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Photos by content and class, the first path of each; and the others, by path. `found` is by path."""
    photos: list[Photo] = []
    repeats = []

    def order(photo: Photo) -> tuple[str, str, int]:  # of equal ones, the paths' order stays
        return photo.content_hash, photo.class_name, FIRST_KEPT.index(photo.split)

    for photo in sorted(found, key=order):
        last = photos[-1] if photos else None
        if last and last.content_hash == photo.content_hash and last.class_name == photo.class_name:
            repeats.append(photo)
        else:
            photos.append(photo)
    return photos, sorted(repeats, key=lambda photo: _by_folder(photo.path))


def _by_folder(path: str) -> str:
    """A key that sorts as `Path` does: by the first folder, then by the next."""
    return path.replace("/", "\0")


def _files(root: Path | StoreFolder) -> list[str]:
    """What `walk` finds below the folder."""
    if isinstance(root, StoreFolder):
        if files := [entry.path for entry in root.entries()]:
            return files
        raise ConvlabError(f"there is nothing in {root}. Expected {root}/<class>/<photo>.jpg.")
    if root.is_file():
        raise ConvlabError(f"{root} is a file. data.dir=<folder> names a folder, {_EXPECTED}.")
    if not root.is_dir():
        raise ConvlabError(
            f"there is no photo folder {root}. Expected {root}/<class>/<photo>.jpg. "
            "A published set is brought by `convlab fetch`; data.dir=<folder> names your own."
        )
    return list(photo_files.walk(root))


def _require_classes(root: object, located: dict[str, Place], files: list[str], fewest: int) -> None:
    photos = [path for path in files if photo_files.is_photo(path)]
    classes = sorted({name for path in photos if path in located and (name := located[path].class_name)})
    if len(classes) >= fewest:
        return
    loose = sum("/" not in path for path in photos)
    others = [
        photo_files.suffix(path) for path in files if not photo_files.is_photo(path) and path[-1] != "/"
    ]
    found = f"one class with photos ({classes[0]})" if classes else "no class folder with photos"
    found += f" and {loose:,} photos beside the folders"
    found += f"; not of a known image type are {photo_files.left_out(others)}" if others else ""
    way_out = f"Put the photos of each class into a folder of its own: {root}/<class>/<photo>.jpg."
    below = {path.split("/")[1] for path in photos if path.count("/") > 1}
    if len(classes) == 1 and len(below) > 1 and not loose:
        way_out = f"Its folders look like the classes: data.dir={root}/{classes[0]}"
    needed = "at least two classes are" if fewest == 2 else "at least one class is"
    raise ConvlabError(f"{root}: {needed} needed, found {found}. {way_out}")
