"""How a bucket's rows are cut into leaves, and leaves into files: by the plan and the data, never by the cluster.

A bucket is the rows of one target of the last exchange, in layout order. A key with more than `leaf_rows` rows is hot:
each of its UTC days is a leaf of its own. All other rows of the bucket, together, are one leaf. A file holds whole
leaves, the bucket's first leaf first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
import pyarrow as pa

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


@dataclass(frozen=True)
class FilledLeaf:
    """A leaf's id and its dataset rows, all of them."""

    leaf: str
    rows: pa.Table


def find_hot_keys(anchors: Array, leaf_rows: int) -> Array:
    """Which keys are hot; anchors: dataset rows by key code."""
    hot: Array = anchors > leaf_rows
    return hot


def cut_leaves(bucket: int, codes: Array, ts_us: Array, hot: Array) -> list[Leaf]:
    """What dataset rows of a bucket, in layout order, have of its leaves, in file order: the shared one, then hot keys' days.

    codes: ascending dense key codes of the rows; ts_us: their event times; hot: by code, and no code beyond it is.
    Leaf ids: `b{bucket}`, and `b{bucket}.k{ordinal of the key in the bucket}.{day}` for hot keys.
    """
    values, starts, counts = np.unique(codes, return_index=True, return_counts=True)
    own = np.flatnonzero(np.append(hot, False)[np.minimum(values, len(hot))])
    name = name_shared_leaf(bucket)
    shared = np.ones(len(codes), np.bool_)
    found: list[Leaf] = []
    for key in own:
        begin, end = int(starts[key]), int(starts[key] + counts[key])
        shared[begin:end] = False
        days = ts_us[begin:end] // DAY_US
        cuts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), end - begin]
        for first, last in pairwise(cuts):
            day = (_EPOCH + timedelta(days=int(days[first]))).isoformat()
            found.append(Leaf(f"{name}.k{int(values[key]):09d}.{day}", np.arange(begin + first, begin + last)))
    rest = np.flatnonzero(shared)
    return ([Leaf(name, rest)] if len(rest) else []) + found


def name_shared_leaf(bucket: int) -> str:
    """The leaf of a bucket's rows that are of no hot key."""
    return f"b{bucket:07d}"


def parse_bucket(leaf: str) -> int:
    """The bucket of a leaf id."""
    return int(leaf[1:8])


def group_files(placed: Iterable[FilledLeaf], file_rows: int) -> Iterator[Iterator[FilledLeaf]]:
    """Consecutive leaves of each file of at most `file_rows` rows, one leaf at a time; a larger leaf has a file of its own."""
    return (map(itemgetter(1), own) for _, own in groupby(_number_files(placed, file_rows), itemgetter(0)))


def _number_files(placed: Iterable[FilledLeaf], file_rows: int) -> Iterator[tuple[int, FilledLeaf]]:
    number, held = 0, 0
    for leaf in placed:
        if held and held + leaf.rows.num_rows > file_rows:
            number, held = number + 1, 0
        held += leaf.rows.num_rows
        yield number, leaf
