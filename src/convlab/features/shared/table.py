"""Where vectors lie: a sorted table of keys, as one immutable Parquet object.

Columns: `key` (sha256 of an image file), `shard` and `row` (which vector is its), `look` (`data/looks.py`),
`doubt` (why the picture may not be the whole one, or null).
"""

import io
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from convlab.data.looks import BYTES
from convlab.features.shards import KEY_BYTES

KEYS = np.dtype(f"S{KEY_BYTES}")
SCHEMA = pa.schema(
    {
        "key": pa.binary(KEY_BYTES),
        "shard": pa.dictionary(pa.int32(), pa.string()),
        "row": pa.int32(),
        "look": pa.binary(BYTES),
        "doubt": pa.string(),
    }
)


class Table:
    """Rows by key, each key once. Use `of` or `read`, which see to that."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows

    @classmethod
    def of(
        cls, shard: str, keys: NDArray[np.uint8], looks: NDArray[np.uint8], doubts: Mapping[str, str]
    ) -> "Table":
        """Of one shard. keys: n 32, sorted; looks: n 16; doubts: by content hash."""
        said = pa.array([doubts.get(key.tobytes().hex()) for key in keys], pa.string())
        names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(keys), np.int32)), pa.array([shard]))
        columns = [_binary(keys), names, pa.array(np.arange(len(keys), dtype=np.int32)), _binary(looks), said]
        return cls(pa.Table.from_arrays(columns, schema=SCHEMA))

    @classmethod
    def read(cls, data: bytes) -> "Table":
        """What `to_parquet` gave."""
        return cls(pq.read_table(io.BytesIO(data), schema=SCHEMA, use_threads=False))

    @classmethod
    def joined(cls, tables: Iterable["Table"]) -> "Table":
        """All rows of the tables; of a key in several, the first one's."""
        rows = pa.concat_tables([SCHEMA.empty_table(), *(each.rows for each in tables)])
        rows = rows.combine_chunks()
        keys = _keys(rows)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, bool)
        return cls(rows.take(pa.array(order[first])))._plain()

    def to_parquet(self) -> bytes:
        """As a Parquet file; equal tables give equal bytes."""
        file = io.BytesIO()
        pq.write_table(
            self.rows, file, compression="zstd", use_dictionary=["shard"], write_statistics=["key"]
        )
        return file.getvalue()

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @cached_property
    def keys(self) -> NDArray[np.bytes_]:
        """n, sorted."""
        return _keys(self.rows)

    @property
    def contents(self) -> list[str]:
        """The keys as content hashes."""
        return [key.hex() for key in self.rows["key"].to_pylist()]

    @cached_property
    def shards(self) -> set[str]:
        """The names of the shards that some row lies in."""
        return set(self.rows["shard"].unique().to_pylist())

    def find(self, wanted: NDArray[np.bytes_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Of the keys `wanted` that are here: their positions in `wanted`, and their rows here."""
        if not len(self):
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self) - 1)
        here = np.flatnonzero(self.keys[places] == wanted)
        return here, places[here]

    def take(self, rows: NDArray[np.intp]) -> "Table":
        """These rows, which must be sorted."""
        return Table(self.rows.take(pa.array(rows)))._plain()

    def without(self, lost: Iterable[str]) -> "Table":
        """Less the rows that lie in the shards `lost`."""
        gone = self.shards.intersection(lost)
        if not gone:
            return self
        kept = [name not in gone for name in self.rows["shard"].to_pylist()]
        return Table(self.rows.filter(pa.array(kept)))

    def _plain(self) -> "Table":
        """With no other names of shards in its dictionary than occur."""
        names = self.rows["shard"].cast(pa.string()).combine_chunks().dictionary_encode()
        return Table(self.rows.set_column(1, SCHEMA.field("shard"), names))

    def part(self, number: int, bits: int) -> "Table":
        """The rows whose keys' first `bits` bits are this number."""
        start, end = np.searchsorted(prefixes(self.keys, bits), [number, number + 1])
        return Table(self.rows.slice(start, end - start))


def prefixes(keys: NDArray[np.bytes_], bits: int) -> NDArray[np.int64]:
    """The first `bits` (at most 32) bits of each key, as a number."""
    first = np.ascontiguousarray(keys).view(np.uint8).reshape(-1, KEY_BYTES)[:, :4].copy().view(">u4")[:, 0]
    return first.astype(np.int64) >> (32 - bits)


def _binary(values: NDArray[np.uint8]) -> pa.Array:
    """n w as n binaries of w bytes."""
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.shape[1]), len(values), [None, data])


def _keys(rows: pa.Table) -> NDArray[np.bytes_]:
    column = rows["key"].combine_chunks()
    column = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
    data = column.buffers()[1]
    if data is None or not len(column):
        return np.zeros(0, KEYS)
    return np.frombuffer(data, KEYS, len(column), column.offset * KEY_BYTES)
