"""ADDITION_ORDER: the same events, their amounts added in another order or by another arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.wording import write_count
from ofs_spark.parity.case import Case, make_state
from ofs_spark.parity.causes import Cause, CauseKind, Deliveries, Found, State, list_positions
from ofs_spark.parity.differences import compare_states, is_same
from ofs_spark.parity.events import Ruling, list_position
from ofs_spark.parity.explain_key import Finding, KeyCase, Meter
from ofs_spark.parity.sums import (
    add_up,
    find_slack,
    sum_compensated,
    sum_decimals,
    sum_exactly,
    sum_with_neighbours_swapped,
    sum_with_one_moved,
    sum_without_runs,
)

ARITHMETIC: Mapping[str, Callable[[Sequence[float]], float]] = {
    "exactly, rounded once (fsum)": sum_exactly,
    "with compensation (Neumaier)": sum_compensated,
    "as decimals, rounded once": sum_decimals,
}
MATRIX = 4_000_000
"""Sums that stand in memory at once while one event is moved."""


def is_same_but_sum(case: KeyCase) -> bool:
    """Whether the anchor's state can be that of the same events: count and last time equal, sums within rounding."""
    if case.expected is None or case.missing or not case.applied:
        return False
    last = max(one.event.ts_text for one in case.applied)
    same = is_same(case.expected["last_event_ts_utc"], last)
    amounts = case.amounts
    return same and not abs(case.expected["amount_sum"] - add_up(amounts)) > find_slack(amounts)


def list_orders(case: KeyCase) -> dict[str, Deliveries]:
    """The ways of adding, by name, that give the anchor's sum, each with its events in its order."""
    if not is_same_but_sum(case):
        return {}
    found: dict[str, Deliveries] = {}
    for name, rulings in _list_sequences(case.applied):
        if _is_wanted(case, add_up(np.array([one.amount for one in rulings], np.float64))):
            found[name] = Deliveries(tuple(one.event for one in rulings))
    plain = case.amounts.tolist()
    found |= {
        name: Deliveries(tuple(one.event for one in case.applied))
        for name, add in ARITHMETIC.items()
        if _is_wanted(case, add(plain))
    }
    return found


def _is_wanted(case: KeyCase, total: float) -> bool:
    return case.expected is not None and is_same(case.expected["amount_sum"], total)


def _list_sequences(applied: Sequence[Ruling]) -> Iterator[tuple[str, list[Ruling]]]:
    by_position = sorted(applied, key=lambda one: list_position(one.event))
    by_time = sorted(by_position, key=lambda one: one.event.ts_text)
    yield "in reverse", list(reversed(applied))
    yield "by event time", by_time
    yield "by event time, the newest first", by_time[::-1]
    if all(one.event.arrival is not None for one in applied):
        yield "by arrival", sorted(by_position, key=lambda one: one.event.arrival or 0)
    yield "partition by partition", by_position
    yield "partition by partition, the last first", by_position[::-1]
    yield "the smallest amount first", sorted(by_position, key=lambda one: one.amount)
    yield "the greatest amount first", sorted(by_position, key=lambda one: -one.amount)


def find_moved(case: KeyCase) -> Iterator[Finding]:
    """The same order but for one event: of few events every place is tried, of many its neighbours' and the last."""
    amounts, count = case.amounts, len(case.applied)
    if not is_same_but_sum(case) or count < 2:
        return
    if count <= case.meter.bounds.moves:
        yield from _move_anywhere(case, amounts)
        return
    case.meter.leave_out(
        f"{case.key}: of {write_count(count, 'delivery', 'deliveries')} each is moved past one neighbour and to the end only"
    )
    if not case.meter.take(count * count, f"{case.key}: one delivery moved"):
        return
    for index in np.flatnonzero(sum_with_neighbours_swapped(amounts) == _wanted(case)).tolist():
        yield _tell_moved(case, case.applied[index], f"after {list_positions([case.applied[index + 1].event])}")
    at_end = sum_without_runs(amounts, np.arange(count), 1) + amounts
    for index in np.flatnonzero(at_end == _wanted(case)).tolist():
        yield _tell_moved(case, case.applied[index], "after all others")


def _wanted(case: KeyCase) -> float:
    return float((case.expected or {}).get("amount_sum", 0.0))


