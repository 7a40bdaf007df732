"""Windows: what is inside, what was known, who precedes whom."""

from __future__ import annotations

from typing import Any

from tests.worlds.model import World, intent, profile, slice_, window
from tests.worlds.tables import Case, expected, stream


def group(*features: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Payments of a card; count over one hour unless told otherwise."""
    base = {
        "name": "g",
        "version": "v1",
        "key": ["payload.card"],
        "values": {"amount": {"path": "payload.amount", "type": "decimal(12,2)", "missing": "null"}},
        "windows": [window("1h")],
        "features": list(features) or [{"name": "count", "aggregate": "count"}],
    }
    return {**base, **changes}


def world(events: str, **changes: Any) -> World:
    """The events, the whole of every partition as basis, one group."""
    segments = stream(events)
    basis = [
        slice_(min(r.offset for r in s.rows), max(r.offset for r in s.rows), partition=s.partition) for s in segments
    ]
    return World(segments, intent(*basis), profile(group(**changes)))


BOUNDARY = """
event | time            | card
e0    | 10:00:00        | "A"
e1    | 10:59:59.999999 | "A"
e2    | 11:00:00        | "A"
e3    | 11:00:00.000001 | "A"
"""

LATE = """
offset | event | time  | card
0      | early | 10:00 | "A"
1      | later | 10:30 | "A"
2      | late  | 10:10 | "A"
3      | last  | 10:40 | "A"
"""

TIES = """
part | offset | event | time  | arrives  | card
0    | 0      | p0    | 10:00 | 10:00:05 | "A"
1    | 0      | p1    | 10:00 | 10:00:03 | "A"
"""

RUNNING = """
part | offset | event | time  | arrives  | card
0    | 0      | other | 09:00 | 12:00:00 | "B"
0    | 1      | held  | 10:00 | 10:00:01 | "A"
1    | 0      | free  | 10:05 | 10:05:01 | "A"
"""

UNORDERED = """
part | offset | event | time  | card
0    | 0      | a0    | 10:00 | "A"
0    | 1      | b0    | 10:01 | "B"
1    | 0      | a1    | 10:02 | "A"
"""

KEYS = """
event | time  | card    | shop
e0    | 10:00 | "a|b"   | "c"
e1    | 10:01 | "a"     | "b|c"
e2    | 10:02 | ""      | "c"
e3    | 10:03 |         | "c"
e4    | 10:04 | null    | "c"
e5    | 10:05 | 1       | "c"
e6    | 10:06 | "1"     | "c"
e7    | 10:07 | 1.0     | "c"
e8    | 10:08 | true    | "c"
"""

A1, B1 = {"path": "payload.a", "eq": 1}, {"path": "payload.b", "eq": 1}
SUFFIXES = ("", "__status", "__effective_time", "__observed_time", "__assertion_id")
LABEL_COLUMNS = [f"label__{t}{s}" for t in ("account_takeover", "fraud_disposition") for s in SUFFIXES]
CASES = {
    "boundary": Case(
        "A window is open at its far end, closed at the anchor: one hour old is out, a microsecond less is in.",
        world(BOUNDARY),
        expected("event|count_1h\ne0|1\ne1|2\ne2|2\ne3|3"),
    ),
    "anchor_left_out": Case(
        "include_anchor: false leaves the anchor itself out, and nothing else.",
        world(BOUNDARY, include_anchor=False),
        expected("event|count_1h\ne0|0\ne1|1\ne2|1\ne3|2"),
    ),
    "delay": Case(
        "A delay moves the window back: an hour of delay and of length sees (a − 2h, a − 1h], never the anchor.",
        world("event|time|card\ne0|10:00|1\ne1|10:30|1\ne2|11:00|1\ne3|12:00|1", delay="1h"),
        expected("event|count_1h\ne0|0\ne1|0\ne2|1\ne3|2"),
    ),
    "no_window": Case(
        "A group without windows aggregates everything up to the anchor, and its columns have no suffix.",
        world("event|time|card\ne0|10:00|1\ne1|10:30|1\ne2|23:00|1", windows=[]),
        expected("event|count\ne0|1\ne1|2\ne2|3"),
    ),
    "late_as_observed": Case(
        "as_observed: a late event changes the rows delivered after it, never an earlier one.",
        world(LATE),
        expected("event|count_1h\nearly|1\nlater|2\nlate|2\nlast|4"),
    ),
    "late_event_time": Case(
        "event_time: hindsight; the late event counts for every row of a later instant.",
        world(LATE, knowledge="event_time"),
        expected("event|count_1h\nearly|1\nlater|3\nlate|2\nlast|4"),
    ),
    "tie_by_arrival": Case(
        "Of two events of one instant the one that arrived later sees the other.",
        world(TIES),
        expected("event|count_1h\np0|2\np1|1"),
    ),
    "tie_by_position": Case(
        "In hindsight, of two events of one instant the one at the later position sees the other.",
        world(TIES, knowledge="event_time"),
        expected("event|count_1h\np0|1\np1|2"),
    ),
    "running_arrival": Case(
        "No event arrives before one that precedes it in its partition, whoever's event that is.",
        world(RUNNING),
        expected("event|count_1h\nother|1\nfree|1\nheld|1"),
    ),
    "order_undefined": Case(
        "Without arrivals nothing orders a key's events of two partitions: fail closed.",
        world(UNORDERED),
        code="ORDER_UNDEFINED",
    ),
    "one_arrival_missing": Case(
        "One event of the key without an arrival is enough.",
        world(
            "part|offset|event|time|arrives|card\n0|0|a0|10:00|10:01:00|1\n1|0|a1|10:02||1\n1|1|a2|10:03|10:04:00|1",
        ),
        code="ORDER_UNDEFINED",
    ),
    "order_in_hindsight": Case(
        "Hindsight needs no arrivals.",
        world(UNORDERED, knowledge="event_time"),
        expected("event|count_1h\na0|1\nb0|1\na1|2"),
    ),
    "order_not_needed": Case(
        "Keys that stay in one partition each need no arrivals.",
        world(UNORDERED.replace('"A"', '"C"', 1)),
        expected("event|count_1h\na0|1\nb0|1\na1|1"),
    ),
    "key_collisions": Case(
        "A composite key is a tuple of texts: no separator can confuse it, the empty string is a key, "
        "an absent or null part is none, and a number is its canonical JSON text.",
        world(KEYS, key=["payload.card", "payload.shop"]),
        expected("event|count_1h\ne0|1\ne1|1\ne2|1\ne3|\ne4|\ne5|1\ne6|2\ne7|1\ne8|1"),
    ),
    "source_types": Case(
        "An anchor of another type than the group's source sees the source events of its key, not itself.",
        world(
            "event|time|card|type\ne0|10:00|1|card_payment\ne1|10:10|1|login\ne2|10:20|1|card_payment",
            source={"event_types": ["card_payment"]},
        ),
        expected("event|count_1h\ne0|1\ne1|1\ne2|2"),
    ),
    "where_is_three_valued": Case(
        "A comparison with an absent value is unknown, so is its negation; only true counts.",
        world(
            'event|time|card|result\ne0|10:00|1|"ok"\ne1|10:01|1|\ne2|10:02|1|3\ne3|10:03|1|"no"',
            features=[
                {"name": "ok", "aggregate": "count", "where": {"path": "payload.result", "eq": "ok"}},
                {"name": "not_ok", "aggregate": "count", "where": {"not": {"path": "payload.result", "eq": "ok"}}},
                {"name": "ne_ok", "aggregate": "count", "where": {"path": "payload.result", "ne": "ok"}},
                {"name": "absent", "aggregate": "count", "where": {"path": "payload.result", "is_null": True}},
                {"name": "after_m", "aggregate": "count", "where": {"path": "payload.result", "gt": "m"}},
            ],
        ),
        expected(
            "event|ok_1h|not_ok_1h|ne_ok_1h|absent_1h|after_m_1h\n"
            "e0|1|0|0|0|1\ne1|1|0|0|1|1\ne2|1|1|1|1|1\ne3|1|2|2|1|2"
        ),
    ),
    "where_nests": Case(
        "all, any, in: false decides all, true decides any, in is any of its constants.",
        world(
            "event|time|card|a|b\ne0|10:00|1|1|1\ne1|10:01|1|1|\ne2|10:02|1|2|\ne3|10:03|1|3|2",
            features=[
                {"name": "all", "aggregate": "count", "where": {"not": {"all": [A1, B1]}}},
                {"name": "any", "aggregate": "count", "where": {"any": [A1, B1]}},
                {"name": "in", "aggregate": "count", "where": {"path": "payload.a", "in": ["1", 2, 1.0]}},
            ],
        ),
        expected("event|all_1h|any_1h|in_1h\ne0|0|1|1\ne1|0|2|2\ne2|1|2|3\ne3|2|2|3"),
    ),
    "object_as_key": Case(
        "An object is no key, wherever it stands in it.",
        world('event|time|card|shop\ne0|10:00|1|{"a":1}', key=["payload.card", "payload.shop"]),
        code="FEATURE_VALUE_INVALID",
    ),
    "half_a_character_as_key": Case(
        "Nor is half a surrogate pair.", world('event|time|card\ne0|10:00|"\\ud800"'), code="FEATURE_VALUE_INVALID"
    ),
    "columns": Case(
        "Identity, features over their windows, derived, labels by type, lineage.",
        world(
            "event|time|card\ne0|10:00|1",
            windows=[window("1h"), window("24h")],
            features=[
                {"name": "sum", "aggregate": "sum", "value": "amount", "windows": ["24h", "1h"]},
                {"name": "all", "aggregate": "count", "windows": []},
            ],
            derived=[{"name": "share", "ratio": ["sum_1h", "sum_24h"]}],
        ).with_intent(join_scope={"label_types": ["fraud_disposition", "account_takeover"]}),
        columns=(
            *("platform_run_id", "event_id", "event_type", "ts_utc"),
            *("g__sum_1h", "g__sum_24h", "g__all", "g__share"),
            *LABEL_COLUMNS,
            *("_topic", "_partition", "_offset"),
        ),
    ),
    "truncated_by_the_youngest_slice": Case(
        "Of several slices the one whose first event is the latest decides; a delay reaches further back.",
        world(
            "part|offset|event|time|card\n0|0|e0|10:00|1\n0|1|e1|11:30|1\n0|2|e2|13:00|1\n1|0|f0|11:00|2",
            features=[
                {"name": "count", "aggregate": "count"},
                {"name": "before", "aggregate": "count", "delay": "1h"},
            ],
        ),
        truncated={"g__count_1h": 3, "g__before_1h": 3},
    ),
    "truncated": Case(
        "A row whose window starts before the first event of the basis is counted as truncated, per feature.",
        world("event|time|card\ne0|10:00|1\ne1|10:59|1\ne2|11:00|1\ne3|11:01|1"),
        expected("event|count_1h\ne0|1\ne1|2\ne2|2\ne3|3"),
        truncated={"g__count_1h": 2},
    ),
}
