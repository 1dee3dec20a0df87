"""The bottleneck cache: a vector for each image content, in a space for each way of computing it.

    <root>/<name>-<16 hex>/            a space: one backbone, its weights, one preprocessing
      space.json                       what the space stands for, for people
      <sha256>.safetensors             a shard: `keys` uint8 n 32 (sha256 of image files), `vectors` f32 n d
      checked                          which shards were found whole, by their stat data (content_hashes.py)
      looks, doubtful                  what was seen in the images (looks_kept.py, doubts.py)
      lock                             held by the one process that uses the space

Opening reads no vectors: it hashes the shards (`shards.py`) that are new or have changed since they were last
found whole, and takes the keys of the others. A damaged shard is deleted; its images are computed anew.

New vectors join the one shard that is not full: a larger shard is written, synced and renamed into place,
then the one that it contains is deleted. A kill in between leaves both, and the next opening drops the
contained one. So there is never more than one small shard, however many small additions are made.

One file, though it is long: opening, adding and reading share one index of what lies where.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError
from convlab.base.files import clear_partials, write_text
from convlab.features.content_hashes import ContentHashes
from convlab.features.doubts import Doubts
from convlab.features.looks_kept import LooksKept
from convlab.features.shards import KEY_BYTES, DamagedShard, Shard, Shards

FORMAT = 1
SHARD_BYTES = 8 * 2**20
FLUSH_EVERY_S = 2.0  # what a kill can lose, besides the batch being computed


class BottleneckCache:
    """Vectors of one space, by the sha256 hex of each image file's bytes. A context manager.

    One process at a time uses a space; another waits at `with`, and then finds what the first computed.

    Args:
        root: the directory of all spaces.
        name: a readable start of the space's directory name.
        identity: all that decides a vector besides the image, as plain JSON values.
        reread: hash every shard at the opening, whatever its stat data say.
    """

    def __init__(self, root: Path, name: str, identity: dict[str, Any], reread: bool = False) -> None:
        self._identity = json.dumps({"format": FORMAT, **identity}, sort_keys=True, indent=2)
        self.space = hashlib.sha256(self._identity.encode()).hexdigest()
        self.dir = root / f"{name}-{self.space[:16]}"
        self._files = Shards(self.dir, self._identity.encode())
        self.damaged: list[str] = []  # names of the shards that opening found damaged, and deleted
        self.dim: int | None = None  # d, once there is a vector
        self._shards: list[Shard] = []  # the one that is not full comes last
        self._places: dict[bytes, int] = {}  # key -> index in _shards
        self._pending: dict[bytes, NDArray[np.float32]] = {}
        self._flushed_at = time.monotonic()
        self._reread = reread
        self._lock = FileLock(self.dir / "lock")

    def __enter__(self) -> Self:
        try:
            self.dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConvlabError(
                f"cannot create the cache {self.dir}: {error.strerror}. Set CONVLAB_STATE."
            ) from error
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            console.print(f"another process is using {self.dir}: waiting for it", markup=False)
            self._lock.acquire()
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what was added, whatever ended the block."""
        try:
            self.flush()
        finally:
            self._lock.release()

    def __contains__(self, content_hash: str) -> bool:
        key = bytes.fromhex(content_hash)
        return key in self._places or key in self._pending

    def __len__(self) -> int:
        return len(self._places) + len(self._pending)

    def known(self, content_hashes: Iterable[str]) -> set[str]:
        """Those whose vectors are here."""
        return {content_hash for content_hash in content_hashes if content_hash in self}

    def notes(self, content_hashes: Iterable[str]) -> tuple[dict[str, str], dict[str, bytes]]:
        """By content hash, of those that are known: what is doubtful in an image, and its look."""
        hashes = list(content_hashes)
        return {each: self._doubts[each] for each in hashes if each in self._doubts}, self._looks.of(hashes)

    def add_looks(self, looks: Mapping[str, bytes]) -> None:
        """Keep looks of images whose vectors are here."""
        self._looks.add(looks)

    def add(
        self,
        content_hashes: Sequence[str],
        vectors: NDArray[np.float32],
        looks: Mapping[str, bytes] | None = None,
        doubts: Mapping[str, str] | None = None,
    ) -> None:
        """Take float32 n d; on disk within FLUSH_EVERY_S of work. Known images are passed over."""
        check_vectors(content_hashes, vectors, self.dim)
        self.dim = vectors.shape[1]
        self._doubts.add(dict(doubts or {}))
        self._looks.add(looks or {})
        for content_hash, vector in zip(content_hashes, vectors.copy(), strict=True):
            if content_hash not in self:
                self._pending[bytes.fromhex(content_hash)] = vector
        late = time.monotonic() - self._flushed_at > FLUSH_EVERY_S
        if late or len(self._pending) >= self._capacity:
            self.flush()

    def flush(self) -> None:
        """Write what is pending. Returns once it is safe on the disk."""
        self._flushed_at = time.monotonic()
        if not self._pending:
            return
        rows: dict[str, NDArray[Any]] = {
            "keys": np.frombuffer(b"".join(self._pending), np.uint8).reshape(-1, KEY_BYTES),
            "vectors": np.stack(list(self._pending.values())),
        }
        contained = [shard for shard in self._shards[-1:] if 0 < shard.num_rows < self._capacity]
        if contained:
            try:
                old = self._read(len(self._shards) - 1)
            except DamagedShard:
                self.flush()  # without it, what is new goes into a shard of its own
                raise
            rows = {name: np.concatenate([old[name], rows[name]]) for name in rows}
        written = [
            self._files.write({name: array[start : start + self._capacity] for name, array in rows.items()})
            for start in range(0, len(rows["keys"]), self._capacity)
        ]
        del self._shards[len(self._shards) - len(contained) :]
        for path, keys in written:
            self._register(path, keys)
        for shard in contained:
            shard.path.unlink()
        self._pending.clear()

    def export(self, content_hashes: Iterable[str], file: BinaryIO) -> None:
        """Write the vectors of these images, in this order, as one `.npy` n d. Holds one shard in memory."""
        self.flush()
        hashes = list(content_hashes)
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(hashes), self.dim)}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        places = np.array([self._places[bytes.fromhex(each)] for each in hashes], dtype=np.int32)
        for place in np.unique(places):
            shard = self._read(place)
            rows = {key.tobytes().hex(): row for row, key in enumerate(shard["keys"])}
            for position in np.flatnonzero(places == place):
                vector = shard["vectors"][rows[hashes[position]]]
                file.seek(start + int(position) * vector.nbytes)
                file.write(vector.data)

    @property
    def _capacity(self) -> int:
        """Vectors in a full shard."""
        return max(1, SHARD_BYTES // (4 * (self.dim or 1)))

    def _open(self) -> None:
        """Find the keys in every whole shard, and clear away what a kill left. The lock is held."""
        clear_partials(self.dir)
        description = self.dir / "space.json"
        if not description.is_file() or description.read_text() != self._identity:
            write_text(description, self._identity)
        self._doubts, self._looks = Doubts(self.dir / "doubtful"), LooksKept(self.dir / "looks")
        hashes = ContentHashes(self.dir / "checked", self._identity.encode(), self._reread)
        for path in self._files.largest_first():
            try:
                keys, self.dim = self._files.index(path, hashes)
            except DamagedShard:
                self.damaged.append(path.name)
                path.unlink()
                continue
            if all(key in self._places for key in keys):
                path.unlink()  # contained in a larger one; a kill came before it was deleted
            else:
                self._register(path, keys)
        hashes.save()
        if self.damaged:
            warn(
                f"damaged shards in the bottleneck cache {self.dir}: {', '.join(self.damaged)}. They are "
                "deleted, and the vectors they held are computed again when needed."
            )

    def _register(self, path: Path, keys: list[bytes]) -> None:
        self._places.update(dict.fromkeys(keys, len(self._shards)))
        self._shards.append(Shard(path, len(keys)))

    def _read(self, index: int) -> dict[str, NDArray[Any]]:
        """`keys` and `vectors` of a shard; a damaged one is forgotten."""
        path = self._shards[index].path
        try:
            return self._files.read(path)
        except DamagedShard:
            self._shards[index] = Shard(path, 0)
            self._places = {key: place for key, place in self._places.items() if place != index}
            raise


def check_vectors(content_hashes: Sequence[str], vectors: NDArray[np.float32], dim: int | None) -> None:
    """Raise ValueError unless these are float32 n d, of the space's d. ConvlabError: not finite."""
    if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != len(content_hashes):
        raise ValueError(f"expected float32 {len(content_hashes)} d, got {vectors.dtype} {vectors.shape}")
    if dim and vectors.shape[1] != dim:
        raise ValueError(f"this space holds {dim} numbers an image, got {vectors.shape[1]}")
    if not np.isfinite(vectors).all():
        raise ConvlabError("the backbone gave values that are not finite. Are its weights the right ones?")
