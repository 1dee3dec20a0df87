"""Remove what dead writers left in a space of an object store."""

from datetime import timedelta

from convlab.base.object_store import Entry, ObjectStore
from convlab.features.shared import manifest
from convlab.features.shared.index import Index

GRACE = timedelta(days=1)  # a writer commits what it wrote within minutes


def collect(store: ObjectStore, grace: timedelta = GRACE) -> list[Entry]:
    """Remove what no manifest names and is older than `grace`; returns it.

    Nothing, where there is no manifest. What is old is decided before it is read: what a writer commits
    meanwhile is named by it.
    """
    store.put("clock", b"")
    now = store.written("clock")  # by the clock that objects are stamped with
    old = [
        entry
        for folder in ("index/", "shards/")
        for entry in store.entries(folder)
        if now - entry.written >= grace
    ]
    present = manifest.read(store)
    if present is None:  # deleted, to be made anew from these very shards
        return []
    index, used = Index(store), set()
    for name in present.tables():
        used.add(f"index/{name}.parquet")
        used |= {f"shards/{shard}.safetensors" for shard in index.table(name).shards}
    unused = [entry for entry in old if entry.path not in used]
    store.delete([entry.path for entry in unused])
    return unused
