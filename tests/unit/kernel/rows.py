"""Rows and groups for kernel tests: arrays from short lists, windows from their definition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ofs_spark.features.kernel import GroupRows, Values
from ofs_spark.features.kernel.words import as_words, repeat_integer
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.pins.profile.compile import compile_profile
from ofs_spark.pins.profile.model import Group
from tests.worlds.model import profile, window

HOUR = 3_600_000_000


def group(type_: str, features: list[dict[str, Any]], **changes: Any) -> Group:
    """One compiled group over `payload.card` with the value `v` of a type and a window of an hour."""
    document = {
        "name": "g", "version": "v1", "key": ["payload.card"], "windows": [window("1h")],
        "values": {"v": {"path": "payload.v", "type": type_, "missing": "null"}}, "features": features, **changes,
    }  # fmt: skip
    (compiled,) = compile_profile(profile(document), "world", "v1").program.groups
    return compiled


def words(integers: Sequence[int], width: int = 2) -> Array:
    """Integers as words, one row each."""
    none = np.zeros((0, width), np.uint64)
    return np.concatenate([none, *(as_words(repeat_integer(one, 1), width) for one in integers)])


def rows(
    ts: Sequence[int],
    data: Sequence[int] | None = None,
    rank: Sequence[int] | None = None,
    key: Sequence[int] | None = None,
    scale: int = 0,
    wide: bool = False,
) -> GroupRows:
    """Rows that all are source events and anchors, with one numeric value each (default 1)."""
    n = len(ts)
    values = words(data or [1] * n) if wide else np.array(data or [1] * n, np.int64)
    every = np.ones(n, np.bool_)
    return GroupRows(
        np.array(key or [0] * n, np.int64),
        np.array(ts, np.int64),
        np.array(rank or range(n), np.int64),
        every,
        every,
        (Values(values, every, scale, "decimal" if wide or scale else "int"),),
        {},
    )


def members(r: GroupRows, at: int, length: int | None, delay: int, include: bool) -> list[int]:
    """The window of one anchor by its definition: every row of the key is looked at."""
    end = int(r.ts[at]) - delay
    return [
        e
        for e in range(len(r.ts))
        if r.key[e] == r.key[at] and r.ts[e] <= end and (length is None or r.ts[e] > end - length)
        if (include if e == at else r.rank[e] < r.rank[at])
    ]
