"""Causes of one key alone: an event more or fewer, a duplicate applied again, another order of additions.

Every change is found by an estimate that is never too narrow, and believed only if adding again, one by one, gives exactly
the anchor's sum. Where several changes do, the first is the cause and the others are its alternatives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.wording import write_count
from ofs_spark.parity.case import Bounds, compose_state, count_events, make_state, sort_applied
from ofs_spark.parity.causes import LISTED, Alternative, CauseKind, State, list_positions
from ofs_spark.parity.differences import is_same_state
from ofs_spark.parity.events import OnlineEvent, Ruling
from ofs_spark.parity.sums import add_up, find_slack, list_prefixes, sum_with_doubled, sum_without_runs
from ofs_spark.replay.online_law import Skip

STEP = 1_000
"""Float additions that one delivery looked at in Python is counted as."""
MOST_FOUND = 10_000
"""Changes of one key that are counted as alternatives."""


class Meter:
    """What is left of the float additions that an explanation may make, and which searches were left out."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.left = bounds.additions
        self.limits: dict[str, None] = {}

    def take(self, additions: int, what: str) -> bool:
        """Whether so many additions may be made; if not, `what` is told as left out."""
        if additions > self.left:
            self.limits[f"{what}: left out, it takes more float additions than the {self.bounds.additions} allowed"] = (
                None
            )
            return False
        self.left -= additions
        return True

    def leave_out(self, what: str) -> None:
        """Tells that something was not tried."""
        self.limits[what] = None


@dataclass(frozen=True)
class KeyCase:
    """One differing key. applied: what the law applies, in order; extras: what it would apply, were it not skipped or beyond.

    expected: the anchor's state, well formed; None where the anchor lacks the key.
    """

    key: str
    expected: State | None
    applied: Sequence[Ruling]
    extras: Sequence[Ruling]
    meter: Meter

    @property
    def missing(self) -> int:
        """How many events the anchor counts less than the law."""
        return len(self.applied) - count_events(self.expected)

    @property
    def amounts(self) -> Array:
        """The amounts in order of application."""
        return np.array([one.amount for one in self.applied], np.float64)


@dataclass(frozen=True)
class Finding:
    """A change of one key's events whose re-computed state is the anchor's. lost: of a swap, what is not applied instead."""

    kind: CauseKind
    positions: tuple[OnlineEvent, ...]
    detail: str
    state: State | None
    lost: tuple[OnlineEvent, ...] = ()


@dataclass(frozen=True)
class KeyFindings:
    """The first finding of a key, others that give the same state, and how many these are."""

    first: Finding
    others: tuple[Alternative, ...] = ()
    other_count: int = 0


def explain_key(case: KeyCase) -> KeyFindings | None:
    """The simplest change of the key's events that gives the anchor's state; None if none that is tried does."""
    if case.missing > 0:
        return keep_first(_find_missing(case))
    for search in (_find_extra, _find_applied_again) if case.missing else (_find_conflict, _find_swap):
        found = keep_first(search(case))
        if found:
            return found
    return None


def keep_first(findings: Iterator[Finding]) -> KeyFindings | None:
    """The first finding, and the others as its alternatives."""
    found = list(islice(findings, MOST_FOUND + 1))
    if not found:
        return None
    others = tuple(Alternative(one.kind, (*one.positions, *one.lost)) for one in found[1 : LISTED + 1])
    return KeyFindings(found[0], others, len(found) - 1)


def _find_missing(case: KeyCase) -> Iterator[Finding]:
    """One event not applied, or several in a row."""
    length, applied = case.missing, case.applied
    if length == len(applied):
        text = f"no delivery of the key is applied: {list_positions(one.event for one in applied)}"
        yield Finding(CauseKind.EVENT_MISSING, tuple(one.event for one in applied), text, None)
        return
    amounts, prefixes = case.amounts, list_prefixes(case.amounts)
    estimates = prefixes[-1] - (prefixes[length:] - prefixes[:-length])
    starts = _find_near(case, estimates, find_slack(amounts))
    if not case.meter.take(len(starts) * len(amounts), f"{case.key}: deliveries not applied"):
        return
    lasts = _find_last_outside([one.event.ts_text for one in applied], length)
    sums = sum_without_runs(amounts, starts, length)
    for start, total in zip(starts.tolist(), sums.tolist(), strict=True):
        state = make_state(len(applied) - length, total, lasts[start])
        if is_same_state(case.expected, state):
            events = tuple(one.event for one in applied[start : start + length])
            text = f"not applied, though the law applies {'it' if length == 1 else 'them'}: {list_positions(events)}"
            yield Finding(CauseKind.EVENT_MISSING, events, text, state)


def _find_near(case: KeyCase, estimates: Array, slack: float) -> Array:
    """Where an estimate may be the anchor's sum. Estimates that are no numbers are kept."""
    with np.errstate(invalid="ignore"):
        return np.flatnonzero(~(np.abs(estimates - _wanted_sum(case)) > slack))


def _wanted_sum(case: KeyCase) -> float:
    return float((case.expected or {}).get("amount_sum", 0.0))


def _find_last_outside(texts: Sequence[str], length: int) -> list[str]:
    """For each run of this length: the greatest text outside it, "" for none."""
    before = ["", *accumulate(texts, max)]
    after = [*accumulate(reversed(texts), max, initial="")]
    count = len(texts)
    return [max(before[start], after[count - start - length]) for start in range(count - length + 1)]


