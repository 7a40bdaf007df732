"""What an explanation says where it has little to go by: bounds, missing witnesses, documents, whole keys, hot keys."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from ofs_spark.parity.case import Bounds
from ofs_spark.parity.differences import find_differences
from ofs_spark.parity.events import OnlineEvent
from ofs_spark.parity.explain import Archive, Law, Stated, explain
from ofs_spark.parity.sums import add_up
from ofs_spark.pins.profile.model import OnlineCoreRules
from tests.oracle.core import PINS
from tests.unit.parity.faulty_worlds import RUN, explain_world, make_world

TOPIC = "fp.bus.traffic.fraud.v1"


def event(offset: int, amount: Any, flow: str = "a", partition: int = 0, **other: Any) -> OnlineEvent:
    envelope = {**dict.fromkeys(PINS, "p"), "platform_run_id": RUN, "payload": {"flow_id": flow, "amount": amount}}
    made = OnlineEvent(
        TOPIC, partition, "kafka_offset", str(offset), offset, None, f"e{partition}-{offset}", "t", "2026", envelope
    )
    return replace(made, **other)


def state(*amounts: float, last: str = "2026") -> dict[str, Any]:
    total = 0.0
    for amount in amounts:
        total += amount
    return {"event_count": len(amounts), "amount_sum": total, "last_event_ts_utc": last}


def tell(
    expected: dict[str, Any], rebuilt: dict[str, Any], events: list[OnlineEvent], end: int = 99, **other: Any
) -> dict[str, Any]:
    archive = Archive(events, other.pop("whole", {}), other.pop("keys", None))
    law = Law(OnlineCoreRules(), RUN, {(TOPIC, 0): end, (TOPIC, 1): end})
    return explain(find_differences(expected, rebuilt), expected, rebuilt, archive, law, **other).to_document()


def test_differences_are_exact_and_their_counts_whole() -> None:
    expected = {"a": state(1.0), "b": {**state(2.5), "amount_sum": 3}, "c": state(1.0), "d": state(1.0)}
    rebuilt = {"a": state(1.0), "b": state(3.0), "c": state(1.0, 0.25), "e": state(1.0)}
    found = find_differences(expected, rebuilt, 3)
    assert found.keys == ("b", "c", "d", "e")
    assert [(one.key, one.field, one.delta) for one in found.listed] == [
        ("b", "amount_sum", 0.0), ("c", "amount_sum", -0.25), ("c", "event_count", -1),
    ]  # fmt: skip
    assert (found.count, found.by_field) == (5, {"amount_sum": 2, "event_count": 1, "": 2})
    assert found.listed[0].to_document() == {
        "key": "b", "field": "amount_sum", "expected": 3, "rebuilt": 3.0, "delta": 0.0,
    }  # fmt: skip


def test_an_event_lost_among_equal_ones_has_the_others_as_alternatives() -> None:
    events = [event(at, amount) for at, amount in enumerate([5.0, 7.0, 5.0, 5.0])]
    told = tell({"flow_id:a": state(7.0, 5.0, 5.0)}, {"flow_id:a": state(5.0, 7.0, 5.0, 5.0)}, events)
    (cause,) = told["causes"]
    assert (cause["cause"], cause["key"], cause["field"], cause["tested"]) == ("EVENT_MISSING", "flow_id:a", None, True)
    assert [one["offset"] for one in cause["positions"]] == ["0"]
    assert [one["positions"][0]["offset"] for one in cause["alternatives"]] == ["2", "3"]
    assert cause["alternative_count"] == 2


def test_equal_features_under_another_stated_revision() -> None:
    same = {"flow_id:a": state(1.0)}
    told = explain(
        find_differences(same, same), same, same, Archive([]), Law(OnlineCoreRules(), RUN, {}),
        stated=Stated({"revision": "r2"}, {"revision": "r1"}),
    )  # fmt: skip
    assert [(one.kind.value, one.keys, one.tested) for one in told.causes] == [("PROFILE_REVISION", (), True)]
    assert told.members == {"feature_def_policy_rev": {"revision": "r2"}}


def test_equal_features_and_revision_are_unknown() -> None:
    (cause,) = tell({}, {}, [])["causes"]
    assert (cause["cause"], cause["key"], cause["tested"]) == ("UNKNOWN", None, False)


@pytest.mark.parametrize(
    "other", [{**state(1.0), "x": 1}, {**state(1.0), "event_count": 0}, 7, {**state(1.0), "amount_sum": 1}]
)
def test_a_state_that_no_events_can_give(other: Any) -> None:
    (cause,) = tell({"flow_id:a": other}, {"flow_id:a": state(1.0)}, [event(0, 1.0)])["causes"]
    assert cause["cause"] == "UNKNOWN"
    assert "none that counts" in cause["detail"]


def test_deliveries_that_do_not_make_the_rebuilt_state_explain_nothing() -> None:
    told = tell({"flow_id:a": state(1.0)}, {"flow_id:a": state(1.0, 2.0, 3.0)}, [event(0, 1.0), event(1, 2.0)])
    assert "do not make the rebuilt state" in told["causes"][0]["detail"]
    assert told["cause_counts"] == {"UNKNOWN": 1}


def test_other_amount_fields_need_a_witness() -> None:
    events = [event(0, 4.0)]
    expected, rebuilt = (
        {"flow_id:a": state(0.0), "flow_id:b": state(9.0)},
        {"flow_id:a": state(4.0), "flow_id:b": state(9.0)},
    )
    told = tell(expected, rebuilt, events)
    assert told["cause_counts"] == {"UNKNOWN": 1}
    assert any("other rules" in one for one in told["limits"])
    with_witness = tell(expected, rebuilt, [*events, event(5, 9.0, "b")])
    assert with_witness["cause_counts"] == {"UNKNOWN": 1}
    alone = tell({"flow_id:a": state(0.0)}, {"flow_id:a": state(4.0)}, events)
    assert alone["cause_counts"] == {"AMOUNT_FIELD": 1}
    assert alone["causes"][0]["rules"]["amount_fields"] == []


def test_an_end_is_moved_only_where_every_record_is_given() -> None:
    events = [event(at, float(at)) for at in range(4)]
    expected, rebuilt = {"flow_id:a": state(0.0, 1.0)}, {"flow_id:a": state(0.0, 1.0, 2.0)}
    (cause,) = tell(expected, rebuilt, events, 2, whole={(TOPIC, 0): (1, 3)})["causes"]
    assert (cause["cause"], cause["ends"]) == (
        "WINDOW_END", [{"topic": TOPIC, "partition": 0, "stated": "2", "found": "1"}],
    )  # fmt: skip
    (cause,) = tell(expected, rebuilt, events, 2)["causes"]
    assert cause["cause"] == "EVENT_MISSING"


def test_keys_whose_records_are_not_given_are_unknown_and_said_so() -> None:
    expected = {"flow_id:a": state(1.0), "flow_id:b": state(1.0)}
    rebuilt = {"flow_id:a": state(1.0, 2.0), "flow_id:b": state(1.0, 2.0)}
    told = tell(expected, rebuilt, [event(0, 1.0), event(1, 2.0)], keys=["flow_id:a"])
    assert told["cause_counts"] == {"EVENT_MISSING": 1, "UNKNOWN": 1}
    assert told["limits"]


def test_a_bound_that_is_hit_is_said() -> None:
    events = [event(at, 0.1 * at) for at in range(8)]
    rebuilt = {"flow_id:a": state(*(0.1 * at for at in range(8)))}
    expected = {"flow_id:a": state(*(0.1 * at for at in range(7)))}
    told = tell(expected, rebuilt, events, bounds=Bounds(additions=3))
    assert told["cause_counts"] == {"UNKNOWN": 1}
    assert any("float additions" in one for one in told["limits"])
    told = tell(expected, rebuilt, events, bounds=Bounds(keys=0))
    assert told["limits"][-1].startswith("0 of 1 differing key were")


def test_one_way_of_adding_is_looked_for_over_as_many_keys_as_are_looked_at_one_by_one() -> None:
    amounts = [0.1, 0.2, 0.3]
    events = [
        event(3 * at + place, amount, flow) for at, flow in enumerate("ab") for place, amount in enumerate(amounts)
    ]
    rebuilt = {f"flow_id:{flow}": state(*amounts) for flow in "ab"}
    expected = {f"flow_id:{flow}": state(*reversed(amounts)) for flow in "ab"}
    (cause,) = tell(expected, rebuilt, events, bounds=Bounds(keys=2))["causes"]
    assert (cause["cause"], cause["keys"]) == ("ADDITION_ORDER", ["flow_id:a", "flow_id:b"])
    told = tell(expected, rebuilt, events, bounds=Bounds(keys=1))
    assert told["cause_counts"] == {"ADDITION_ORDER": 1, "UNKNOWN": 1}
    assert any(one.startswith("1 of 2 differing keys") for one in told["limits"])


def test_one_event_added_late_is_an_order_of_additions() -> None:
    amounts = [0.1, 1e16, -1e16, 0.3, 0.7]
    events = [event(at, amount) for at, amount in enumerate(amounts)]
    expected = {"flow_id:a": state(1e16, -1e16, 0.1, 0.3, 0.7)}
    (cause,) = tell(expected, {"flow_id:a": state(*amounts)}, events)["causes"]
    assert (cause["cause"], cause["tested"], cause["field"]) == ("ADDITION_ORDER", True, "amount_sum")


def test_a_key_with_a_hundred_thousand_events_is_explained_in_seconds() -> None:
    rng = Random(3)
    events = [event(at, round(rng.uniform(1, 900), 2)) for at in range(100_000)]
    amounts = [one.payload["amount"] for one in events]
    rebuilt = {"flow_id:a": {**state(0.0), "event_count": len(amounts), "amount_sum": add_up(amounts)}}  # type: ignore[arg-type]
    kept = [*amounts[:70_000], *amounts[70_001:]]
    expected = {"flow_id:a": {**state(0.0), "event_count": len(kept), "amount_sum": add_up(kept)}}  # type: ignore[arg-type]
    started = time.process_time()
    (cause,) = tell(expected, rebuilt, events, 10**6)["causes"]
    took = time.process_time() - started
    assert cause["cause"] == "EVENT_MISSING"
    shown = [*cause["positions"], *(one["positions"][0] for one in cause.get("alternatives", []))]
    assert "70000" in [one["offset"] for one in shown] or cause["alternative_count"] > 20
    assert took < 60


def test_the_platforms_kinds_of_offsets_are_told_as_text() -> None:
    world = make_world(Random(11), 1)
    rebuilt = world.plane().run_over(world.deliveries)
    offsets = sorted(d.offset for d in world.deliveries)
    back = {place: offsets[offsets.index(end) - 3] for place, end in world.ends.items()}
    expected = world.plane(ends=back).run_over(world.deliveries)
    told = explain_world(replace(world, offset_kind="kinesis_sequence"), expected, rebuilt)
    (shift,) = told.causes[0].ends
    assert int(shift.found or "-1") in offsets
    assert int(shift.found or "-1") < int(shift.stated or "-1")
