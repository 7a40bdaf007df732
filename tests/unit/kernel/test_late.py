"""Every aggregate equals its definition, whatever the order of delivery, read off the rows or taken in delivery order."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.features.kernel import GroupRows, compute_group
from ofs_spark.features.kernel.pairs import FEW, SHORT, count_pairs
from ofs_spark.features.kernel.windows import find_windows, order_deliveries
from tests.unit.kernel.deliveries import DAY, HOUR, stamps
from tests.unit.kernel.rows import group, members, rows

VALUED = ("sum", "min", "max", "first", "last")
FEATURES = [
    {"name": "count", "aggregate": "count"},
    *[{"name": a, "aggregate": a, "value": "v", "output": "exact"} for a in VALUED],
    *[{"name": a, "aggregate": a, "value": "v"} for a in ("mean", "count_distinct")],
    *[{"name": a, "aggregate": a} for a in ("time_since_first", "time_since_previous")],
]
SPREAD = [{"name": a, "aggregate": a, "value": "v"} for a in ("stddev_pop", "stddev_samp")]
SMALL = st.integers(-4, 4)
GREAT = st.one_of(SMALL, st.sampled_from([10**15 - 1, -(10**15) + 1, 10**14]))
WIDE = st.one_of(SMALL, st.integers(-(10**36), 10**36))


@st.composite
def delivered(draw: st.DrawFn, values: st.SearchStrategy[int], wide: bool = False) -> GroupRows:
    """Rows of one or two keys in total order, ranked by (arrival, place) as deliveries are."""
    pairs = draw(stamps())
    codes = [draw(st.integers(0, 1)) for _ in pairs] if draw(st.booleans()) else [0] * len(pairs)
    codes = [code - min(codes) for code in codes]
    order = sorted(range(len(pairs)), key=lambda i: (codes[i], pairs[i][0], i))
    arrived = sorted(order, key=lambda i: (codes[i], pairs[i][1], i))
    return rows(
        [pairs[i][0] for i in order],
        [draw(values) for _ in order],
        [arrived.index(i) for i in order],
        [codes[i] for i in order],
        2,
        wide,
    )


def as_integers(r: GroupRows) -> list[int]:
    data = r.values[0].data
    return [int.from_bytes(one.tobytes(), "little", signed=True) for one in data]


def by_definition(r: GroupRows, row: int, include: bool) -> list[Any]:
    data = as_integers(r)
    inside = members(r, row, DAY, 0, include)
    held = [data[e] for e in inside]
    others = [e for e in inside if e != row]
    since = [(int(r.ts[row]) - int(r.ts[e])) / 10**6 for e in (*inside[:1], *others[-1:])]
    exact = [sum(held), min(held), max(held), held[0], held[-1]] if held else [None] * 5
    return [
        len(held),
        *(None if one is None else Decimal(f"{one}e-2") for one in exact),
        sum(held) / (100 * len(held)) if held else None,
        len(set(held)),
        since[0] if inside else None,
        since[-1] if others else None,
    ]


def agree(r: GroupRows, type_: str, include: bool) -> None:
    compiled = group(type_, FEATURES, include_anchor=include, windows=[DAY_WINDOW])
    for late_only in (False, True):
        columns = compute_group(compiled, r, late_only)
        for row in range(len(r.ts)):
            assert [column[row].as_py() for column in columns] == by_definition(r, row, include)


DAY_WINDOW = {"window": "24h", "duration": "24h", "ttl": "24h"}


@given(delivered(SMALL), st.booleans())
def test_words_in_any_order_of_delivery(r: GroupRows, include: bool) -> None:
    agree(r, "decimal(12,2)", include)


@given(delivered(WIDE, wide=True), st.booleans())
def test_wide_decimals_in_any_order_of_delivery(r: GroupRows, include: bool) -> None:
    agree(r, "decimal(38,2)", include)


@given(delivered(GREAT), st.booleans())
def test_spread_of_great_amounts_in_any_order_of_delivery(r: GroupRows, late_only: bool) -> None:
    """One amount of 15 digits takes its squares beyond one word: the nearest double of the exact root stays."""
    pop, samp = compute_group(group("decimal(15,2)", SPREAD, windows=[DAY_WINDOW]), r, late_only)
    data = as_integers(r)
    for row in range(len(r.ts)):
        held = [data[e] for e in members(r, row, DAY, 0, True)]
        scatter, n = len(held) * sum(v * v for v in held) - sum(held) ** 2, len(held)
        assert pop[row].as_py() == nearest_root(scatter, n * n * 10**4)
        assert samp[row].as_py() == (nearest_root(scatter, n * (n - 1) * 10**4) if n > 1 else None)


def nearest_root(numerator: int, denominator: int) -> float:
    """√(numerator ÷ denominator) by 60 digits more than a double holds."""
    return math.isqrt((numerator << 400) // denominator) / (1 << 200)


@given(delivered(SMALL), st.booleans(), st.sampled_from([HOUR, DAY, None]))
@pytest.mark.parametrize(("few", "short"), [(0, SHORT), (1, 0), (3, SHORT), (FEW, 0), (FEW, SHORT)])
def test_pairs_of_equal_neighbours(few: int, short: int, r: GroupRows, include: bool, length: int | None) -> None:
    """Halved down to single slots or compared one by one: as many rows are different as they are less their pairs."""
    deliveries = order_deliveries(r.key, r.ts, r.rank, r.anchor)
    w = find_windows(deliveries, length, 0, include, late_only=True)
    codes = r.values[0].data + 4
    codes[codes == 8] = -1
    pairs = count_pairs(w, codes, 8, few, short)
    for row in range(len(r.ts)):
        held = [int(codes[e]) for e in members(r, row, length, 0, include) if codes[e] >= 0]
        assert pairs[row] == len(held) - len(set(held))


@pytest.mark.parametrize("include", [True, False])
def test_a_long_key_in_any_order(include: bool) -> None:
    """Enough rows that every tree has many levels and time is halved many times."""
    draw = np.random.default_rng(11)
    n = 600
    shuffled = rows(
        (np.arange(n) * (DAY // 300)).tolist(),
        draw.integers(-40, 40, n).tolist(),
        draw.permutation(n).tolist(),
        scale=2,
    )
    agree(shuffled, "decimal(12,2)", include)