def _find_extra(case: KeyCase) -> Iterator[Finding]:
    """One delivery applied that the law does not apply, or several in a row that it skips for one reason."""
    length, total = -case.missing, add_up(case.amounts)
    late: list[tuple[list[Ruling], str]] = []
    for reason, pool in _pool_extras(case).items():
        gains = list_prefixes(np.array([one.amount for one in pool], np.float64))
        slack = find_slack(np.concatenate([case.amounts, np.diff(gains)]))
        estimates = total + gains[length:] - gains[: max(len(gains) - length, 0)]
        for start in _find_near(case, estimates, slack).tolist():
            if not case.meter.take(STEP * len(case.applied), f"{case.key}: deliveries applied besides"):
                return
            run = pool[start : start + length]
            in_place = compose_state(sort_applied([*case.applied, *run]))
            if is_same_state(case.expected, in_place):
                yield _tell_extra(run, reason, in_place)
            else:
                late.append((run, reason))
    for run, reason in late:
        at_end = compose_state([*case.applied, *run])
        if is_same_state(case.expected, at_end):
            found = _tell_extra(run, reason, at_end)
            yield replace(found, detail=f"{found.detail}, after all others")


def _tell_extra(run: Sequence[Ruling], reason: str, state: State | None) -> Finding:
    events = tuple(one.event for one in run)
    if reason == Skip.DUPLICATE.value:
        firsts = tuple(one.instead for one in run if one.instead is not None)
        text = f"applied again: {list_positions(events)}, after {list_positions(firsts)}"
        return Finding(CauseKind.DUPLICATE_APPLIED, (*events, *firsts), text, state)
    text = f"applied, though the law does not ({reason}): {list_positions(events)}"
    return Finding(CauseKind.EVENT_EXTRA, events, text, state)


def _pool_extras(case: KeyCase) -> dict[str, list[Ruling]]:
    """Extras by why they are not applied, redeliveries first, each pool in order of application and cut at the bound."""
    pools: dict[str, list[Ruling]] = defaultdict(list)
    for one in case.extras:
        pools[name_reason(one)].append(one)
    most = case.meter.bounds.extras
    if any(len(pool) > most for pool in pools.values()):
        case.meter.leave_out(
            f"{case.key}: more than {write_count(most, 'delivery', 'deliveries')} that the law does not apply; the first are tried"
        )
    return {reason: sort_applied(pools[reason])[:most] for reason in sorted(pools, key=_reason_turn)}


def name_reason(ruling: Ruling) -> str:
    """Why the law does not apply a delivery, in the words of its skips; `beyond_basis` for what lies beyond."""
    return ruling.skip.value if ruling.skip else "beyond_basis"


def _reason_turn(reason: str) -> tuple[bool, str]:
    return reason != Skip.DUPLICATE.value, reason


def _find_applied_again(case: KeyCase) -> Iterator[Finding]:
    """An event applied twice without a second record: at once, or after all others."""
    if case.missing != -1 or not case.applied:
        return
    amounts = case.amounts
    total = add_up(amounts)
    near = _find_near(case, total + amounts, find_slack(np.append(amounts, amounts)))
    if not case.meter.take(len(near) * len(amounts), f"{case.key}: deliveries applied twice"):
        return
    last = max(one.event.ts_text for one in case.applied)
    at_once = sum_with_doubled(amounts, near)
    for index, sums in zip(
        near.tolist(), zip(at_once.tolist(), (total + amounts[near]).tolist(), strict=True), strict=True
    ):
        for amount_sum in sums:
            state = make_state(len(amounts) + 1, amount_sum, last)
            if is_same_state(case.expected, state):
                event = case.applied[index].event
                text = f"applied twice, though it was delivered once: {list_positions([event])}"
                yield Finding(CauseKind.DUPLICATE_APPLIED, (event,), text, state)
                break


def _find_conflict(case: KeyCase) -> Iterator[Finding]:
    """Another payload of an event applied instead of the one delivered first, in its place or in the other's."""
    places = {(one.event.place, one.event.order): index for index, one in enumerate(case.applied)}
    for extra in case.extras:
        first = extra.instead
        index = None if first is None else places.get((first.place, first.order))
        if extra.skip is not Skip.PAYLOAD_MISMATCH or index is None:
            continue
        if not case.meter.take(STEP * len(case.applied), f"{case.key}: another payload of an event"):
            return
        before, after = case.applied[:index], case.applied[index + 1 :]
        for rulings in (sort_applied([*before, *after, extra]), [*before, extra, *after]):
            state = compose_state(rulings)
            if is_same_state(case.expected, state):
                yield _tell_swap(case.applied[index], extra, state)
                break


def _find_swap(case: KeyCase) -> Iterator[Finding]:
    """One event not applied, and one applied that the law does not apply."""
    for extra in [one for pool in _pool_extras(case).values() for one in pool]:
        rulings = sort_applied([*case.applied, extra])
        amounts = np.array([one.amount for one in rulings], np.float64)
        near = _find_near(case, add_up(amounts) - amounts, find_slack(amounts))
        near = np.array([index for index in near.tolist() if rulings[index] is not extra], int)
        if not case.meter.take(
            (len(near) + STEP) * len(amounts), f"{case.key}: one delivery applied instead of another"
        ):
            return
        lasts = _find_last_outside([one.event.ts_text for one in rulings], 1)
        for index, total in zip(near.tolist(), sum_without_runs(amounts, near, 1).tolist(), strict=True):
            state = make_state(len(case.applied), total, lasts[index])
            if is_same_state(case.expected, state):
                yield _tell_swap(rulings[index], extra, state)


def _tell_swap(lost: Ruling, gained: Ruling, state: State | None) -> Finding:
    text = f"{list_positions([gained.event])} applied, though the law does not ({name_reason(gained)}), "
    text += f"and {list_positions([lost.event])} not applied, though the law does"
    return Finding(CauseKind.EVENT_EXTRA, (gained.event,), text, state, (lost.event,))
