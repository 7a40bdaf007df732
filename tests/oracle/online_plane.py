"""A straightforward online plane: one record at a time, dicts, written from the law's text; it shares no code with OFS."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.oracle.core import CLASS_BY_TOPIC, PINS, SKIPPED_TYPES

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
Place = tuple[str, int]


def canon(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()


def hashed(value: Any) -> str:
    return hashlib.sha256(canon(value)).hexdigest()


@dataclass(frozen=True)
class Record:
    """A delivery: where it stands, the envelope's text, and the running arrival of its partition (None: not known)."""

    topic: str
    partition: int
    offset: int
    text: str
    arrival: int | None = None

    @property
    def place(self) -> Place:
        return (self.topic, self.partition)


def in_delivery_order(records: Iterable[Record]) -> list[Record]:
    """By running arrival; by place and offset where arrivals are not known, as nobody knows better."""
    return sorted(records, key=lambda one: (one.arrival or 0, one.topic, one.partition, one.offset))


def class_of(envelope: Mapping[str, Any], topic: str) -> str | None:
    stated = envelope.get("event_class")
    if stated:
        return stated if stated in CLASS_BY_TOPIC.values() else None
    if topic in CLASS_BY_TOPIC:
        return CLASS_BY_TOPIC[topic]
    text = envelope["event_type"]
    if "arrival_entities" in text:
        return "context_arrival_entities"
    if "arrival_events" in text or "arrival_count" in text:
        return "context_arrival"
    for word, name in (("flow_anchor", "context_flow"), ("event_stream", "traffic")):
        if word in text and ("fraud" in text or "baseline" in text):
            return f"{name}_{'fraud' if 'fraud' in text else 'baseline'}"
    return None


def read_envelope(text: str) -> dict[str, Any] | None:
    try:
        envelope = json.loads(text)
    except ValueError:
        return None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("payload"), dict):
        return None
    named = all(isinstance(envelope.get(name), str) and envelope[name] for name in ("event_id", "event_type"))
    return envelope if named and INSTANT.fullmatch(str(envelope.get("ts_utc"))) else None


def key_of(envelope: Mapping[str, Any], precedence: Iterable[str]) -> str:
    for name in precedence:
        value = envelope["payload"].get(name)
        if value is None or value == "" or isinstance(value, (dict, list)):
            continue
        return f"{name}:{value if isinstance(value, str) else canon(value).decode()}"
    return f"event_id:{envelope['event_id']}"


def amount_of(payload: Mapping[str, Any], fields: Iterable[str]) -> float:
    for name in fields:
        value = payload.get(name)
        if isinstance(value, (bool, int, float, str)):
            try:
                amount = float(value)
            except (ValueError, OverflowError):
                continue
            if math.isfinite(amount):
                return amount + 0.0
    return 0.0


@dataclass
class OnlinePlane:
    """`receive` takes deliveries as they come; `features` and `counts` say what the plane is at that moment."""

    platform_run_id: str
    precedence: tuple[str, ...] = ("flow_id", "event_id")
    amounts: tuple[str, ...] = ("amount",)
    features: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    applied: defaultdict[str, list[tuple[Place, float]]] = field(default_factory=lambda: defaultdict(list))
    positions: set[tuple[str, int, int]] = field(default_factory=set)
    payloads: dict[tuple[str, str], str] = field(default_factory=dict)

    def receive(self, record: Record) -> None:
        position = (record.topic, record.partition, record.offset)
        if position in self.positions:
            return  # the archive folds copies of a position before anything is counted
        self.positions.add(position)
        self.counts["seen"] += 1
        self.counts[self.judge(record)] += 1

    def judge(self, record: Record) -> str:
        envelope = read_envelope(record.text)
        if envelope is None:
            return "unreadable_envelope"
        if any(envelope.get(pin) is None or envelope[pin] == "" for pin in PINS):
            return "missing_pin"
        if envelope["platform_run_id"] != self.platform_run_id:
            return "other_platform_run"
        if envelope["event_type"] in SKIPPED_TYPES:
            return "ignored_event_type"
        event_class = class_of(envelope, record.topic)
        if event_class is None:
            return "unknown_event_class"
        payload = hashed({name: envelope.get(name) for name in ("event_type", "schema_version", "payload")})
        event = (event_class, envelope["event_id"])
        if event in self.payloads:
            return "duplicates" if self.payloads[event] == payload else "payload_hash_mismatch"
        self.payloads[event] = payload
        self.apply(envelope, record.place)
        return "applied"

    def apply(self, envelope: Mapping[str, Any], place: Place) -> None:
        key, amount = key_of(envelope, self.precedence), amount_of(envelope["payload"], self.amounts)
        state = self.features.setdefault(key, {"event_count": 0, "amount_sum": 0.0, "last_event_ts_utc": ""})
        state["event_count"] += 1
        state["amount_sum"] += amount
        state["last_event_ts_utc"] = max(state["last_event_ts_utc"], envelope["ts_utc"])
        self.applied[key].append((place, amount))

    def is_order_known(self, key: str) -> bool:
        """Whether the key's sum is the same in whatever order its partitions were read."""
        valued = [(place, amount) for place, amount in self.applied[key] if amount]
        if len({place for place, _ in valued}) < 2:
            return True
        exact = [Fraction(amount) for _, amount in valued]
        unit = Fraction(1, max(one.denominator for one in exact))
        while all((one / unit) % 2 == 0 for one in exact):
            unit *= 2
        return sum(map(abs, exact)) < unit * 2**53

    def snapshot(self, frame: Mapping[str, Any]) -> str:
        """The snapshot hash over a frame's members and the features."""
        return hashed({**frame, "graph_version": frame.get("graph_version"), "features": self.features})
