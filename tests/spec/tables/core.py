"""Core features: the online plane's state just after each event."""

from __future__ import annotations

from dataclasses import replace

from tests.worlds.model import World, intent, profile, slice_
from tests.worlds.tables import Case, expected, stream

CORE = {"name": "core_features", "version": "v1", "key_type": "flow_id"}
TEXT = "core_features__last_event_ts_utc"


def world(events: str, topic: str = "fp.bus.traffic.fraud.v1") -> World:
    segments = stream(events, topic)
    basis = [slice_(min(r.offset for r in s.rows), max(r.offset for r in s.rows), topic, s.partition) for s in segments]
    return World(segments, intent(*basis), profile(CORE))


def state(table: str) -> dict[str, dict[str, object]]:
    return expected(table, "core_features")


FLOWS = """
event | time  | flow_id | amount
e0    | 10:00 | "f"     | 0.1
e1    | 10:02 | "f"     | "0.2"
e2    | 10:01 | "f"     | 0.3
e3    | 10:03 | ""      | true
e4    | 10:04 |         |
e5    | 10:05 | "f"     | "no"
"""
SKIPPED = """
event | time  | flow_id | amount | type
e0    | 10:00 | "f"     | 1      | payment
e1    | 10:01 | "f"     | 1      | action_outcome
e2    | 10:02 | "f"     | 1      | payment
"""
BY_TEXT = """
event | time  | flow_id | type
e0    | 10:00 | "f"     | s3_event_stream_with_fraud_6B
e1    | 10:01 | "f"     | card_payment
e2    | 10:02 | "f"     | arrival_entities_6B
e3    | 10:03 | "f"     | event_stream_6B
"""
CASES = {
    "state_after_each_event": Case(
        "Amounts add as float64 in delivery order, the greatest time text stays, an empty flow is keyed by its event.",
        world(FLOWS),
        state(
            "event|event_count|amount_sum|last_event_ts_utc\n"
            'e0|1|0.1|"2026-02-10T10:00:00Z"\ne1|2|0.30000000000000004|"2026-02-10T10:02:00Z"\n'
            'e2|3|0.6000000000000001|"2026-02-10T10:02:00Z"\ne3|1|1.0|"2026-02-10T10:03:00Z"\n'
            'e4|1|0.0|"2026-02-10T10:04:00Z"\ne5|4|0.6000000000000001|"2026-02-10T10:05:00Z"'
        ),
    ),
    "skipped_types": Case(
        "Events that the online plane skips have null columns and change nothing.",
        world(SKIPPED),
        state("event|event_count|amount_sum\ne0|1|1.0\ne1||\ne2|2|2.0"),
    ),
    "class_by_type_text": Case(
        "On a topic without a class the event type's text decides; an unknown class is skipped.",
        world(BY_TEXT, "fp.bus.other.v1"),
        state("event|event_count\ne0|1\ne1|\ne2|2\ne3|"),
    ),
    "arrivals_order_partitions": Case(
        "A flow over two partitions is applied by arrival.",
        world('part|offset|event|time|arrives|flow_id\n0|0|e0|10:00|10:00:09|"f"\n1|0|e1|10:01|10:00:03|"f"'),
        state("event|event_count\ne0|2\ne1|1"),
    ),
    "order_undefined": Case(
        "Without arrivals it cannot be.",
        world('part|offset|event|time|flow_id\n0|0|e0|10:00|"f"\n1|0|e1|10:01|"f"'),
        code="ORDER_UNDEFINED",
    ),
}
NO_PIN = world('event|time|flow_id\ne0|10:00|"f"\ne1|10:01|"f"')
FIRST, *REST = NO_PIN.segments[0].rows
BARE = replace(FIRST, envelope=(FIRST.envelope or "").replace('"seed":42', '"seed":null'))
CASES["missing_pin"] = Case(
    "An envelope that lacks a pin is skipped.",
    replace(NO_PIN, segments=(replace(NO_PIN.segments[0], rows=(BARE, *REST)),)),
    state("event|event_count\ne0|\ne1|1"),
)
