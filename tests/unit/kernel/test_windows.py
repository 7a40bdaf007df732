"""A window is a stretch of rows and its exceptions: together, exactly the rows of its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.features.kernel import GroupRows, compute_group
from ofs_spark.features.kernel.windows import Windows, find_windows, order_deliveries
from tests.unit.kernel.rows import HOUR, group, members, rows

COUNT = [{"name": "n", "aggregate": "count"}]
TOTAL = [{"name": "s", "aggregate": "sum", "value": "v"}]
EVERY = [
    *COUNT,
    *TOTAL,
    {"name": "low", "aggregate": "min", "value": "v"},
    {"name": "high", "aggregate": "max", "value": "v"},
    {"name": "old", "aggregate": "first", "value": "v"},
    {"name": "new", "aggregate": "last", "value": "v"},
    {"name": "kinds", "aggregate": "count_distinct", "value": "v"},
]


def find(r: GroupRows, length: int | None, delay: int, include: bool) -> Windows:
    return find_windows(order_deliveries(r.key, r.ts, r.rank, r.anchor), length, delay, include)


def found(w: Windows, row: int) -> list[int]:
    """The anchor's rows; all of its range where it is not late-bound."""
    inside = range(int(w.low[row]), int(w.high[row]))
    known = [e for e in inside if w.deliveries.rank[e] < w.horizon[row]]
    assert w.late[row] or known == list(inside)
    return known


@st.composite
def late(draw: st.DrawFn) -> GroupRows:
    """A few keys, ties and windows' ends, delivered in any order."""
    n = draw(st.integers(1, 14))
    pairs = sorted((draw(st.integers(0, 2)), draw(st.sampled_from([0, 1, 2, 5, 9, 10]))) for _ in range(n))
    codes = sorted({key for key, _ in pairs})
    rank = draw(st.permutations(range(n)))
    return rows([ts for _, ts in pairs], rank=rank, key=[codes.index(key) for key, _ in pairs])


@given(late(), st.sampled_from([None, 1, 4, 5, 10]), st.sampled_from([0, 0, 1, 5]), st.booleans())
def test_rows_of_every_window(r: GroupRows, length: int | None, delay: int, include: bool) -> None:
    include = include and delay == 0
    w = find(r, length, delay, include)
    for row in range(len(r.ts)):
        assert found(w, row) == members(r, row, length, delay, include)
    late = [row for row in range(len(r.ts)) if w.late[row]]
    keys = [set(range(int(a), int(b))) for a, b in zip(w.starts, w.ends, strict=True)]
    assert all(any(row in rows for rows in keys) for row in late)
    assert all(rows & set(late) and len({int(r.key[row]) for row in rows}) == 1 for rows in keys)


def behind(late_rows: int) -> GroupRows:
    """Early anchors that do not know the rows between them: `late_rows` of the hour arrive after all others."""
    n = late_rows + 4
    rank = [0, *range(4, late_rows + 4), 1, 2, 3]  # first row, the late ones, then three anchors that precede them
    return rows(list(range(0, 10 * n, 10)), data=[7 * i % 31 - 9 for i in range(n)], rank=rank)


@pytest.mark.parametrize("late_rows", [1, 31, 32, 33, 64, 300])
@pytest.mark.parametrize("include", [True, False])
def test_any_number_of_pending_rows(late_rows: int, include: bool) -> None:
    r = behind(late_rows)
    w = find(r, HOUR, 0, include)
    assert w.late.tolist() == [False] * (late_rows + 1) + [True] * 3
    columns = compute_group(group("int", EVERY, include_anchor=include), r)
    for row in range(len(r.ts)):
        inside = members(r, row, HOUR, 0, include)
        assert found(w, row) == inside
        assert [column[row].as_py() for column in columns] == by_definition([int(r.values[0].data[e]) for e in inside])


def by_definition(values: list[int]) -> list[Any]:
    some = [sum(values), min(values), max(values), values[0], values[-1]] if values else []
    return [len(values), *(map(float, some) if some else [None] * 5), len(set(values))]


def test_in_delivery_order_nobody_is_late_bound() -> None:
    w = find(rows([0, 5, 5, 9]), None, 0, True)
    assert not w.late.any()
    assert len(w.starts) == 0
    assert (w.high - w.low).tolist() == [1, 2, 3, 4]


def test_no_rows_at_all() -> None:
    empty = np.zeros(0, np.int64)
    w = find_windows(order_deliveries(empty, empty, empty, np.zeros(0, np.bool_)), HOUR, 0, True)
    assert len(w.low) == 0
