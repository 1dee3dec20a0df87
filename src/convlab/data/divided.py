"""Folders that come divided: `train/<class>/<photo>` or `<class>/train/<photo>`, in every usual spelling.

`Training`, `val`, `validation_data`, `seg_test`, `train2017` and their like are read as splits where the
folders of one level are all named so, `train` among them, and share the rest of their names. A class called
"train" beside "bus" and "car" stays a class.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from convlab.base.errors import ConvlabError

SPELLINGS = {
    "train": {"train", "training", "trn"},
    "val": {"val", "valid", "validation", "validate", "dev", "eval", "evaluation"},
    "test": {"test", "testing", "tst"},
}
FILLERS = {"set", "data", "dataset", "split", "folder", "image", "images", "imgs", "photos", "pictures"}
_SPLIT = {spelling: split for split, spellings in SPELLINGS.items() for spelling in spellings}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class Place(NamedTuple):
    """Where a file belongs.

    class_name: None if it lies in a split, but in no class. split: None if the folder is not divided.
    """

    class_name: str | None
    split: str | None


def places(root: object, paths: Iterable[str]) -> Callable[[str], Place]:
    """Reads a path below `root`, with `/`, as the folders of `paths` tell. `paths`: photos only.

    Raises ConvlabError where folders named as splits stand beside others, or hold photos of no class.
    """
    paths = list(paths)
    top = Counter(path.partition("/")[0] for path in paths)
    if divided := _splits(top):
        _require_whole(root, top, divided, paths)
        return lambda path: _below_split(path.split("/"), divided)
    second = Counter(parts[1] if len(parts := path.split("/")) > 2 else "" for path in paths)
    divided = _splits(second)
    if len(divided) == len(second):
        return lambda path: Place(path.partition("/")[0], divided.get(path.split("/")[1]))
    return lambda path: Place(path.partition("/")[0], None)


def _splits(names: Iterable[str]) -> dict[str, str]:
    """name -> split of the folders that divide a set; empty where they don't."""
    read = {name: found for name in names if (found := _read(name))}
    splits = {split for split, _ in read.values()}
    alike = len({rest for _, rest in read.values()}) == 1
    return {name: split for name, (split, _) in read.items()} if alike and {"train"} < splits else {}


def _read(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The split that a folder's name means, and the name's other words; None if it means none or two."""
    words = [word.lower() for word in _WORD.findall(name)]
    words = [part for word in words for part in _parted(word)]
    found = [_SPLIT[word] for word in words if word in _SPLIT]
    rest = tuple(word for word in words if word not in _SPLIT and word not in FILLERS)
    return (found[0], rest) if len(found) == 1 else None


def _parted(word: str) -> list[str]:
    """`trainset` is "train" and "set"."""
    return next(
        ([word.removesuffix(filler), filler] for filler in FILLERS if word.removesuffix(filler) in _SPLIT),
        [word],
    )


def _below_split(parts: list[str], divided: dict[str, str]) -> Place:
    split = divided.get(parts[0])
    if split is None:  # no photo lies there
        return Place(None, None)
    folders = parts[1:-1]
    while folders and folders[0] == parts[0]:  # seg_train/seg_train/<class>/, as some archives unpack
        folders = folders[1:]
    return Place(folders[0] if folders else None, split)


def _require_whole(root: object, top: Counter[str], divided: dict[str, str], paths: list[str]) -> None:
    named = ", ".join(sorted(divided))
    if others := sorted(set(top) - set(divided)):
        raise ConvlabError(
            f"{root}: {named} divide the photos, yet {', '.join(others)} beside them hold photos as well. "
            "Move those elsewhere; or, if all of these are classes, rename the ones that are named as splits."
        )
    if not any(_below_split(path.split("/"), divided).class_name for path in paths):
        raise ConvlabError(
            f"{root}: {named} divide the photos, but have no class folders. Expected "
            f"{root}/{min(divided)}/<class>/<photo>.jpg; or, if these are classes, rename them."
        )
