"""Which offsets of a dense stretch nobody accounts for: interval arithmetic on arrays of pairs, both ends inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array

_FEW = 8
"""Intervals that plain integers are faster with."""
_NONE = np.empty((0, 2), np.int64)


def find_runs(offsets: Array) -> Array:
    """The consecutive runs of ascending, distinct int64 offsets, as an (n, 2) array of first and last."""
    if not len(offsets):
        return np.empty((0, 2), np.int64)
    breaks = np.flatnonzero(np.diff(offsets) != 1)
    first = np.concatenate([offsets[:1], offsets[breaks + 1]])
    last = np.concatenate([offsets[breaks], offsets[-1:]])
    return np.stack([first, last], axis=1)


def to_intervals(pairs: Iterable[tuple[int, int]]) -> Array:
    """Pairs as an (n, 2) int64 array."""
    return np.array(list(pairs), np.int64).reshape(-1, 2)


def find_uncovered(start: int, last: int, *covers: Array) -> Array:
    """What of [start, last] none of the covers' intervals holds: disjoint ascending intervals, (n, 2).

    Covers may overlap, be unsorted and reach beyond the stretch. What follows the last offset there is, 2^63 - 1, no
    int64 holds: the sums here are unsigned.
    """
    if start > last:
        return _NONE
    if sum(map(len, covers)) <= _FEW:
        return to_intervals(_find_uncovered_of_few(start, last, [pair for one in covers for pair in one.tolist()]))
    known = np.concatenate(covers)
    known = known[(known[:, 1] >= start) & (known[:, 0] <= last)].astype(np.uint64)
    known = known[np.argsort(known[:, 0], kind="stable")]
    one = np.uint64(1)
    reached = np.maximum.accumulate(np.concatenate([np.array([start], np.uint64), known[:, 1] + one]))
    following = np.concatenate([known[:, 0], np.array([last + 1], np.uint64)])
    hole = reached < following
    return np.stack([reached[hole], following[hole] - one], axis=1).astype(np.int64)


def _find_uncovered_of_few(start: int, last: int, covers: list[list[int]]) -> Iterator[tuple[int, int]]:
    """The same by plain integers: an array costs more than this does with a handful of intervals."""
    reached = start
    for first, end in sorted(covers):
        if first > last:
            break
        if reached < first:
            yield reached, first - 1
        reached = max(reached, end + 1)
    if reached <= last:
        yield reached, last


def select_intervals(ascending: Array, first: int, last: int) -> Array:
    """Those of disjoint, ascending intervals that share an offset with [first, last]."""
    begin, end = np.searchsorted(ascending[:, 1], first, "left"), np.searchsorted(ascending[:, 0], last, "right")
    return ascending[begin:end]


def count_offsets(holes: Array) -> int:
    """How many offsets the intervals of `uncovered` hold, exactly."""
    return sum(int(last) - int(first) + 1 for first, last in holes) if len(holes) else 0
