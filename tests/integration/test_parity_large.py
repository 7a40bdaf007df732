"""Causes that concern all keys of an archive with more records than an explanation holds: proven by replaying it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ofs_spark.parity.causes import LISTED
from ofs_spark.parity.differences import find_differences
from ofs_spark.workflow import parity_explain
from tests.worlds.large_online import LargeWorld, write_large_world
from tests.worlds.model import TOPIC
from tests.worlds.snapshots import Document

RECORDS = 104_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> LargeWorld:
    return write_large_world(tmp_path_factory.mktemp("large"), RECORDS)


@pytest.fixture(scope="module")
def rebuilt(large: LargeWorld) -> Document:
    return dict(large.snapshot()["features"])


FAULTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "amounts": ("AMOUNT_FIELD", {"amount_fields": ("fee", "amount")}),
    "keys": ("KEY_PRECEDENCE", {"key_fields": ("account", "flow_id", "event_id")}),
    "ends": ("WINDOW_END", {"moved": {0: 250, 1: -180}}),
    "order": ("ADDITION_ORDER", {"order": "reverse"}),
    "sums": ("ADDITION_ORDER", {"order": "fsum"}),
}


def check_one_cause(large: LargeWorld, rebuilt: Document, name: str) -> Document:
    """The one cause of every differing key, told with all its keys."""
    kind, faults = FAULTS[name]
    snapshot = large.snapshot(**faults)
    differing = find_differences(snapshot["features"], rebuilt).keys
    result = large.explain(f"large.{name}", snapshot)
    assert (result["category"], result["explanation"]["proven"]) == ("CONTENT_MISMATCH", True), result["explanation"]
    (cause,) = result["explanation"]["causes"]
    assert (cause["cause"], cause["tested"]) == (kind, True)
    assert len(differing) > parity_explain.KEYS
    assert (cause["key_count"], cause["keys"]) == (len(differing), list(differing[:LISTED]))
    return dict(cause)


def test_other_amount_fields_of_every_key_are_found(large: LargeWorld, rebuilt: Document) -> None:
    cause = check_one_cause(large, rebuilt, "amounts")
    assert cause["rules"]["amount_fields"] == ["fee", "amount"]
    count_applied = sum(state["event_count"] for state in rebuilt.values())
    assert cause["position_count"] == count_applied
    assert [(one["partition"], one["offset"]) for one in cause["positions"]] == [
        (0, str(at)) for at in list_first(large)
    ]


def list_first(large: LargeWorld) -> list[int]:
    """The first offsets of partition 0 that hold an event for the first time."""
    seen: set[str] = set()
    found: list[int] = []
    for one in large.deliveries:
        if one.partition == 0 and one.event_id not in seen and len(found) < LISTED:
            seen.add(one.event_id)
            found.append(one.offset)
    return found


@pytest.mark.nightly
@pytest.mark.parametrize("name", FAULTS)
def test_every_cause_of_all_keys_is_found(name: str, large: LargeWorld, rebuilt: Document) -> None:
    cause = check_one_cause(large, rebuilt, name)
    if name == "keys":
        assert cause["rules"]["key_precedence"][0] == "account"
        assert cause["position_count"] == sum(state["event_count"] for state in rebuilt.values())
    if name == "ends":
        ends = {one["partition"]: int(one["found"]) - int(one["stated"]) for one in cause["ends"]}
        told = {partition: count_between(large, partition, moved) for partition, moved in ((0, 250), (1, -180))}
        assert ends[0] > 0 > ends[1]
        assert cause["position_count"] == sum(told.values())
    if name in ("order", "sums"):
        assert cause["field"] == "amount_sum"


def count_between(large: LargeWorld, partition: int, moved: int) -> int:
    """Events that are applied first between an end and where it was moved to."""
    end = large.ends[TOPIC, partition]
    low, high = sorted((end, end + moved))
    first: dict[str, int] = {}
    for one in large.deliveries:
        if one.partition == partition:
            first.setdefault(one.event_id, one.offset)
    return sum(low < offset <= high for offset in first.values())


@pytest.mark.nightly
def test_a_revision_that_is_stated_alone_needs_no_record(large: LargeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = large.snapshot()
    stated = {**snapshot["feature_def_policy_rev"], "revision": "r2"}
    monkeypatch.setattr(parity_explain, "find_records", None)
    from tests.worlds.snapshots import seal

    result = large.explain("large.revision", seal({**snapshot, "feature_def_policy_rev": stated}))
    assert (result["category"], result["explanation"]["proven"]) == ("VERSION_MISMATCH", True)
    assert [one["cause"] for one in result["explanation"]["causes"]] == ["PROFILE_REVISION"]


@pytest.mark.nightly
def test_a_fault_that_no_cause_of_all_keys_explains_stays_unknown(large: LargeWorld, rebuilt: Document) -> None:
    """One key of many is wrong beside a fault of all: what fits the keys that were looked at is not told."""
    snapshot = large.snapshot(amount_fields=("fee",))
    spoiled = max(rebuilt, key=lambda key: rebuilt[key]["event_count"])
    snapshot["features"][spoiled]["amount_sum"] += 1.0
    from tests.worlds.snapshots import seal

    result = large.explain("large.spoiled", seal(snapshot))
    explanation = result["explanation"]
    assert explanation["proven"] is False
    assert "AMOUNT_FIELD" not in explanation["cause_counts"], json.dumps(explanation)[:2000]
    assert "UNKNOWN" in explanation["cause_counts"]
