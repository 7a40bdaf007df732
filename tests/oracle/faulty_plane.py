"""A small online plane in memory, one delivery at a time, with a switch for every fault that parity must explain."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.core import CLASS_BY_TEXT, CLASS_BY_TOPIC, PINS, SKIPPED_TYPES

Place = tuple[str, int]
Position = tuple[str, int, int]
Features = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Delivery:
    """One record of a partition; copy: 1 for a second record at the same position."""

    topic: str
    partition: int
    offset: int
    arrival: int
    event_id: str
    event_type: str
    ts: str
    envelope: dict[str, Any] | None
    copy: int = 0

    @property
    def position(self) -> Position:
        return self.topic, self.partition, self.offset

    @property
    def name(self) -> tuple[str, int, int, int]:
        return *self.position, self.copy


@dataclass
class Plane:
    """run: its platform run. ends: the last offset of each partition. The rest are faults, by delivery name.

    lost: not applied. forced: applied whatever the law says. twice: applied two times. order: how amounts are added.
    sequence: of a key, the deliveries in the order they are added in. tampered: amounts changed, by key.
    """

    run: str
    ends: Mapping[Place, int]
    key_fields: Sequence[str] = ("flow_id", "event_id")
    amount_fields: Sequence[str] = ("amount",)
    lost: frozenset[Any] = frozenset()
    forced: frozenset[Any] = frozenset()
    twice: frozenset[Any] = frozenset()
    order: str = "applied"
    sequence: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    tampered: Mapping[str, float] = field(default_factory=dict)
    outcomes: dict[Any, str] = field(default_factory=dict)
    seen: dict[Any, str] = field(default_factory=dict)
    keys: dict[Any, str] = field(default_factory=dict)
    log: dict[str, list[tuple[Delivery, float]]] = field(default_factory=lambda: defaultdict(list))

    def run_over(self, deliveries: Sequence[Delivery]) -> Features:
        for one in sorted(deliveries, key=lambda d: (d.arrival, d.topic, d.partition, d.offset, d.copy)):
            self.take(one)
        return {key: self.state(key, log) for key, log in self.log.items()}

    def take(self, one: Delivery) -> None:
        outcome = self.judge(one)
        self.outcomes[one.name] = outcome
        if one.envelope is not None:
            self.keys[one.name] = self.key(one)
        if one.name in self.forced or (outcome == "applied" and one.name not in self.lost):
            for _ in range(2 if one.name in self.twice else 1):
                self.log[self.key(one)].append((one, self.amount(one)))

    def judge(self, one: Delivery) -> str:
        envelope = one.envelope
        if envelope is None:
            return "unreadable"
        if any(envelope.get(pin) in (None, "") for pin in PINS):
            return "missing_pin"
        if envelope["platform_run_id"] != self.run:
            return "other_run"
        if one.event_type in SKIPPED_TYPES:
            return "skipped_type"
        by_text = (name for words, name in CLASS_BY_TEXT if all(word in one.event_type for word in words))
        kind = envelope.get("event_class") or CLASS_BY_TOPIC.get(one.topic) or next(by_text, None)
        if kind not in CLASS_BY_TOPIC.values():
            return "unknown_class"
        if one.offset > self.ends.get((one.topic, one.partition), -1):
            return "beyond"
        content = json.dumps([one.event_type, envelope.get("schema_version"), envelope["payload"]], sort_keys=True)
        first = next((self.seen[m] for m in (one.position, (kind, one.event_id)) if m in self.seen), None)
        if one.name in self.lost and first is None:
            return "applied"  # never seen by a plane that lost it
        if first is not None:
            return "duplicate" if first == content else "conflict"
        self.seen[one.position] = self.seen[kind, one.event_id] = content
        return "applied"

    def key(self, one: Delivery) -> str:
        payload = (one.envelope or {})["payload"]
        named = [f"{name}:{payload[name]}" for name in self.key_fields if payload.get(name) not in (None, "")]
        return [*named, f"event_id:{one.event_id}"][0]

    def amount(self, one: Delivery) -> float:
        payload = (one.envelope or {})["payload"]
        return next((float(payload[name]) for name in self.amount_fields if payload.get(name) is not None), 0.0)

    def state(self, key: str, log: list[tuple[Delivery, float]]) -> dict[str, Any]:
        ordered = list(log)
        if key in self.sequence:
            turn = {name: index for index, name in enumerate(self.sequence[key])}
            ordered.sort(key=lambda pair: turn[pair[0].name])
        if self.order == "reverse":
            ordered.reverse()
        if self.order == "by_time":
            ordered.sort(key=lambda pair: (pair[0].ts, pair[0].position))
        total = 0.0
        for _, amount in ordered:
            total += amount
        if self.order == "fsum":
            total = math.fsum(amount for _, amount in ordered)
        total += self.tampered.get(key, 0.0)
        return {"event_count": len(log), "amount_sum": total, "last_event_ts_utc": max(one.ts for one, _ in log)}
