"""The content digest: what a dataset says, free of files, batches, clusters, compression and Spark version.

Every column of every leaf has one SHA-256, over this encoding of its rows in layout order (all integers little-endian):

    encode(column) = row count, u64
                     validity, one byte a row: 1 valid, 0 null
                     data(column)

| type | data |
|---|---|
| int64, int32 (widened) | int64 a row |
| float64 | IEEE 754 binary64 a row, bits as they are (there are no NaNs; a zero is +0.0) |
| timestamp | int64 a row, µs since the epoch, UTC |
| bool | one byte a row, 0 or 1 |
| string | rows + 1 offsets u64, the first is 0; then the UTF-8 bytes of all rows |
| decimal | 16 bytes a row: the unscaled integer in two's complement |
| list | rows + 1 offsets u64, the first is 0; then encode(all elements of all rows as one column) |

A null row has zeros for its value, an empty string or an empty list. The content digest is `H` of

    {"recipe": "ofs.content_digest.v1", "columns": [[name, type], …], "leaves": [[leaf, rows, [column digest, …]], …]}

with columns in dataset order, types by their names in `pins/columns.py`, and leaves by id ascending (UTF-8 bytes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks
from ofs_spark.foundation.errors import InternalError
from ofs_spark.pins.arrow_types import find_column_type
from ofs_spark.pins.columns import Encoding

RECIPE = "ofs.content_digest.v1"


@dataclass(frozen=True)
class LeafDigest:
    """A leaf's id, its row count and the digest of each column, in dataset order."""

    leaf: str
    rows: int
    columns: tuple[str, ...]

    def to_document(self) -> list[Any]:
        """JSON-ready form."""
        return [self.leaf, self.rows, list(self.columns)]

    @classmethod
    def from_document(cls, document: Sequence[Any]) -> LeafDigest:
        """The leaf digest that `document` wrote."""
        leaf, rows, columns = document
        return cls(leaf, rows, tuple(columns))


def digest_leaf(leaf: str, rows: pa.Table) -> LeafDigest:
    """Digests of a leaf's columns. `rows` are the leaf's rows, all of them, in layout order."""
    return LeafDigest(leaf, rows.num_rows, tuple(digest_column(column) for column in rows.columns))


def digest_column(column: pa.ChunkedArray | pa.Array) -> str:
    """SHA-256 of the column's encoding, lower-case hex."""
    hashed = hashlib.sha256()
    for part in _encode(_decode(column)):
        hashed.update(np.ascontiguousarray(part).view(np.uint8).data)
    return hashed.hexdigest()


def digest_content(columns: Sequence[tuple[str, str]], leaves: Sequence[LeafDigest]) -> str:
    """The dataset's digest from its columns (name, type) and the digests of all its leaves, in any order."""
    ordered = sorted(leaves, key=lambda leaf: leaf.leaf.encode())
    if len({leaf.leaf for leaf in ordered}) != len(ordered):
        raise InternalError("one leaf was digested twice")
    return digest(
        {
            "recipe": RECIPE,
            "columns": [list(column) for column in columns],
            "leaves": [[leaf.leaf, leaf.rows, list(leaf.columns)] for leaf in ordered],
        }
    )


def _encode(array: pa.Array) -> Iterator[Array]:
    """The parts of `encode(column)`, in order."""
    encode_data = _ENCODERS[find_column_type(array.type).encoding]
    yield np.array([len(array)], "<u8")
    yield np.ones(len(array), np.uint8) if not array.null_count else np.asarray(array.is_valid()).astype(np.uint8)
    yield from encode_data(array)


def _encode_integers(array: pa.Array) -> Iterator[Array]:
    yield _fill_with_zeros(array.cast(pa.int64())).astype("<i8", copy=False)


def _encode_doubles(array: pa.Array) -> Iterator[Array]:
    yield _fill_with_zeros(array).astype("<f8", copy=False)


def _encode_bools(array: pa.Array) -> Iterator[Array]:
    yield np.asarray(array.fill_null(False)).astype(np.uint8)


def _encode_texts(array: pa.Array) -> Iterator[Array]:
    array = array.fill_null("") if array.null_count else array
    offsets = _read_offsets(array, "<i8" if pa.types.is_large_string(array.type) else "<i4")
    yield (offsets - offsets[0]).astype("<u8")
    data = array.buffers()[2]
    if data is not None:
        yield np.frombuffer(data, np.uint8)[int(offsets[0]) : int(offsets[-1])]


def _encode_lists(array: pa.Array) -> Iterator[Array]:
    lengths = np.asarray(pc.list_value_length(array).fill_null(0)).astype(np.uint64)
    yield np.concatenate([np.zeros(1, "<u8"), np.cumsum(lengths, dtype="<u8")])
    yield from _encode(array.flatten())


def _encode_decimals(array: pa.Array) -> Iterator[Array]:
    words = np.frombuffer(array.buffers()[1], "<u8")[array.offset * 2 : (array.offset + len(array)) * 2].reshape(-1, 2)
    if array.null_count:
        words = np.where(np.asarray(array.is_valid())[:, None], words, np.uint64(0)).astype("<u8")
    yield words


_ENCODERS: Mapping[Encoding, Callable[[pa.Array], Iterator[Array]]] = {
    "integer": _encode_integers,
    "double": _encode_doubles,
    "bool": _encode_bools,
    "text": _encode_texts,
    "decimal": _encode_decimals,
    "list": _encode_lists,
}


def _fill_with_zeros(array: pa.Array) -> Array:
    values: Array = (array.fill_null(0) if array.null_count else array).to_numpy(zero_copy_only=False)
    return values


def _read_offsets(array: pa.Array, width: str) -> Array:
    buffer = array.buffers()[1]
    if buffer is None or buffer.size == 0:
        return np.zeros(1, width)
    return np.frombuffer(buffer, width)[array.offset : array.offset + len(array) + 1]


def _decode(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    array = combine_chunks(column)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
