"""NumPy and Arrow arrays as every room uses them: one alias, and the few reads that Arrow lacks."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def combine_chunks(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array. Arrow's own method copies a single chunk, and gives several back where one would be too large."""
    if isinstance(column, pa.ChunkedArray) and column.num_chunks == 1:
        return column.chunk(0)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def read_values(table: pa.Table, name: str) -> Array:
    """A column without nulls as NumPy values, shape (rows,)."""
    values: Array = combine_chunks(table.column(name)).to_numpy(zero_copy_only=False)
    return values


def count_true(mask: pa.ChunkedArray | pa.Array) -> int:
    """How many entries are true; a null is not."""
    return int(pc.sum(mask, min_count=0).as_py())


def find_undecodable(column: pa.ChunkedArray | pa.Array) -> Array:
    """Which texts of a string column are not UTF-8; shape (rows,). A null is none."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    broken = np.zeros(len(column), np.bool_)
    begin = 0
    for chunk in chunks:
        try:
            chunk.validate(full=True)
        except pa.ArrowInvalid:
            bodies = chunk.cast(pa.large_binary()).to_pylist()
            broken[begin : begin + len(chunk)] = [body is not None and not _is_utf8(body) for body in bodies]
        begin += len(chunk)
    return broken


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
