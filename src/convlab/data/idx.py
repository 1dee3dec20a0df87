"""MNIST's file format: gzipped IDX archives of unsigned bytes."""

import gzip
import struct
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from convlab.base.errors import ConvlabError

IMAGES_MAGIC = 2051  # 0x00000803: unsigned bytes, three dimensions
LABELS_MAGIC = 2049  # 0x00000801: unsigned bytes, one dimension


def read(path: Path, magic: int) -> np.ndarray:
    """The array in a gzipped IDX file: uint8, images n h w or labels n.

    Raises ConvlabError when the file is missing, truncated, of another magic number than `magic`,
    or holds another number of values than its header says.
    """
    try:
        content = _decompress(read_bytes(path))
    except (OSError, EOFError, zlib.error) as error:
        raise ConvlabError(f"{path} is not a complete gzip file ({error}). Fetch it again.") from None
    found = struct.unpack(">i", content[:4])[0] if len(content) >= 4 else None
    if found != magic:
        raise ConvlabError(f"{path}: expected IDX magic number {magic}, found {found}. Fetch it again.")
    num_dims = magic & 0xFF
    if len(content) < 4 + 4 * num_dims:
        raise ConvlabError(f"{path}: the header is cut short at {len(content)} bytes. Fetch it again.")
    shape = struct.unpack(f">{num_dims}i", content[4 : 4 + 4 * num_dims])
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * num_dims)
    if values.size != np.prod(shape):
        raise ConvlabError(
            f"{path}: the header promises {' x '.join(map(str, shape))} = {np.prod(shape)} bytes, "
            f"the file holds {values.size}. Fetch it again."
        )
    return values.reshape(shape)


@lru_cache(maxsize=4)
def _decompress(content: bytes) -> bytes:
    """Training, evaluation and every job of a sweep read the same four files."""
    return gzip.decompress(content)


def read_bytes(path: Path) -> bytes:
    """The file as it is; raises ConvlabError when it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConvlabError(
            f"{path} is missing. `convlab fetch mnist` brings MNIST, `dvc repro` all that the pipeline needs."
        ) from None
