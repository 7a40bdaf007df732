"""Which offsets of a dense stretch nobody accounts for: interval arithmetic on arrays of pairs, both ends inside."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array


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

    Covers may overlap, be unsorted and reach beyond the stretch. Offsets stay below 2^63 - 1, so one more still fits.
    """
    if start > last:
        return to_intervals(())
    known = np.concatenate([*covers, to_intervals(())])
    known = known[(known[:, 1] >= start) & (known[:, 0] <= last)]
    known = known[np.argsort(known[:, 0], kind="stable")]
    reached = np.maximum.accumulate(np.concatenate([[start], known[:, 1] + 1]))
    following = np.concatenate([known[:, 0], [last + 1]])
    hole = reached < following
    return np.stack([reached[hole], following[hole] - 1], axis=1)


def count_offsets(holes: Array) -> int:
    """How many offsets the intervals of `uncovered` hold, exactly."""
    return sum(int(last) - int(first) + 1 for first, last in holes) if len(holes) else 0
