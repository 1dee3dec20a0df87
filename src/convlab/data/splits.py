"""Which photo is for training, validation or test: its content decides, never its name, place or date.

Identical files are always on the same side. Without `stratified`, adding photos moves no other. With it, all
classes are cut at the same shares, and adding a photo moves at most one of its class across each cut.
A folder that comes divided keeps its division; a split that it lacks is taken from its training photos.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from convlab.base.errors import ConvlabError
from convlab.base.kinds import shown
from convlab.data.photos import Photo

SPLITS = ("train", "val", "test")


def assign(photos: Sequence[Photo], shares: Mapping[str, Any]) -> list[str]:
    """The split of each photo. shares: `val` and `test` of 1, and whether `stratified` (False).

    Raises ConvlabError unless the shares leave something to train on.
    """
    val, test = shares["val"], shares["test"]
    if None in (val, test) or not (val >= 0 and test >= 0 and val + test < 1):
        raise ConvlabError(
            f"data.split.val={shown(val)} and data.split.test={shown(test)}: expected shares of 1 that "
            "leave some for training, such as 0.1 and 0.2."
        )
    given = {photo.split for photo in photos}
    val, test = (0.0 if split in given else share for split, share in (("val", val), ("test", test)))
    free = [photo for photo in photos if photo.split in (None, "train")]
    if shares.get("stratified"):
        drawn = _within_classes(free, val, test)
    else:
        drawn = {photo.content_hash: split_of(photo.content_hash, val, test) for photo in free}
    return [drawn[photo.content_hash] if photo.split in (None, "train") else photo.split for photo in photos]


def split_of(content_hash: str, val: float, test: float) -> str:
    """train, val or test. `val` and `test` are shares of 1; the rest is for training.

    The hash's leading 52 bits, read as a number in [0, 1), are below `test`, below `test + val`, or above.
    """
    position = int(content_hash[:13], 16) / 16**13
    if position < test:
        return "test"
    return "val" if position < test + val else "train"


def _within_classes(photos: Sequence[Photo], val: float, test: float) -> dict[str, str]:
    """content hash -> split: the first `test` of each class in the order of hashes, then the next `val`.

    A share above nothing gives one photo at least to a class of three or more. A content in two classes stays
    where the first of them, by name, puts it.
    """
    classes = defaultdict[str, set[str]](set)
    for photo in photos:
        classes[photo.class_name].add(photo.content_hash)
    drawn: dict[str, str] = {}
    for _, contents in sorted(classes.items()):
        least = len(contents) >= len(SPLITS)
        num_test = max(round(len(contents) * test), int(least and test > 0))
        num_val = max(round(len(contents) * (val + test)) - num_test, int(least and val > 0))
        for rank, content in enumerate(sorted(contents)):
            split = "test" if rank < num_test else "val" if rank < num_test + num_val else "train"
            drawn.setdefault(content, split)
    return drawn
