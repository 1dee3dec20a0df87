"""The index of a photo folder: a row per photo, and the hash of what is learnt from them."""

import hashlib
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from convlab.base.errors import ConvlabError
from convlab.data.photos import PhotoFolder
from convlab.data.splits import assign


class Row(NamedTuple):
    """One photo of the index. `label` is the position of its class among the sorted classes."""

    content_hash: str
    path: str
    class_name: str
    label: int
    split: str


def index(folder: PhotoFolder, failed: Mapping[str, str], shares: Mapping[str, Any]) -> list[Row]:
    """A row for each photo that can be read, in the order of the folder's.

    Raises ConvlabError if these are of fewer than two classes, or for shares that are none.

    Args:
        failed: content hash -> why it can't be read.
        shares: as `splits.assign` takes them.
    """
    photos = [photo for photo in folder.photos if photo.content_hash not in failed]
    labels = {name: label for label, name in enumerate(sorted({photo.class_name for photo in photos}))}
    if len(labels) < 2:
        first, why = next(iter(folder.unused(dict(failed)).items()))
        raise ConvlabError(
            f"{folder.root}: {len(photos)} of {len(folder.photos)} photos could be read, in {len(labels)} "
            f"classes; at least two classes are needed. The first that could not: {first}: {why}."
        )
    return [
        Row(photo.content_hash, photo.path, photo.class_name, labels[photo.class_name], split)
        for photo, split in zip(photos, assign(photos, shares), strict=True)
    ]


def data_hash(rows: Iterable[Row], divided: bool = False) -> str:
    """sha256 hex over what is learnt from: each photo's content and class. Names and places are left out.

    divided: each photo's split, too, where folders and not contents decide it.
    """
    digest = hashlib.sha256()
    content = attrgetter("content_hash")
    for _, group in groupby(sorted(rows, key=content), content):
        for line in sorted(
            f"{row.content_hash} {row.class_name}{f' {row.split}' if divided else ''}\n" for row in group
        ):
            digest.update(line.encode())
    return digest.hexdigest()