def _move_anywhere(case: KeyCase, amounts: Array) -> Iterator[Finding]:
    count = len(amounts)
    if not case.meter.take(count**3 // 2, f"{case.key}: one delivery moved"):
        return
    rows = max(1, MATRIX // count)
    for start in range(0, count, rows):
        sums = sum_with_one_moved(amounts, start, min(start + rows, count))
        for row, place in zip(*(found.tolist() for found in np.nonzero(sums == _wanted(case))), strict=True):
            moved = case.applied[start + row]
            others = [*case.applied[: start + row], *case.applied[start + row + 1 :]]
            where = f"after {list_positions([others[place - 1].event])}" if place else "before all others"
            yield _tell_moved(case, moved, where)


def _tell_moved(case: KeyCase, moved: Ruling, where: str) -> Finding:
    last = max(one.event.ts_text for one in case.applied)
    state = make_state(len(case.applied), _wanted(case), last)
    text = f"the amounts are added in the law's order, but {list_positions([moved.event])} is added {where}"
    return Finding(CauseKind.ADDITION_ORDER, (moved.event,), text, state)


def explain_by_one_order(case: Case, absent: Sequence[str], meter: Meter) -> Found | None:
    """One way of adding that explains every differing key, where nothing but sums differs. absent: keys not given.

    None where more keys are given than are looked at one by one.
    Other ends may give the same bits: they apply another copy of an event, elsewhere among the others. That is a coincidence,
    while another way of adding never changes more than sums.
    """
    keys = (*case.keys, *absent)
    if len(case.keys) > meter.bounds.keys or not all(
        _differs_in_sum(case.expected.get(key), case.rebuilt.get(key)) for key in keys
    ):
        return None
    keyed = [KeyCase(key, case.expected.get(key), case.applied.get(key, []), (), meter) for key in case.keys]
    causes, patch = explain_by_order(case, keyed, absent, meter)
    return (causes[0], patch) if len(causes) == 1 and len(patch) == len(keys) else None


def explain_by_order(
    case: Case, keyed: Sequence[KeyCase], absent: Sequence[str], meter: Meter
) -> tuple[list[Cause], dict[str, State | None]]:
    """As few ways of adding as explain the keys that differ in nothing but how they are added up.

    A way that explains a key which is given is tried with every key that is not, over the whole basis.
    """
    ways = {one.key: found for one in keyed if (found := list_orders(one))}
    if ways and case.basis is not None:
        ways |= _list_other_orders(case, absent, set(chain.from_iterable(ways.values())), meter)
    causes: list[Cause] = []
    patch: dict[str, State | None] = {}
    while ways:
        votes = Counter(chain.from_iterable(ways.values()))
        name, _ = max(votes.items(), key=lambda vote: vote[1])
        keys = tuple(sorted(key for key, found in ways.items() if name in found))
        events = tuple(chain.from_iterable(ways[key][name].events for key in keys))
        more = sum(ways[key][name].more for key in keys)
        text = f"the amounts are added {name}"
        causes.append(Cause(CauseKind.ADDITION_ORDER, keys, "amount_sum", events, text, True, more=more))
        patch |= {key: case.expected[key] for key in keys}
        ways = {key: found for key, found in ways.items() if key not in patch}
    return causes, patch


def _list_other_orders(
    case: Case, absent: Sequence[str], names: Collection[str], meter: Meter
) -> dict[str, dict[str, Deliveries]]:
    """Of keys that are not given: the ways among `names` that give the anchor's sum. Their events are counted, not held."""
    alike = [key for key in absent if _differs_in_sum(case.expected.get(key), case.rebuilt.get(key))]
    found: dict[str, dict[str, Deliveries]] = {}
    for one in () if case.basis is None else case.basis.read_keys(alike):
        ways = list_orders(KeyCase(one.key, case.expected.get(one.key), one.applied, (), meter))
        own = {name: Deliveries((), some.count) for name, some in ways.items() if name in names}
        if own:
            found[one.key] = own
    return found


def _differs_in_sum(expected: Any, rebuilt: Any) -> bool:
    names = [one.field for one in compare_states("", expected, rebuilt)]
    return names == ["amount_sum"]
