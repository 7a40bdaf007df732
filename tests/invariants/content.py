"""The content digest written a third time, from the law in the package's documentation, over Python values.

encode(column) = rows as u64, then a byte a row (1 valid, 0 null), then the data, all little-endian:
integers and times as i64 (times: µs since the epoch), doubles as binary64, truth values as a byte, decimals as the
unscaled integer in 16 bytes of two's complement, text as rows + 1 offsets (u64, from 0) and the UTF-8 bytes, lists as
rows + 1 offsets and encode(all elements). A null row has zeros, an empty text, an empty list.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from decimal import Context
from itertools import accumulate
from typing import Any

import pyarrow as pa

from tests.invariants.view import hash_value

_EXACT = Context(prec=100)

Leaf = list[Any]
"""[leaf id, rows, [column digest, …]]."""


def digest_leaf(leaf: str, rows: pa.Table, types: Sequence[str]) -> Leaf:
    """The leaf from its rows in layout order; `types`: of the columns, by the names that a manifest gives them."""
    encoded = (encode(column.combine_chunks(), type_) for column, type_ in zip(rows.columns, types, strict=True))
    return [leaf, rows.num_rows, [hashlib.sha256(one).hexdigest() for one in encoded]]


def digest_content(columns: Sequence[tuple[str, str]], leaves: Sequence[Leaf]) -> str:
    """The dataset's digest from its columns (name, type) and all its leaves."""
    ordered = sorted(leaves, key=lambda leaf: str(leaf[0]).encode())
    return hash_value({"recipe": "ofs.content_digest.v1", "columns": [list(one) for one in columns], "leaves": ordered})


def digest_buckets(leaves: Sequence[Leaf], buckets: int) -> list[str]:
    """`H` of the leaves of each bucket: a leaf's id begins with `b` and the bucket's seven digits."""
    ordered = sorted(leaves, key=lambda leaf: str(leaf[0]).encode())
    return [hash_value([leaf for leaf in ordered if int(leaf[0][1:8]) == bucket]) for bucket in range(buckets)]


def encode(array: pa.Array, type_: str) -> bytes:
    """`encode` of a column of the named type. ValueError for a type that no dataset has."""
    if isinstance(array, pa.ChunkedArray):  # of no chunk
        array = pa.concat_arrays([*array.chunks, pa.array([], array.type)])
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    head = struct.pack("<Q", len(array)) + bytes(array.is_valid().to_pylist())
    return head + _encode_data(array, type_)


def _encode_data(array: pa.Array, type_: str) -> bytes:
    if type_.startswith("list<"):
        lengths = [length or 0 for length in array.value_lengths().to_pylist()]
        return _offsets(lengths) + encode(array.flatten(), type_[len("list<") : -1])
    if type_.startswith("timestamp"):
        array, type_ = array.cast(pa.int64()), "int64"
    values = array.to_pylist()
    if type_ in ("int64", "int32"):
        return struct.pack(f"<{len(values)}q", *(value or 0 for value in values))
    if type_ == "double":
        return struct.pack(f"<{len(values)}d", *(0.0 if value is None else value for value in values))
    if type_ == "bool":
        return bytes(bool(value) for value in values)
    if type_ == "string":
        texts = [(value or "").encode() for value in values]
        return _offsets([len(text) for text in texts]) + b"".join(texts)
    if type_.startswith("decimal128("):
        scale = int(type_.rstrip(")").rsplit(",", 1)[1])
        unscaled = (0 if value is None else int(value.scaleb(scale, _EXACT)) for value in values)
        return b"".join(value.to_bytes(16, "little", signed=True) for value in unscaled)
    raise ValueError(f"no dataset has a column of type {type_}")


def _offsets(lengths: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(lengths) + 1}Q", *accumulate(lengths, initial=0))
