"""The files that hold a space's vectors, each named by what it holds.

A shard's name is the sha256 of the space's identity followed by the shard's bytes. So a shard never
changes, and any flipped bit, cut-off end or file put into the wrong space shows before a vector is used:
every read of vectors hashes the very bytes that it hands out.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.numpy
from numpy.typing import NDArray

from convlab.base.errors import ConvlabError
from convlab.base.files import atomic_file
from convlab.features.content_hashes import ContentHashes

KEY_BYTES = 32


class DamagedShard(ConvlabError):
    """A shard's bytes are not those that its name stands for."""


class Shard(NamedTuple):
    """A shard's file, and how many vectors are read from it: 0 once it was found damaged."""

    path: Path
    num_rows: int


class Shards:
    """The shards in `directory`, of the space with this `identity`."""

    def __init__(self, directory: Path, identity: bytes) -> None:
        self.directory = directory
        self._seed = hashlib.sha256(identity)

    def largest_first(self) -> list[Path]:
        """Every shard's file."""
        files = self.directory.glob("*.safetensors")
        return sorted(files, key=lambda path: (-path.stat().st_size, path.name))

    def index(self, path: Path, hashes: ContentHashes) -> tuple[list[bytes], int]:
        """The keys in a shard, and d. Raises DamagedShard; `hashes` says what changed since it was whole."""
        try:
            if hashes.of(path) == path.stem:
                with safetensors.safe_open(path, "numpy") as shard:
                    keys = [key.tobytes() for key in shard.get_tensor("keys")]
                    return keys, shard.get_slice("vectors").get_shape()[1]
        except OSError as error:
            raise _unreadable(path, error) from error
        except safetensors.SafetensorError:
            pass  # decayed without a trace in its stat data
        raise DamagedShard(str(path))

    def read(self, path: Path) -> dict[str, NDArray[Any]]:
        """`keys` and `vectors`, from the bytes that were checked. A damaged shard is deleted, and raised."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error) from error
        if self._digest(data) != path.stem:
            path.unlink()
            raise DamagedShard(
                f"{path} was damaged while in use, and is deleted. Run it again: it will be computed again."
            )
        return safetensors.numpy.load(data)

    def write(self, rows: dict[str, NDArray[Any]]) -> tuple[Path, list[bytes]]:
        """A new shard of `keys` and `vectors`, safe on the disk: its file, and its keys."""
        data = safetensors.numpy.save(rows)
        path = self.directory / f"{self._digest(data)}.safetensors"
        with atomic_file(path) as file:
            file.write(data)
        return path, [key.tobytes() for key in rows["keys"]]

    def _digest(self, data: bytes) -> str:
        digest = self._seed.copy()
        digest.update(data)
        return digest.hexdigest()


def _unreadable(path: Path, error: OSError) -> ConvlabError:
    return ConvlabError(f"cannot read the cache's {path}: {error.strerror}. Run it again.")
