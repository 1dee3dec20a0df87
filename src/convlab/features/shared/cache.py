"""The bottleneck cache in an object store: many machines write at once, and none waits for another.

    <address>/<name>-<16 hex>/         a space, as in cache.py
      space.json                       what the space stands for, for people
      shards/<sha256>.safetensors      immutable: `keys` uint8 n 32, `looks` uint8 n 16, `vectors` f32 n d
      index/<sha256>.parquet           immutable: where a key's vector lies (table.py)
      manifest.json                    which tables count (manifest.py)

A writer puts its shard, then the shard's table, then the table's name into the manifest. Killed before that,
it leaves objects that nobody reads, and `collection.py` removes them. A reader that finds an object
gone reads the manifest again.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.object_store import MissingObject, ObjectStore
from convlab.data.looks import BYTES
from convlab.features.cache import check_vectors
from convlab.features.shards import KEY_BYTES, DamagedShard
from convlab.features.shared import manifest as manifests
from convlab.features.shared.index import LONGEST_TAIL, Index
from convlab.features.shared.manifest import Manifest, advance
from convlab.features.shared.table import KEYS, Table

SHARD_BYTES = 64 * 2**20
FLUSH_EVERY_S = 30.0  # what a kill can lose; more often, and shards would be small


class Written(NamedTuple):
    """A shard in the store that no manifest names yet, and its table."""

    table: str
    shard: str


class SharedCache:
    """Vectors of one space in a store; the same to its user as `cache.BottleneckCache`. A context manager.

    Args:
        address: of the store, where all spaces are.
        name: as BottleneckCache's.
        identity: as BottleneckCache's.
        commits: let others read what is added as it comes; else `written` and `commit` do.
    """

    def __init__(self, address: str, name: str, identity: dict[str, Any], commits: bool = True) -> None:
        self.address, self.name, self.identity = address, name, identity
        self._identity = json.dumps({"format": manifests.FORMAT, **identity}, sort_keys=True, indent=2)
        self.space = hashlib.sha256(self._identity.encode()).hexdigest()
        self.store = ObjectStore(f"{address.rstrip('/')}/{name}-{self.space[:16]}")
        self.damaged: list[str] = []
        self.dim: int | None = None
        self._seed = hashlib.sha256(self._identity.encode())
        self._index = Index(self.store)
        self._pending = _Pending()
        self._uncommitted: list[Written] = []
        self._commits = commits
        self._flushed_at = time.monotonic()

    def __enter__(self) -> Self:
        self.store.create("space.json", self._identity.encode())
        if manifests.read(self.store) is None:
            self._rebuild()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what was added, whatever ended the block."""
        self.flush()

    def known(self, contents: Iterable[str]) -> set[str]:
        """Those whose vectors are there now, whoever computed them."""
        asked = set(contents)
        there = set(self._find(_keys(asked)).contents)
        return there | (asked & self._pending.vectors.keys())

    def notes(self, contents: Iterable[str]) -> "tuple[dict[str, str], dict[str, bytes]]":
        """By content hash, of those that are known: what is doubtful, and looks."""
        table = self._find(_keys(contents))
        doubts = zip(table.contents, table.rows["doubt"].to_pylist(), strict=True)
        looks = zip(table.contents, table.rows["look"].to_pylist(), strict=True)
        return {content: doubt for content, doubt in doubts if doubt is not None}, dict(looks)

    def add_looks(self, looks: Mapping[str, bytes]) -> None:
        """Nothing to do: a look lies in the shard that holds the vector, and is never lost alone."""

    def add(
        self,
        contents: Sequence[str],
        vectors: NDArray[np.float32],
        looks: Mapping[str, bytes] | None = None,
        doubts: Mapping[str, str] | None = None,
    ) -> None:
        """Take float32 n d; in the store within FLUSH_EVERY_S of work."""
        check_vectors(contents, vectors, self.dim)
        self.dim = vectors.shape[1]
        self._pending.add(contents, vectors, looks or {}, doubts or {})
        if self._pending.num_bytes >= SHARD_BYTES:
            self._write_pending()
        if self._commits and time.monotonic() - self._flushed_at > FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Put what is pending into the store. Returns once others can read it, if this cache commits."""
        self._write_pending()
        if self._commits:
            self.commit(self.written())
        self._flushed_at = time.monotonic()

    def written(self) -> list[Written]:
        """Put what is pending into the store, for `commit` to let others read it, and return it."""
        self._write_pending()
        written, self._uncommitted = self._uncommitted, []
        return written

    def commit(self, written: Sequence[Written]) -> None:
        """Let everyone read these shards, which any process wrote."""
        if not written:
            return
        again = {each.shard for each in written}  # also what had been lost

        def change(manifest: Manifest) -> Manifest:
            lost = tuple(shard for shard in manifest.lost if shard not in again)
            return replace(manifest.with_tail([each.table for each in written]), lost=lost)

        present = advance(self.store, change)
        if present is not None and len(present.tail) > LONGEST_TAIL:
            self.fold()

    def export(self, contents: Iterable[str], file: BinaryIO) -> None:
        """Write the vectors of these images, in this order, as one `.npy` n d. Holds one shard in memory."""
        self.flush()
        hashes = list(contents)
        keys = np.array([bytes.fromhex(each) for each in hashes], KEYS)
        distinct, positions = np.unique(keys, return_inverse=True)
        table = self._find(distinct)
        if len(table) < len(distinct):
            missing = min(set(hashes) - set(table.contents))
            raise ConvlabError(
                f"{self.store.address} has no vector of the image {missing} any more: run it again."
            )
        shards = np.array(table.rows["shard"].to_pylist())[positions]
        rows = table.rows["row"].to_numpy()[positions]
        start = None
        for shard in np.unique(shards):
            try:
                found = self._read_shard(str(shard))["vectors"]
            except DamagedShard:
                self._lose(str(shard))
                raise
            if start is None:
                self.dim = found.shape[1]
                header = {"descr": "<f4", "fortran_order": False, "shape": (len(hashes), self.dim)}
                np.lib.format.write_array_header_1_0(file, header)
                start = file.tell()
            for position in np.flatnonzero(shards == shard):
                vector = found[rows[position]]
                file.seek(start + int(position) * vector.nbytes)
                file.write(vector.data)

    def fold(self) -> None:
        """Move the tail into the index; first, small shards of it are joined into full ones."""
        manifest = manifests.read(self.store)
        if manifest is not None and manifest.tail:
            self._index.fold(self._with_full_shards(manifest))

    def _rebuild(self) -> None:
        """Where there is no manifest, make one of all shards, which hold all that an index does."""
        tables = []
        for entry in self.store.entries("shards/"):
            name = entry.path.removeprefix("shards/").removesuffix(".safetensors")
            try:
                shard = self._read_shard(name)
            except DamagedShard:
                continue
            tables.append(self._index.write(Table.of(name, shard["keys"], shard["looks"], shard["doubts"])))
        if tables:
            console.print(f"{self.store.address}: index made anew from {len(tables):,} shards", markup=False)
        self.store.create(manifests.NAME, Manifest().with_tail(tables).to_json())

    def _find(self, wanted: NDArray[np.bytes_]) -> Table:
        try:
            return self._index.find(manifests.read(self.store) or Manifest(), wanted)
        except MissingObject:  # folded and collected since the manifest was read
            return self._index.find(manifests.read(self.store) or Manifest(), wanted)

    def _write_pending(self) -> None:
        if self._pending.vectors:
            self._uncommitted.append(self._write_shard(self._pending))
            self._pending = _Pending()

    def _write_shard(self, pending: "_Pending") -> Written:
        """Put a shard and its table, which no manifest names yet."""
        arrays, doubts = pending.arrays(), pending.doubts
        data = safetensors.numpy.save(arrays, {"doubts": json.dumps(doubts, sort_keys=True)})
        shard = self._digest(data)
        self.store.put(f"shards/{shard}.safetensors", data)
        table = Table.of(shard, arrays["keys"], arrays["looks"], doubts)
        return Written(self._index.write(table), shard)

    def _read_shard(self, name: str) -> dict[str, Any]:
        """`keys`, `looks`, `vectors` and `doubts`, from the bytes that were checked. Raises DamagedShard."""
        path = f"shards/{name}.safetensors"
        try:
            data = self.store.get(path)
        except MissingObject:
            raise DamagedShard(
                f"{self.store.address}/{path} is gone. Run it again: it will be computed again."
            ) from None
        if self._digest(data) != name:
            raise DamagedShard(
                f"{self.store.address}/{path} is damaged, and left out from now on. Run it again: it will be "
                "computed again."
            )
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return {**safetensors.numpy.load(data), "doubts": json.loads(header["__metadata__"]["doubts"])}

    def _lose(self, shard: str) -> None:
        """From now on, nobody looks for vectors in this shard."""
        self.damaged.append(shard)
        advance(self.store, lambda manifest: replace(manifest, lost=(*manifest.lost, shard)))

    def _with_full_shards(self, manifest: Manifest) -> Manifest:
        """Join the small shards of the tail into full ones; returns the manifest that has those."""
        tables = sorted(
            ((name, self._index.table(name)) for name in manifest.tail), key=lambda each: len(each[1])
        )
        joined: list[str] = []
        written: list[Written] = []
        pending = _Pending()
        for name, table in tables:
            if self.dim and len(table) * 4 * self.dim >= SHARD_BYTES / 2:
                break
            for shard in table.shards:
                try:
                    found = self._read_shard(shard)
                except DamagedShard:
                    self._lose(shard)
                    return manifest
                self.dim = found["vectors"].shape[1]
                pending.add_shard(found)
            joined.append(name)
            if pending.num_bytes >= SHARD_BYTES:
                written.append(self._write_shard(pending))
                pending = _Pending()
        if len(joined) < 2:
            return manifest
        if pending.vectors:
            written.append(self._write_shard(pending))
        kept = tuple(name for name in manifest.tail if name not in joined)

        def change(present: Manifest) -> Manifest | None:
            if present.tail[: len(manifest.tail)] != manifest.tail:
                return None
            since = present.tail[len(manifest.tail) :]
            return replace(present, tail=(*kept, *(each.table for each in written), *since))

        return advance(self.store, change) or manifest

    def _digest(self, data: bytes) -> str:
        digest = self._seed.copy()
        digest.update(data)
        return digest.hexdigest()


class _Pending:
    """Rows on their way into a shard, by content hash."""

    def __init__(self) -> None:
        self.vectors: dict[str, NDArray[np.float32]] = {}
        self.looks: dict[str, bytes] = {}
        self.doubts: dict[str, str] = {}
        self.num_bytes = 0  # of vectors

    def add(
        self,
        contents: Sequence[str],
        vectors: NDArray[np.float32],
        looks: Mapping[str, bytes],
        doubts: Mapping[str, str],
    ) -> None:
        self.vectors |= zip(contents, vectors.copy(), strict=True)
        self.looks |= {content: looks[content] for content in contents if content in looks}
        self.doubts |= {content: doubts[content] for content in contents if content in doubts}
        self.num_bytes += vectors.nbytes

    def add_shard(self, shard: dict[str, Any]) -> None:
        """What `_read_shard` gives."""
        contents = [key.tobytes().hex() for key in shard["keys"]]
        looks = {content: look.tobytes() for content, look in zip(contents, shard["looks"], strict=True)}
        self.add(contents, shard["vectors"], looks, shard["doubts"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`keys`, sorted, with `looks` and `vectors`. A look that is not known is one of a plain picture."""
        contents = sorted(self.vectors)
        looks = b"".join(self.looks.get(content, bytes(BYTES)) for content in contents)
        return {
            "keys": np.frombuffer(bytes.fromhex("".join(contents)), np.uint8).reshape(-1, KEY_BYTES),
            "looks": np.frombuffer(looks, np.uint8).reshape(-1, BYTES),
            "vectors": np.stack([self.vectors[content] for content in contents]),
        }


def _keys(contents: Iterable[str]) -> NDArray[np.bytes_]:
    return np.unique(np.array([bytes.fromhex(each) for each in contents], KEYS))
