"""The online plane's core features: the state of an event's key just after that event."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tests.oracle.conditions import key_text
from tests.oracle.exact import is_number
from tests.oracle.features import refuse_undefined_order
from tests.oracle.replay import Event

PINS = ("platform_run_id", "scenario_run_id", "manifest_fingerprint", "parameter_hash", "scenario_id", "seed")
SKIPPED_TYPES = ("decision_response", "action_intent", "action_outcome")
CLASS_BY_TOPIC = {
    "fp.bus.traffic.fraud.v1": "traffic_fraud",
    "fp.bus.traffic.baseline.v1": "traffic_baseline",
    "fp.bus.context.arrival_events.v1": "context_arrival",
    "fp.bus.context.arrival_entities.v1": "context_arrival_entities",
    "fp.bus.context.flow_anchor.fraud.v1": "context_flow_fraud",
    "fp.bus.context.flow_anchor.baseline.v1": "context_flow_baseline",
}
CLASS_BY_TEXT = (
    (("arrival_entities",), "context_arrival_entities"),
    (("arrival_events",), "context_arrival"),
    (("arrival_count",), "context_arrival"),
    (("flow_anchor", "fraud"), "context_flow_fraud"),
    (("flow_anchor", "baseline"), "context_flow_baseline"),
    (("event_stream", "fraud"), "traffic_fraud"),
    (("event_stream", "baseline"), "traffic_baseline"),
)
COLUMNS = ("event_count", "amount_sum", "last_event_ts_utc")


def core_features(
    group: Mapping[str, Any], events: list[Event], anchors: list[Event], run: str
) -> list[dict[str, Any]]:
    """One {column: value} per anchor; null columns for anchors that the online plane skips."""
    names = [f"{group['name']}__{column}" for column in COLUMNS]
    keyed = defaultdict(list)
    for e in events:
        if applied(e, run):
            keyed[core_key(e)].append(e)
    after: dict[Event, tuple[int, float, str]] = {}
    for same in keyed.values():
        refuse_undefined_order(same)
        count, amount, last = 0, 0.0, ""
        one_place = len({e.place for e in same}) == 1
        for e in sorted(same, key=lambda e: (e.offset,) if one_place else e.delivery):
            count, amount, last = count + 1, amount + amount_of(e), max(last, e.ts_text)
            after[e] = (count, amount, last)
    return [dict(zip(names, after.get(a, (None, None, None)), strict=True)) for a in anchors]


def applied(e: Event, run: str) -> bool:
    pins = [e.envelope.get(pin) for pin in PINS]
    if any(pin in (None, "") for pin in pins) or pins[0] != run or e.event_type in SKIPPED_TYPES:
        return False
    return class_of(e) in CLASS_BY_TOPIC.values()


def class_of(e: Event) -> str | None:
    stated = e.envelope.get("event_class") or CLASS_BY_TOPIC.get(e.topic)
    by_text = (name for words, name in CLASS_BY_TEXT if all(word in e.event_type for word in words))
    return stated or next(by_text, None)


def core_key(e: Event) -> tuple[str, str]:
    payload = e.envelope["payload"]
    found = ((name, payload.get(name)) for name in ("flow_id", "event_id"))
    return next(((name, key_text(v)) for name, v in found if v not in (None, "")), ("event_id", e.event_id))


def amount_of(e: Event) -> float:
    raw = e.envelope["payload"].get("amount")
    if not (isinstance(raw, (bool, str)) or is_number(raw)):
        return 0.0
    try:
        amount = float(raw if isinstance(raw, (bool, str)) else str(raw))
    except (ValueError, OverflowError):
        return 0.0
    return amount if math.isfinite(amount) else 0.0
