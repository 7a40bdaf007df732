"""A case: one anchor's differing keys, the deliveries that may have touched them, and what the law makes of these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ofs_spark.parity.causes import Changes, Deliveries, State
from ofs_spark.parity.differences import FIELDS, Features, compare_states, find_differences, is_same_state
from ofs_spark.parity.events import (
    Ends,
    Judged,
    OnlineEvent,
    Place,
    Ruling,
    choose_applied,
    find_delivery_order,
    judge_events,
    rule_events,
)
from ofs_spark.parity.ports import WholeBasis
from ofs_spark.parity.sums import add_up
from ofs_spark.pins.profile.model import OnlineCoreRules


@dataclass(frozen=True)
class Bounds:
    """How far an explanation searches. What a bound leaves out is said in `Explanation.limits`.

    keys: differing keys whose deliveries are searched one by one. window: deliveries of a partition on either side of its
    end that WINDOW_END moves over. extras: deliveries of a key that the law does not apply. moves: deliveries of a key up
    to which every place is tried for every delivery. additions: float additions in all.
    """

    keys: int = 1_000
    window: int = 1_000
    extras: int = 1_000
    moves: int = 600
    additions: int = 30_000_000_000


@dataclass(frozen=True)
class Case:
    """What is to be explained.

    expected, rebuilt: `features` of the anchor and of the rebuilt snapshot, whole. differing: every differing key, sorted.
    keys: those that are looked at, sorted. given: the keys of which `events` has every record; None for all. whole: of each
    partition the stretch of orders (first, last, both inside) of which `events` has every record; a partition that is not
    named has none. basis: where `events` are those of some keys alone, what computes with all records.
    """

    expected: Features
    rebuilt: Features
    differing: tuple[str, ...]
    keys: tuple[str, ...]
    given: Collection[str] | None
    events: Sequence[OnlineEvent]
    rules: OnlineCoreRules
    platform_run_id: str
    ends: Ends
    whole: Mapping[Place, tuple[int, int]]
    bounds: Bounds
    basis: WholeBasis | None = None

    @cached_property
    def judged(self) -> list[Judged]:
        """The deliveries with the skips that hold whatever came before."""
        return judge_events(self.events, self.platform_run_id)

    @cached_property
    def rulings(self) -> list[Ruling]:
        """What the law makes of each delivery."""
        return self.rule(self.ends, self.rules)

    @cached_property
    def applied(self) -> dict[str, list[Ruling]]:
        """Applied deliveries by key, in order of application."""
        return gather_applied(self.rulings)

    @cached_property
    def looked_at(self) -> frozenset[str]:
        """The differing keys that are looked at."""
        return frozenset(self.keys)

    @cached_property
    def agreeing(self) -> tuple[str, ...]:
        """Keys on which both sides agree, and of which every record is given."""
        differing = frozenset(self.differing)
        return tuple(key for key in self.applied if key not in differing and self.is_given(key))

    def is_given(self, key: str) -> bool:
        """Whether every record of a key is given."""
        return self.given is None or key in self.given

    def rule(self, ends: Ends, rules: OnlineCoreRules) -> list[Ruling]:
        """What the law would make of the deliveries with these ends and rules."""
        return rule_events(self.judged, choose_applied(self.judged, ends), rules)

    def prove(self, ends: Ends, rules: OnlineCoreRules) -> Proof | None:
        """What these ends and rules come to; None unless they give exactly the anchor's state of every key.

        The keys that are looked at are tried first: the whole basis is computed with for ends and rules that fit them.
        """
        after = self.rule(ends, rules)
        if not self._fits(gather_applied(after)):
            return None
        patch = {key: self.expected.get(key) for key in self.differing}
        if self.basis is None:
            return Proof(patch, find_changes(self.rulings, after))
        whole = self.basis.compute(rules, ends)
        if whole is None or find_differences(self.expected, whole.states, 0).keys:
            return None
        return Proof(patch, whole.find_changes())

    def _fits(self, applied: Mapping[str, Sequence[Ruling]]) -> bool:
        """Whether applied deliveries make the anchor's state of the keys that are looked at, and leave alone the others.

        A key that does not differ must stay as it is: the deliveries given of it make the same state as under the law.
        """
        states = ((self.expected.get(key), compose_state(applied.get(key, []))) for key in self.keys)
        if not all(is_same_state(expected, state) for expected, state in states):
            return False
        others = ({*applied, *self.applied} - {*self.differing}) if self.given is None else self.agreeing
        return all(_is_unmoved(self.applied.get(key, []), applied.get(key, [])) for key in others)


@dataclass(frozen=True)
class Proof:
    """Ends and rules that give the anchor's states. patch: of every differing key."""

    patch: dict[str, State | None]
    changes: Changes


def find_changes(before: Sequence[Ruling], after: Sequence[Ruling]) -> Changes:
    """The changes from one ruling of each delivery to another one."""
    pairs = list(zip(before, after, strict=True))
    moved = [
        (old.event, (old.key, old.amount) != (new.key, new.amount)) for old, new in pairs if old.applied and new.applied
    ]
    return Changes(
        Deliveries(tuple(new.event for old, new in pairs if new.applied and not old.applied)),
        Deliveries(tuple(old.event for old, new in pairs if old.applied and not new.applied)),
        Deliveries(tuple(event for event, differs in moved if differs)),
    )


def _is_unmoved(before: Sequence[Ruling], after: Sequence[Ruling]) -> bool:
    return len(before) == len(after) and is_same_state(compose_state(before), compose_state(after))


def gather_applied(rulings: Iterable[Ruling]) -> dict[str, list[Ruling]]:
    """Applied deliveries by key, in order of application."""
    found: dict[str, list[Ruling]] = defaultdict(list)
    for ruling in rulings:
        if ruling.applied:
            found[ruling.key].append(ruling)
    return {key: sort_applied(same) for key, same in found.items()}


def sort_applied(rulings: Sequence[Ruling]) -> list[Ruling]:
    """Deliveries of one key in order of application: by arrival where all have one, else by position."""
    order = find_delivery_order([one.event for one in rulings])
    return sorted(rulings, key=lambda one: order(one.event))


def compose_state(rulings: Sequence[Ruling]) -> State | None:
    """The state after these deliveries, applied in this order; None for none."""
    if not rulings:
        return None
    amounts = np.array([one.amount for one in rulings], np.float64)
    return make_state(len(rulings), add_up(amounts), max(one.event.ts_text for one in rulings))


def make_state(count: int, amount_sum: float, last: str) -> State:
    """A state as snapshots hold it."""
    return dict(zip(FIELDS, (count, float(amount_sum), last), strict=True))


def find_field(expected: Features, rebuilt: Features, keys: Iterable[str]) -> str | None:
    """The one field that differs in all of these keys; None where several do, or where a side lacks a key."""
    found = {one.field for key in keys for one in compare_states(key, expected.get(key), rebuilt.get(key))}
    return found.pop() if len(found) == 1 else None


def is_well_formed(state: Any) -> bool:
    """Whether a state could be one that the law's additions give; None, of a key that is not there, could."""
    if state is None:
        return True
    if not isinstance(state, Mapping) or set(state) != set(FIELDS):
        return False
    count, amount, last = (state[name] for name in FIELDS)
    return type(count) is int and count > 0 and type(amount) is float and isinstance(last, str)


def count_events(state: Any) -> int:
    """The event count of a well-formed state; 0 for a key that is not there."""
    return 0 if state is None else int(state["event_count"])
