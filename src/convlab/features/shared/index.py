"""Where the vectors of given images lie: the tables of a manifest, read by what is looked for.

A table is read once a process, and checked against its name. Those of one prefix are a few megabytes however
many vectors a space has, so no process holds all keys.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convlab.base.errors import ConvlabError
from convlab.base.object_store import ObjectStore
from convlab.features.shared.manifest import Manifest, advance
from convlab.features.shared.table import Table, prefixes

ROWS_KEPT = 1 << 20  # of tables read, in memory: 75 MB
PART_ROWS = 1 << 17  # of a prefix, before prefixes get longer
LONGEST_TAIL = 64  # tables; then they are joined, or folded into the partitions
ROWS_FOLDED = 64  # of a prefix at a time, at least: each prefix costs a write
MOST_FILES = 8  # of a prefix; then they are joined


class Index:
    """The tables in `store`, which keeps them below `index/`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._kept: OrderedDict[str, Table] = OrderedDict()

    def find(self, manifest: Manifest, wanted: NDArray[np.bytes_]) -> Table:
        """The rows of those keys that are known. wanted: sorted, each once."""
        found = []
        bounds = np.searchsorted(prefixes(wanted, manifest.bits), np.arange(2**manifest.bits + 1))
        for part, names in enumerate(manifest.partitions):
            left = wanted[bounds[part] : bounds[part + 1]]
            for name in (*names, *manifest.tail):
                if not len(left):
                    break
                table = self.table(name).without(manifest.lost)
                here, rows = table.find(left)
                if len(here):
                    found.append(table.take(rows))
                    left = np.delete(left, here)
        return Table.joined(found)

    def write(self, table: Table) -> str:
        """Keep a table; returns its name."""
        data = table.to_parquet()
        name = hashlib.sha256(data).hexdigest()
        self._store.put(f"index/{name}.parquet", data)
        return name

    def table(self, name: str) -> Table:
        """Raises MissingObject, and ConvlabError where its bytes are not those that its name stands for."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        data = self._store.get(f"index/{name}.parquet")
        if hashlib.sha256(data).hexdigest() != name:
            raise DamagedTable(
                f"{self._store.address}/index/{name}.parquet is damaged. Delete "
                f"{self._store.address}/manifest.json: the next use makes the index anew from the shards."
            )
        table = self._kept[name] = Table.read(data)
        while sum(map(len, self._kept.values())) > ROWS_KEPT and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return table

    def fold(self, manifest: Manifest) -> Manifest | None:
        """Move the tail of `manifest` into the partitions, or into one table where it is too small for them.

        Every other change to the manifest meanwhile is kept. None if another process was first.
        """
        tail = Table.joined(self.table(name).without(manifest.lost) for name in manifest.tail)
        if len(tail) < ROWS_FOLDED << manifest.bits:
            joined = self.write(tail)
            return self._replaced(manifest, lambda present, since: replace(present, tail=(joined, *since)))
        rows = manifest.rows + len(tail)
        bits = manifest.bits
        while rows > PART_ROWS << bits:
            bits += 1
        partitions = []
        for part in range(2**bits):
            added = tail.part(part, bits)
            names = manifest.partitions[part >> (bits - manifest.bits)]
            partitions.append(self._folded(names, added, part, bits, bits > manifest.bits, manifest.lost))
        return self._replaced(
            manifest,
            lambda present, since: replace(
                present, bits=bits, partitions=tuple(partitions), tail=since, rows=rows
            ),
        )

    def _replaced(
        self, manifest: Manifest, change: Callable[[Manifest, tuple[str, ...]], Manifest]
    ) -> Manifest | None:
        """Change the present manifest, given what its tail has since `manifest`; None if that was changed."""

        def checked(present: Manifest) -> Manifest | None:
            length = len(manifest.tail)
            if present.tail[:length] != manifest.tail:
                return None
            if (present.partitions, present.lost) != (manifest.partitions, manifest.lost):
                return None
            return change(present, present.tail[length:])

        return advance(self._store, checked)

    def _folded(
        self, names: Sequence[str], added: Table, part: int, bits: int, split: bool, lost: Sequence[str]
    ) -> tuple[str, ...]:
        """The tables of one prefix, with `added`; split: `names` hold other prefixes, too."""
        if not split and len(names) < MOST_FILES:
            return (*names, self.write(added)) if len(added) else tuple(names)
        old = [self.table(name).without(lost).part(part, bits) for name in names]
        joined = Table.joined([*old, added])
        return (self.write(joined),) if len(joined) else ()


class DamagedTable(ConvlabError):
    """A table's bytes are not those that its name stands for."""
