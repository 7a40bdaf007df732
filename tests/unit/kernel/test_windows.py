"""A window is a stretch of rows and its exceptions: together, exactly the rows of its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.features.kernel import GroupRows, compute_group
from ofs_spark.features.kernel.windows import MOST_EXCEPTIONS, Windows, find_windows
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


def found(w: Windows, row: int) -> list[int]:
    inside = range(int(w.low[row]), int(w.high[row]))
    if w.dirty[row]:
        return [e for e in inside if (w.include if e == row else w.rank[e] < w.rank[row])]
    out = set(w.except_rows[w.except_at[row] : w.except_at[row + 1]].tolist())
    assert out <= set(inside)
    return [e for e in inside if e not in out]


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
    w = find_windows(r.key, r.ts, r.rank, r.anchor, length, delay, include)
    for row in range(len(r.ts)):
        assert found(w, row) == members(r, row, length, delay, include)


def behind(late_rows: int) -> GroupRows:
    """Early anchors that do not know the rows between them: `late_rows` of the hour arrive after all others."""
    n = late_rows + 4
    rank = [0, *range(4, late_rows + 4), 1, 2, 3]  # first row, the late ones, then three anchors that precede them
    return rows(list(range(0, 10 * n, 10)), data=[7 * i % 31 - 9 for i in range(n)], rank=rank)


@pytest.mark.parametrize("late_rows", [1, MOST_EXCEPTIONS - 1, MOST_EXCEPTIONS, MOST_EXCEPTIONS + 1, 300])
@pytest.mark.parametrize("include", [True, False])
def test_more_exceptions_than_are_listed(late_rows: int, include: bool) -> None:
    r = behind(late_rows)
    w = find_windows(r.key, r.ts, r.rank, r.anchor, HOUR, 0, include)
    assert bool(w.dirty.any()) is (late_rows > MOST_EXCEPTIONS)
    columns = compute_group(group("int", EVERY, include_anchor=include), r)
    for row in range(len(r.ts)):
        inside = members(r, row, HOUR, 0, include)
        assert found(w, row) == inside
        assert [column[row].as_py() for column in columns] == by_definition([int(r.values[0].data[e]) for e in inside])


def by_definition(values: list[int]) -> list[Any]:
    some = [sum(values), min(values), max(values), values[0], values[-1]] if values else []
    return [len(values), *(map(float, some) if some else [None] * 5), len(set(values))]


def test_in_delivery_order_nothing_is_an_exception() -> None:
    r = rows([0, 5, 5, 9])
    w = find_windows(r.key, r.ts, r.rank, r.anchor, None, 0, True)
    assert len(w.except_rows) == 0
    assert (w.high - w.low).tolist() == [1, 2, 3, 4]


def test_no_rows_at_all() -> None:
    empty = np.zeros(0, np.int64)
    w = find_windows(empty, empty, empty, np.zeros(0, np.bool_), HOUR, 0, True)
    assert len(w.low) == 0
