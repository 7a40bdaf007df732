"""Facts: at-least-once made exactly-once, invalid records, scope."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from tests.spec.tables.ranges import over
from tests.spec.tables.windows import world
from tests.worlds.model import SCENARIO, Row, World, row, segment, slice_
from tests.worlds.tables import Case, expected, stream


def training(w: World) -> World:
    """The same as a training build that asks for no labels in particular."""
    lenient = {"label_coverage_policy": {"min_coverage_by_label_type": {"fraud_disposition": 0}}}
    return w.with_intent(non_training_allowed=False, filters={**(w.intent.get("filters") or {}), **lenient})


def times(offset: int, event: str, minute: int, **more: Any) -> Row:
    return row(offset, event, f"2026-02-10T10:{minute:02d}:00Z", {"card": "A", **more.pop("payload", {})}, **more)


def published(minute: int) -> str:
    return f"2026-02-10T10:{minute:02d}:30.000000Z"


REDELIVERED = segment(times(0, "e0", 0), times(1, "e1", 1), times(2, "e0", 0), times(3, "e3", 3))
CONFLICT = segment(times(0, "e0", 0), times(1, "e0", 0, payload={"amount": 2}))
TWICE = segment(times(0, "e0", 0), times(0, "e0", 0), times(1, "e1", 1))
TWO_HASHES = segment(times(0, "e0", 0), times(0, "e0", 5), times(1, "e1", 1))
KEPT_TS = min(TWO_HASHES.rows[:2], key=lambda r: r.hash or "").ts_utc
WINNER = (
    segment(times(0, "e0", 0, published_at_utc=published(9)), partition=0),
    segment(times(0, "e0", 0, published_at_utc=published(1)), partition=1),
)
EARLIER = (
    segment(
        times(0, "x", 0, payload={"card": "B"}, published_at_utc=published(9)),
        times(0, "x", 0, payload={"card": "B"}, published_at_utc=published(2)),
        times(1, "a", 1, published_at_utc=published(3)),
    ),
    segment(times(0, "b", 4, published_at_utc=published(5)), partition=1),
)
UNDATED = (
    segment(
        times(0, "x", 0, payload={"card": "B"}),
        times(0, "x", 0, payload={"card": "B"}, published_at_utc=published(6)),
        times(1, "a", 1, published_at_utc=published(3)),
    ),
    segment(times(0, "b", 4, published_at_utc=published(5)), partition=1),
)
"""If the undated copy of `x` were kept, `a` would arrive at 3 and `b`, which arrives at 5, would see it; so at 6."""
SPOILED = replace(
    times(0, "e0", 0), envelope='{"payload":{"card":"A","spoiled":true}}', payload_hash=times(0, "e0", 0).hash
)
SPACED = replace(times(0, "e0", 0), envelope=(times(0, "e0", 0).envelope or "").replace(",", ", "))
OWN_BYTES = replace(SPACED, payload_hash=hashlib.sha256((SPACED.envelope or "").encode()).hexdigest())
"""Another spelling of an envelope, with the hash of those bytes: the law hashes what Python would write of it."""
BROKEN = replace(times(0, "e0", 0), envelope="{", payload_hash=hashlib.sha256(b"{").hexdigest())
WRONG_HASH = replace(times(0, "e0", 0), payload_hash="00" * 32)
OTHER_RUN = replace(times(1, "e1", 1), platform_run_id="platform_20250101T000000Z")
LACKING = {
    "no_event_id": replace(times(0, "e0", 0), event_id=None),
    "no_type": replace(times(0, "e0", 0), event_type=None),
    "no_run": replace(times(0, "e0", 0), platform_run_id=None),
    "no_scenario": replace(times(0, "e0", 0), scenario_run_id=None),
    "no_time": replace(times(0, "e0", 0), ts_utc=None),
    "no_instant": replace(times(0, "e0", 0), ts_utc="2026-02-10"),
}
"""Copies of one payload hash that lack a column: another copy has it."""
INVALID = {
    "no_event_id": replace(times(1, "e1", 1), event_id=None),
    "empty_type": replace(times(1, "e1", 1), event_type=""),
    "no_time": replace(times(1, "e1", 1), ts_utc=None),
    "naive_time": replace(times(1, "e1", 1), ts_utc="2026-02-10T10:01:00"),
    "other_zone": replace(times(1, "e1", 1), ts_utc="2026-02-10T11:01:00+01:00"),
    "nanoseconds": replace(times(1, "e1", 1), ts_utc="2026-02-10T10:01:00.0000001Z"),
    "no_hash": replace(times(1, "e1", 1), payload_hash=None),
    "not_json": replace(times(1, "e1", 1), envelope='{"payload":'),
    "nan": replace(times(1, "e1", 1), envelope='{"payload":{"amount":NaN}}'),
    "a_list": replace(times(1, "e1", 1), envelope="[]"),
    "no_payload": replace(times(1, "e1", 1), envelope='{"payload":null}'),
}


CASES = {
    "position_twice": Case(
        "A position delivered twice is one delivery.",
        training(over((TWICE,), slice_(0, 1))),
        expected("event|count_1h\ne0|1\ne1|2"),
        {"delivered": 3, "position_duplicates": 1, "positions": 2, "rows": 2, "redeliveries": 0},
    ),
    "position_with_two_hashes": Case(
        "One position with two payloads ends a training build.",
        training(over((TWO_HASHES,), slice_(0, 1))),
        code="REPLAY_DUPLICATE_OFFSET_MISMATCH",
    ),
    "position_smallest_hash": Case(
        "Elsewhere the smallest payload hash is kept.",
        over((TWO_HASHES,), slice_(0, 1)),
        {"e0": {"event_id": "e0"}, "e1": {"g__count_1h": 2 if KEPT_TS == "2026-02-10T10:00:00Z" else 1}},
        {"position_duplicates": 1},
    ),
    "position_twice_earliest": Case(
        "Of equal rows at one position the earliest published is kept.",
        over(EARLIER, slice_(0, 1), slice_(0, 0, partition=1)),
        {"a": {"g__count_1h": 1}, "b": {"g__count_1h": 2}, "x": {"g__count_1h": 1}},
    ),
    "position_twice_undated": Case(
        "A copy without a publication comes after every dated one, in whichever order they are stored.",
        over(UNDATED, slice_(0, 1), slice_(0, 0, partition=1)),
        {"a": {"g__count_1h": 1}, "b": {"g__count_1h": 1}, "x": {"g__count_1h": 1}},
    ),
    "position_twice_undated_reversed": Case(
        "The other order of storage.",
        over(
            (replace(UNDATED[0], rows=(*UNDATED[0].rows[1::-1], UNDATED[0].rows[2])), UNDATED[1]),
            slice_(0, 1),
            slice_(0, 0, partition=1),
        ),
        {"a": {"g__count_1h": 1}, "b": {"g__count_1h": 1}, "x": {"g__count_1h": 1}},
    ),
    **{
        f"spoiled_copy_{name}": Case(
            "Every copy of a position is hashed, whichever of them would be kept.",
            training(over((segment(*copies),), slice_(0, 0))),
            code="REPLAY_EVENT_INVALID",
        )
        for name, copies in (("first", (SPOILED, times(0, "e0", 0))), ("last", (times(0, "e0", 0), SPOILED)))
    },
    "spoiled_copy_outside_training": Case(
        "Outside training a position with a spoiled copy is one invalid record.",
        over((segment(SPOILED, times(0, "e0", 0), times(1, "e1", 1)),), slice_(0, 1)),
        {"e1": {"g__count_1h": 1}},
        {"positions": 2, "position_duplicates": 1, "rows": 1, "invalid": 1},
    ),
    "another_spelling": Case(
        "A copy in another spelling, under the hash of what it says, is the same delivery.",
        training(over((segment(SPACED, times(0, "e0", 0)),), slice_(0, 0))),
        expected("event|count_1h\ne0|1"),
    ),
    "hash_of_a_spelling_at_one_position": Case(
        "The hash of its bytes as they are spelled is not an envelope's.",
        training(over((segment(OWN_BYTES, OWN_BYTES),), slice_(0, 0))),
        code="REPLAY_EVENT_INVALID",
    ),
    "hash_of_a_spelling_of_one_event": Case(
        "Nor is it for an event seen twice.",
        training(over((segment(OWN_BYTES, replace(OWN_BYTES, offset=1)),), slice_(0, 1))),
        code="REPLAY_EVENT_INVALID",
    ),
    "hash_of_no_json": Case(
        "What is no JSON has no hash of its own, also where another copy would be kept.",
        over((segment(times(0, "e0", 0), BROKEN, times(1, "e1", 1)),), slice_(0, 1)),
        {"e1": {"g__count_1h": 1}},
        {"positions": 2, "position_duplicates": 1, "rows": 1, "invalid": 1},
    ),
    **{
        f"copy_with_{name}_{place}": Case(
            "Of equal hashes and arrivals the copy that lacks nothing is kept, in whichever order they are stored.",
            training(over((segment(*copies, times(1, "e1", 1)),), slice_(0, 1), scenario_run_ids=[SCENARIO])),
            expected("event|count_1h\ne0|1\ne1|2"),
            {"positions": 2, "position_duplicates": 1, "rows": 2},
        )
        for name, lacking in LACKING.items()
        for place, copies in (("first", (lacking, times(0, "e0", 0))), ("last", (times(0, "e0", 0), lacking)))
    },
    "hash_of_one": Case(
        "The hash of a record seen once is taken as stated.",
        training(over((segment(WRONG_HASH),), slice_(0, 0))),
        expected("event|count_1h\ne0|1"),
    ),
    "hash_at_one_position": Case(
        "At a position seen twice it is recomputed.",
        training(over((segment(WRONG_HASH, WRONG_HASH),), slice_(0, 0))),
        code="REPLAY_EVENT_INVALID",
    ),
    "hash_of_one_event": Case(
        "And so it is for an event seen twice.",
        training(over((segment(WRONG_HASH, replace(WRONG_HASH, offset=1)),), slice_(0, 1))),
        code="REPLAY_EVENT_INVALID",
    ),
    "redelivery": Case(
        "The same event again is a redelivery; the smaller position wins and the event counts once.",
        training(over((REDELIVERED,), slice_(0, 3))),
        {
            "e0": {"_offset": "0", "g__count_1h": 1},
            "e1": {"_offset": "1", "g__count_1h": 2},
            "e3": {"_offset": "3", "g__count_1h": 3},
        },
        {"positions": 4, "rows": 3, "redeliveries": 1, "conflicts": 0},
    ),
    "first_delivered_wins": Case(
        "Where all deliveries have an arrival the first delivered wins, whatever its partition.",
        over(WINNER, slice_(0, 0), slice_(0, 0, partition=1)),
        {"e0": {"_partition": 1}},
        {"redeliveries": 1},
    ),
    "smallest_position_wins": Case(
        "Where one has none, the smallest position does.",
        over(
            (WINNER[0], replace(WINNER[1], rows=(replace(WINNER[1].rows[0], published_at_utc=None),))),
            slice_(0, 0),
            slice_(0, 0, partition=1),
        ),
        {"e0": {"_partition": 0}},
    ),
    "conflict": Case(
        "One event id with two payloads ends a training build.",
        training(over((CONFLICT,), slice_(0, 1))),
        code="REPLAY_EVENT_ID_CONFLICT",
    ),
    "conflict_recorded": Case(
        "Elsewhere the winner is kept and the loser counted.",
        over((CONFLICT,), slice_(0, 1)),
        {"e0": {"_offset": "0"}},
        {"rows": 1, "redeliveries": 0, "conflicts": 1},
    ),
    "filter_hides_no_conflict": Case(
        "A filter on event types works on the winners.",
        training(over((CONFLICT,), slice_(0, 1), filters={"event_types": ["login"]})),
        code="REPLAY_EVENT_ID_CONFLICT",
    ),
    "conflict_outside_the_basis": Case(
        "Only rows inside the basis take part.",
        training(over((CONFLICT,), slice_(0, 0))),
        {"e0": {"_offset": "0"}},
        {"delivered": 1},
    ),
    "other_run": Case(
        "Records of another run are set aside; two runs may share event ids.",
        training(over((segment(times(0, "e1", 0), OTHER_RUN, times(2, "e2", 2)),), slice_(0, 2))),
        expected("event|count_1h\ne1|1\ne2|2"),
        {"positions": 3, "rows": 2, "out_of_scope": 1},
    ),
    "other_scenario": Case(
        "So are those of scenarios that the intent leaves out.",
        over(stream("event|time|card|scenario\ne0|10:00|1|s1\ne1|10:01|1|s2"), slice_(0, 1), scenario_run_ids=["s1"]),
        expected("event|count_1h\ne0|1"),
        {"rows": 1, "out_of_scope": 1},
    ),
    "event_types": Case(
        "filters.event_types narrows everything, feature state included.",
        world("event|time|card|type\ne0|10:00|1|login\ne1|10:01|1|card_payment").with_intent(
            filters={"event_types": ["card_payment"]}
        ),
        expected("event|count_1h\ne1|1"),
        {"positions": 2, "rows": 1, "out_of_scope": 1},
    ),
    "anchor_filter": Case(
        "filters.NAME keeps anchor rows; feature state still sees every event.",
        world('event|time|card|country\ne0|10:00|1|"FR"\ne1|10:01|1|"DE"\ne2|10:02|1|').with_intent(
            filters={"country": ["DE"]}
        ),
        expected("event|count_1h\ne1|2"),
        {"rows": 3},
    ),
    "anchor_types": Case(
        "anchor_event_types keeps anchor rows of these types.",
        world("event|time|card|type\ne0|10:00|1|login\ne1|10:01|1|card_payment").with_intent(
            join_scope={"label_types": ["fraud_disposition"], "anchor_event_types": ["card_payment"]}
        ),
        expected("event|count_1h\ne1|2"),
    ),
    "anchor_time": Case(
        "anchor_time is half-open; earlier events only feed state.",
        world("event|time|card\ne0|10:00|1\ne1|10:01|1\ne2|10:02|1").with_intent(
            schema_version="learning.ofs_build_intent.v1",
            output={
                "dataset_kind": "per_event",
                "anchor_time": {"from": "2026-02-10T10:01:00Z", "to": "2026-02-10T10:02:00Z"},
            },
        ),
        expected("event|count_1h\ne1|2"),
    ),
    "no_anchor": Case(
        "No anchor left.",
        world("event|time|card\ne0|10:00|1").with_intent(filters={"country": ["DE"]}),
        code="LABEL_SCOPE_EMPTY",
    ),
    "no_event": Case(
        "No event in scope.",
        world("event|time|card\ne0|10:00|1").with_intent(filters={"event_types": ["login"]}),
        code="REPLAY_EVENTS_EMPTY",
    ),
    "odd_filter": Case(
        "A filter of any other shape.",
        world("event|time|card\ne0|10:00|1").with_intent(filters={"country": []}),
        code="FILTER_UNSUPPORTED",
    ),
}
for name, bad in INVALID.items():
    held = over((segment(times(0, "e0", 0), bad, times(2, "e2", 2)),), slice_(0, 2))
    CASES[f"invalid_{name}"] = Case(
        "An invalid record ends a training build.", training(held), code="REPLAY_EVENT_INVALID"
    )
    CASES[f"invalid_{name}_set_aside"] = Case(
        "Elsewhere it is set aside and counted.",
        held,
        expected("event|count_1h\ne0|1\ne2|2"),
        {"positions": 3, "rows": 2, "invalid": 1},
    )
