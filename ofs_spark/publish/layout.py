"""How a bucket's rows are cut into leaves, and leaves into files: by the plan and the data, never by the cluster.

A bucket is the rows of one target of the last exchange, in layout order. A key with more than `leaf_rows` rows is hot:
each of its UTC days is a leaf of its own. All other rows of the bucket, together, are one leaf. A file holds whole
leaves, the bucket's first leaf first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from ofs_spark.foundation.clock import DAY_US
from ofs_spark.foundation.columnar.arrays import Array

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Leaf:
    """A leaf's id and its rows: positions in the bucket's dataset rows, ascending."""

    leaf: str
    rows: Array


def choose_bucket_count(rows: int, rows_per_bucket: int, most: int = 1 << 20) -> int:
    """B: the least power of two that gives no bucket more than `rows_per_bucket` rows on average, at most `most`."""
    wanted = max(1, -(-rows // rows_per_bucket))
    return min(most, 1 << (wanted - 1).bit_length())


def cut_leaves(bucket: int, codes: Array, keyed: int, positions: Array, ts_us: Array, leaf_rows: int) -> list[Leaf]:
    """The leaves of a bucket, in file order: the shared one, then the hot keys' days.

    codes: ascending dense key codes of the dataset rows; positions: where these rows stand among all rows of the
    bucket, of which the first `keyed` have a key (rows without one are never hot); ts_us: their event times.
    Leaf ids: `b{bucket}`, and `b{bucket}.k{ordinal of the key in the bucket}.{day}` for hot keys.
    """
    values, starts, counts = np.unique(codes, return_index=True, return_counts=True)
    hot = np.flatnonzero((counts > leaf_rows) & (positions[starts] < keyed))
    name = f"b{bucket:07d}"
    shared = np.ones(len(codes), np.bool_)
    found: list[Leaf] = []
    for key in hot:
        begin, end = int(starts[key]), int(starts[key] + counts[key])
        shared[begin:end] = False
        days = ts_us[begin:end] // DAY_US
        cuts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), end - begin]
        for first, last in pairwise(cuts):
            day = (_EPOCH + timedelta(days=int(days[first]))).isoformat()
            found.append(Leaf(f"{name}.k{int(values[key]):09d}.{day}", np.arange(begin + first, begin + last)))
    rest = np.flatnonzero(shared)
    return ([Leaf(name, rest)] if len(rest) else []) + found


def parse_bucket(leaf: str) -> int:
    """The bucket of a leaf id."""
    return int(leaf[1:8])


def group_files(placed: Sequence[Leaf], file_rows: int) -> list[list[Leaf]]:
    """Consecutive leaves put together into files of at most `file_rows` rows; a larger leaf has a file of its own."""
    files: list[list[Leaf]] = []
    held = file_rows + 1
    for leaf in placed:
        if held + len(leaf.rows) > file_rows:
            files.append([])
            held = 0
        files[-1].append(leaf)
        held += len(leaf.rows)
    return files
