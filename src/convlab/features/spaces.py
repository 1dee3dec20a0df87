"""What is in the bottleneck cache, wherever it is: its spaces, and what of them nobody reads."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import safetensors

from convlab.base.object_store import ObjectStore, is_address


class Space(NamedTuple):
    """A space: the name of its folder, its backbone's architecture, and how much there is of it."""

    name: str
    architecture: str
    vectors: int
    num_bytes: int


def spaces(place: str) -> Iterator[Space]:
    """Of the cache at `place`, a folder or the address of a store, by their names."""
    return _in_store(ObjectStore(place)) if is_address(place) else _in_folder(Path(place))


def collect(place: str, grace: timedelta) -> Iterator[tuple[str, int, int]]:
    """Of each space: its name, and the number and bytes of the objects removed, which nobody reads.

    In a folder there is none: who opens a space clears away what a kill left.
    """
    if not is_address(place):
        return
    from convlab.features.shared import collection

    store = ObjectStore(place)
    for name in store.folders():
        gone = collection.collect(ObjectStore(f"{store.address}/{name}"), grace)
        yield name, len(gone), sum(entry.size for entry in gone)


def _in_folder(folder: Path) -> Iterator[Space]:
    for description in sorted(folder.glob("*/space.json")):
        shards = list(description.parent.glob("*.safetensors"))
        yield Space(
            description.parent.name,
            _architecture(description.read_bytes()),
            sum(map(_num_rows, shards)),
            sum(path.stat().st_size for path in shards),
        )


def _in_store(store: ObjectStore) -> Iterator[Space]:
    from convlab.features.shared import manifest
    from convlab.features.shared.index import Index

    for name in store.folders():
        space = ObjectStore(f"{store.address}/{name}")
        present = manifest.read(space) or manifest.Manifest()
        index = Index(space)
        rows = present.rows + sum(len(index.table(each)) for each in present.tail)
        num_bytes = sum(entry.size for entry in space.entries("shards/"))
        yield Space(name, _architecture(space.get("space.json")), rows, num_bytes)


def _num_rows(shard: Path) -> int:
    try:
        with safetensors.safe_open(shard, "numpy") as opened:
            return int(opened.get_slice("keys").get_shape()[0])
    except (OSError, safetensors.SafetensorError):  # damaged; the next use deletes it
        return 0


def _architecture(description: bytes) -> str:
    try:
        return str(json.loads(description)["backbone"]["architecture"])
    except (ValueError, LookupError, TypeError):
        return "?"
