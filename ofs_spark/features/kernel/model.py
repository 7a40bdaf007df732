"""What a kernel reads: the rows of one target that have the group's key, sorted, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array


@dataclass(frozen=True)
class Values:
    """One declared value over the group's rows, the missing rule already applied.

    data: int64 (unscaled integer, bool as 0 or 1, or code into `dictionary`), float64, or words (rows, 2) for decimals
    beyond 18 digits (words.py). present: a source event's non-null value. Codes order as the texts' UTF-8 bytes do.
    """

    data: Array
    present: Array
    scale: int
    kind: str
    dictionary: pa.Array | None = None


@dataclass(frozen=True)
class GroupRows:
    """Rows sorted by (key, ts, partition ordinal, seq). Every array has one entry per row.

    key: dense codes, ascending. ts: µs. rank: delivery rank, distinct within a key (event_time: the row's own place).
    source, anchor: what the row is to this group. values: aligned with the group's; wheres: by index in the program.
    """

    key: Array
    ts: Array
    rank: Array
    source: Array
    anchor: Array
    values: tuple[Values, ...]
    conditions: Mapping[int, Array]
