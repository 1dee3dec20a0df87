"""The index of a photo folder: a row per photo, and the hash of what is learnt from them."""

import hashlib
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple


class Row(NamedTuple):
    """One photo of the index. `label` is the position of its class among the sorted classes."""

    content_hash: str
    path: str
    class_name: str
    label: int
    split: str


def data_hash(rows: Iterable[Row]) -> str:
    """sha256 hex over what is learnt from: each photo's content and class. Names and places are left out."""
    digest = hashlib.sha256()
    content = attrgetter("content_hash")
    for _, group in groupby(sorted(rows, key=content), content):
        for line in sorted(f"{row.content_hash} {row.class_name}\n" for row in group):
            digest.update(line.encode())
    return digest.hexdigest()
