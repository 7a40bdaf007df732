"""Who is sent what: rows to the target of their next key, as chunks of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features.pieces import Pieces
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.dataflow import Chunk, encode_chunk
from ofs_spark.foundation.columnar.hashing import route_texts
from ofs_spark.foundation.columnar.ids import unpack_ids
from ofs_spark.replay import rows as r

EVENTS = "event"
"""Kind of the chunks that hold event rows."""
MOST_CHUNK_BYTES = 64 * 1024**2
"""Of a chunk, about: Spark's rows end at 2 GiB, and whoever gathers chunks up to a bound gathers one more at most."""


@dataclass(frozen=True)
class Route:
    """Where a step sends its rows: to the next key's target, or by event id where that key is missing."""

    takes_refused: ClassVar[bool] = True
    key_columns: tuple[str, ...]
    columns: tuple[str, ...]
    keep_flags: int
    width: int

    def send(self, _target: int, pieces: Pieces) -> Iterator[Chunk]:
        """The rows of a key that a later step needs."""
        for piece in pieces:
            yield from self.send_rows(piece.table)

    def send_rows(self, table: pa.Table) -> Iterator[Chunk]:
        """The rows a later step needs, as chunks by target."""
        chosen = np.flatnonzero((read_values(table, r.FLAGS) & self.keep_flags) != 0)
        target = route_rows(table, self.key_columns, self.width)[chosen]
        yield from split_chunks(EVENTS, table.select(list(self.columns)), target, chosen, self.width)


def route_rows(table: pa.Table, key_columns: tuple[str, ...], width: int) -> Array:
    """Target of every row: crc32 of its layout key text modulo `width`."""
    return route_texts(join_layout_key(table, list(key_columns)), width)


def join_layout_key(table: pa.Table, key_columns: list[str]) -> pa.Array:
    """Placement text of every row: key parts joined by U+001F, or the event id where a part is missing."""
    parts = [combine_chunks(table.column(name)) for name in key_columns]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")
    return pc.coalesce(joined, unpack_ids(table.column(r.EVENT_ID))) if joined.null_count else joined


def split_chunks(kind: str, table: pa.Table, target: Array, rows: Array, width: int) -> Iterator[Chunk]:
    """`rows` of `table` as a chunk per target, or several where it would be too large; `target` is aligned with `rows`."""
    order = np.argsort(target.astype(np.uint16 if width <= 1 << 16 else np.int64), kind="stable")
    sorted_rows = table.take(pa.array(rows[order]))
    bounds = np.searchsorted(target[order], np.arange(width + 1))
    for index in np.flatnonzero(np.diff(bounds)):
        own = sorted_rows.slice(bounds[index], bounds[index + 1] - bounds[index])
        each = max(1, own.num_rows * MOST_CHUNK_BYTES // max(own.nbytes, MOST_CHUNK_BYTES))
        for first in range(0, own.num_rows, each):
            yield Chunk(int(index), encode_chunk(kind, own.slice(first, each)))
