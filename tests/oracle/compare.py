"""Where a built table and the oracle's differ, told value by value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

Rows = Iterable[Mapping[str, Any]]


def differences(found: Rows, expected: Rows, bound: int = 10) -> list[str]:
    """At most `bound` differences, none if the tables are equal: columns and their order, rows, every value exactly.

    `found` may come in any order of rows, as plain Python values (times as aware datetimes).
    """
    ours, theirs = sorted(expected, key=total_order), sorted(found, key=total_order)
    ids = [[row["event_id"] for row in rows] for rows in (theirs, ours)]
    if ids[0] != ids[1]:
        return [f"rows {ids[0]} instead of {ids[1]}"[:2000]]
    out = []
    for got, want in zip(theirs, ours, strict=True):
        if list(got) != list(want):
            return [f"columns {list(got)} instead of {list(want)}"]
        out += [f"{got['event_id']}.{c}: {got[c]!r} instead of {want[c]!r}" for c in want if not same(got[c], want[c])]
    return out[:bound]


def total_order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["ts_utc"], row["_topic"], row["_partition"], int(row["_offset"]))


def same(a: Any, b: Any) -> bool:
    """Equal as column values: the same type, and for floats the same sign of zero."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return type(a) is type(b) and bool(a == b)
