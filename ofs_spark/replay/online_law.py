"""The online plane's law of core features, event by event: what it applies, under which key, with which amount.

This is the law as a reader checks it (`docs/online-law.md`). The segment scan holds it over whole columns
(`scan/online_core.py`); where one event is to be explained, it is asked here.

1. An event is skipped, by the first rule that holds: its envelope is unreadable; a pin is missing; it is of another platform
   run; its type is ignored; its class is unknown.
2. An event that was applied before is skipped: the same position, or the same (platform run, class, event id). With the same
   payload hash it is a duplicate, with another one a payload mismatch.
3. What is left is applied to its key, in offset order within a partition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ofs_spark.foundation.canonical import digest
from ofs_spark.replay.key_text import spell_key

PINS = ("platform_run_id", "scenario_run_id", "manifest_fingerprint", "parameter_hash", "scenario_id", "seed")
IGNORED_TYPES = ("decision_response", "action_intent", "action_outcome")
CLASS_BY_TOPIC = {
    "fp.bus.traffic.fraud.v1": "traffic_fraud",
    "fp.bus.traffic.baseline.v1": "traffic_baseline",
    "fp.bus.context.arrival_events.v1": "context_arrival",
    "fp.bus.context.arrival_entities.v1": "context_arrival_entities",
    "fp.bus.context.flow_anchor.fraud.v1": "context_flow_fraud",
    "fp.bus.context.flow_anchor.baseline.v1": "context_flow_baseline",
}
CLASSES = tuple(CLASS_BY_TOPIC.values())
CLASS_BY_WORDS = (
    (("arrival_entities",), "context_arrival_entities"),
    (("arrival_events",), "context_arrival"),
    (("arrival_count",), "context_arrival"),
    (("flow_anchor", "fraud"), "context_flow_fraud"),
    (("flow_anchor", "baseline"), "context_flow_baseline"),
    (("event_stream", "fraud"), "traffic_fraud"),
    (("event_stream", "baseline"), "traffic_baseline"),
)
"""All words in the event type → class; the first row that fits."""
KEY_OF_LAST_RESORT = "event_id"


class Skip(StrEnum):
    """Why the online plane does not apply an event."""

    UNREADABLE = "unreadable_envelope"
    MISSING_PIN = "missing_pin"
    OTHER_RUN = "other_platform_run"
    IGNORED_TYPE = "ignored_event_type"
    UNKNOWN_CLASS = "unknown_event_class"
    DUPLICATE = "duplicate"
    PAYLOAD_MISMATCH = "payload_hash_mismatch"


SKIP_CODES = {skip: code for code, skip in enumerate(Skip, start=1)}
"""What stands for a skip in a column; 0 for an event that is applied."""


@dataclass(frozen=True)
class State:
    """What the online plane keeps of one key. amount_sum: added one by one in the order of application."""

    event_count: int = 0
    amount_sum: float = 0.0
    last_event_ts_utc: str = ""

    def apply(self, amount: float, ts_utc: str) -> State:
        """The state just after one more event; of two event times the greater text stays."""
        return State(self.event_count + 1, self.amount_sum + amount, max(self.last_event_ts_utc, ts_utc))


def find_class(envelope: Mapping[str, Any], event_type: str, topic: str) -> str:
    """The class of an event: stated in its envelope, else its topic's, else by the words of its type; "" if none."""
    stated = envelope.get("event_class") or CLASS_BY_TOPIC.get(topic)
    by_words = (name for words, name in CLASS_BY_WORDS if all(word in event_type for word in words))
    return str(stated or next(by_words, ""))


def find_skip(envelope: Mapping[str, Any], event_type: str, topic: str, platform_run_id: str) -> Skip | None:
    """Why an event is skipped whatever came before it; None for one that is applied unless it is a duplicate."""
    if any(envelope.get(pin) in (None, "") for pin in PINS):
        return Skip.MISSING_PIN
    if envelope["platform_run_id"] != platform_run_id:
        return Skip.OTHER_RUN
    if event_type in IGNORED_TYPES:
        return Skip.IGNORED_TYPE
    return None if find_class(envelope, event_type, topic) in CLASSES else Skip.UNKNOWN_CLASS


def hash_online_payload(event_type: str, schema_version: Any, payload: Any) -> str:
    """What tells a duplicate from a payload mismatch: `H({event_type, schema_version, payload})`."""
    return digest({"event_type": event_type, "schema_version": schema_version, "payload": payload})


def find_key(payload: Mapping[str, Any], event_id: str, precedence: Sequence[str]) -> tuple[str, str]:
    """(field, text) of an event's key: the first field that has a text (`spell_key`) that is not empty; else its event id."""
    for name in precedence:
        text = spell_key(payload.get(name))
        if text:
            return name, text
    return KEY_OF_LAST_RESORT, event_id


def find_amount(payload: Mapping[str, Any], fields: Sequence[str]) -> float:
    """The first field that is a finite number, a boolean or a text that Python's `float` reads as one; else 0.0."""
    for name in fields:
        value = payload.get(name)
        if not isinstance(value, bool | int | float | str):
            continue
        try:
            amount = float(value)
        except (ValueError, OverflowError):
            continue
        if math.isfinite(amount):
            return amount
    return 0.0
