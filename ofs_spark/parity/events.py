"""Deliveries as the online plane met them, and what its law makes of each: applied to which key, or why not.

The law itself is `replay/online_law.py`. Here it is asked for a list of deliveries, for given ends of the partitions: what
lies beyond an end is not in the basis. Of the copies of one event the first applied delivery wins: within a partition the
one with the smaller offset; across partitions the one that arrived first where every copy within the basis has an arrival,
else the first by (topic, partition, offset).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from ofs_spark.foundation.canonical import CanonicalError
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.online_law import Skip, find_amount, find_class, find_key, find_skip, hash_online_payload

Place: TypeAlias = tuple[str, int]
"""A partition: topic and number."""
Ends: TypeAlias = Mapping[Place, int]
"""Of each partition the greatest `OnlineEvent.order` inside the basis. A partition without an end has nothing in it."""
NOT_HASHED = "not hashed"
"""The print of a payload that has no canonical text; such copies count as equal."""


@dataclass(frozen=True)
class OnlineEvent:
    """One delivery. order: the offset as a number, which is compared and never added to; offset: its text.

    arrival: running arrival time of its partition in µs UTC, None where the archive has none. ts_text: `ts_utc` as archived.
    envelope: as `json.loads` reads it; None for one that the online plane cannot read.
    """

    topic: str
    partition: int
    offset_kind: str
    offset: str
    order: int
    arrival: int | None
    event_id: str
    event_type: str
    ts_text: str
    envelope: Mapping[str, Any] | None

    @property
    def place(self) -> Place:
        """The partition."""
        return self.topic, self.partition

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload; empty where there is none to read."""
        found = (self.envelope or {}).get("payload")
        return found if isinstance(found, Mapping) else {}

    def to_position(self) -> dict[str, Any]:
        """The position as documents hold it."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset_kind": self.offset_kind,
            "offset": self.offset,
        }


@dataclass(frozen=True)
class Judged:
    """A delivery and what the law says of it whatever came before it. event_class: "" where a skip made it pointless."""

    event: OnlineEvent
    skip: Skip | None
    event_class: str

    @property
    def identity(self) -> tuple[str, str]:
        """By what copies of one event are told: class and event id (the platform run is one)."""
        return self.event_class, self.event.event_id

    @cached_property
    def payload_print(self) -> str:
        """The online payload hash."""
        version = (self.event.envelope or {}).get("schema_version")
        try:
            return hash_online_payload(self.event.event_type, version, self.event.payload)
        except CanonicalError:
            return NOT_HASHED


@dataclass(frozen=True)
class Ruling:
    """What the law makes of one delivery within a basis.

    skip: why it is not applied, though it lay inside. beyond: it lies outside. instead: the delivery that was applied in
    its place, for a duplicate or a payload mismatch. key, amount: what it would have been applied with; key is "" where the
    envelope cannot be read.
    """

    event: OnlineEvent
    skip: Skip | None
    beyond: bool
    key: str
    amount: float
    instead: OnlineEvent | None = None

    @property
    def applied(self) -> bool:
        """Whether the online plane applied it."""
        return self.skip is None and not self.beyond


@dataclass(frozen=True)
class Choice:
    """Of one delivery: why it is skipped, whether it lies beyond the basis, and the index of the one applied instead."""

    skip: Skip | None
    beyond: bool
    instead: int | None = None


def apply_law(events: Sequence[OnlineEvent], rules: OnlineCoreRules, platform_run_id: str, ends: Ends) -> list[Ruling]:
    """What the online plane makes of each delivery, in the order given. Deliveries are complete where copies matter.

    Of two records at one position the one given first is the delivery.
    """
    judged = judge_events(events, platform_run_id)
    return rule_events(judged, choose_applied(judged, ends), rules)


def judge_events(events: Iterable[OnlineEvent], platform_run_id: str) -> list[Judged]:
    """Each delivery with the skip that holds whatever came before it."""
    return [_judge(event, platform_run_id) for event in events]


def _judge(event: OnlineEvent, platform_run_id: str) -> Judged:
    if event.envelope is None or not isinstance(event.envelope.get("payload"), Mapping):
        return Judged(event, Skip.UNREADABLE, "")
    skip = find_skip(event.envelope, event.event_type, event.topic, platform_run_id)
    return Judged(event, skip, "" if skip else find_class(event.envelope, event.event_type, event.topic))


def choose_applied(judged: Sequence[Judged], ends: Ends) -> list[Choice]:
    """Which deliveries the law applies within the ends; it does not depend on keys or amounts."""
    beyond = [one.event.order > ends.get(one.event.place, -1) for one in judged]
    copies: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, one in enumerate(judged):
        if one.skip is None:
            copies[one.identity].append(index)
    winner: dict[int, int] = {}
    for same in copies.values():
        inside = [index for index in same if not beyond[index]]
        if inside:
            winner |= dict.fromkeys(same, _find_first(judged, inside))
    _keep_one_per_position(judged, winner)
    return [_choose(judged, index, beyond[index], winner.get(index)) for index in range(len(judged))]


def _find_first(judged: Sequence[Judged], indices: Sequence[int]) -> int:
    order = find_delivery_order([judged[index].event for index in indices]) if len(indices) > 1 else None
    return indices[0] if order is None else min(indices, key=lambda index: (order(judged[index].event), index))


def _keep_one_per_position(judged: Sequence[Judged], winner: dict[int, int]) -> None:
    """Of two events applied at one position the one given first stays."""
    taken: dict[tuple[Place, int], int] = {}
    for index in sorted(set(winner.values())):
        event = judged[index].event
        first = taken.setdefault((event.place, event.order), index)
        if first != index:
            winner[index] = first


def _choose(judged: Sequence[Judged], index: int, beyond: bool, winner: int | None) -> Choice:
    one = judged[index]
    if one.skip is not None or winner is None or winner == index:
        return Choice(one.skip, beyond)
    same = one.payload_print == judged[winner].payload_print
    return Choice(Skip.DUPLICATE if same else Skip.PAYLOAD_MISMATCH, beyond, winner)


def rule_events(judged: Sequence[Judged], choices: Sequence[Choice], rules: OnlineCoreRules) -> list[Ruling]:
    """The choices with the keys and amounts that the rules give."""
    return [_rule(one, choice, rules, judged) for one, choice in zip(judged, choices, strict=True)]


def _rule(one: Judged, choice: Choice, rules: OnlineCoreRules, judged: Sequence[Judged]) -> Ruling:
    readable = one.skip is not Skip.UNREADABLE
    payload = one.event.payload
    key = ":".join(find_key(payload, one.event.event_id, rules.key_precedence)) if readable else ""
    amount = find_amount(payload, rules.amount_fields) if readable else 0.0
    instead = None if choice.instead is None else judged[choice.instead].event
    return Ruling(one.event, choice.skip, choice.beyond, key, amount, instead)


def find_delivery_order(events: Iterable[OnlineEvent]) -> Callable[[OnlineEvent], tuple[float | int | str, ...]]:
    """A sort key of deliveries: by arrival, then position, where every one of these has an arrival; else by position."""
    if all(event.arrival is not None for event in events):
        return lambda event: (math.inf if event.arrival is None else event.arrival, *list_position(event))
    return list_position


def list_position(event: OnlineEvent) -> tuple[str, int, int]:
    """A sort key: topic, partition, offset."""
    return event.topic, event.partition, event.order
