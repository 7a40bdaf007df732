"""`ofs parity` over the platform's own snapshots: each outcome as it is specified, the run like any other run."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from ofs_spark.foundation.errors import Refusal
from tests.worlds.sabotage import flip_byte
from tests.worlds.snapshots import (
    GOLDEN,
    RUN,
    SNAPSHOTS,
    TOPIC,
    Document,
    OnlineWorld,
    changed,
    seal,
    write_online_world,
)

OTHER = "ab" * 32


@pytest.fixture
def world(tmp_path: Path) -> OnlineWorld:
    return write_online_world(tmp_path)


def compare(world: OnlineWorld, document: Document, **members: Any) -> Document:
    """The one result of an anchor."""
    answer = world.compare(world.ask("parity_rebuild", "parity.0001", world.put_anchor("own", document), **members))
    (result,) = answer["results"]
    assert answer["outcome"] == result["outcome"]
    return dict(result)


def test_the_platforms_own_snapshots_match_with_its_own_counts(world: OnlineWorld) -> None:
    refs = tuple(f"{RUN}/ofp/{number}.json" for number in range(3))
    answer = world.compare(world.ask("parity_rebuild", "parity.0001"), refs)
    assert answer["outcome"] == "MATCH"
    assert answer["counts"] == {"anchors": 3, "match": 3, "mismatch": 0, "uncheckable": 0}
    assert [one["rebuilt_hash"] for one in answer["results"]] == [one["snapshot_hash"] for one in SNAPSHOTS]
    counted = json.loads((GOLDEN / "counters.json").read_bytes())
    counts = answer["results"][2]["counts"]
    assert (counts["seen"], counts["applied"]) == (counted["events_seen"], counted["events_applied"])
    for name in ("duplicates", "payload_hash_mismatch", "ignored_event_type"):
        assert counts[name] == counted[name]
    rows = DeltaTable(str(world.objects / answer["results_ref"])).to_pyarrow_table().to_pylist()
    assert [(one["anchor_ref"], one["outcome"], one["applied"]) for one in rows] == [
        (ref, "MATCH", one["counts"]["applied"]) for ref, one in zip(refs, answer["results"], strict=True)
    ]


def test_one_anchor_replays_its_own_offsets_and_no_more(world: OnlineWorld) -> None:
    answer = world.compare(world.ask("parity_rebuild", "parity.0001", f"{RUN}/ofp/0.json"))
    assert answer["outcome"] == "MATCH"
    report = world.read(answer["report_ref"])
    receipt = world.read(report["evidence"]["replay_completeness"]["ref"])
    (asked,) = receipt["ranges"]
    assert (asked["range"]["start"], asked["range"]["end_exclusive"], asked["positions"]) == ("0", "400", 400)
    assert report["training_dataset"] is False


def decide(**members: Any) -> Document:
    """A decision payload over the second snapshot."""
    kept = ("snapshot_hash", "eb_offset_basis", "pins", "run_config_digest")
    own = {name: SNAPSHOTS[1][name] for name in kept}
    return {"decision_id": "d1", "graph_version": None, "snapshot_ref": f"{RUN}/ofp/1.json", **own, **members}


KINDS: dict[str, Document] = {
    "decision": decide(),
    "audit": {**{name: value for name, value in decide().items() if name != "decision_id"}, "audit_id": "a1"},
    "decision without its snapshot": decide(snapshot_ref=f"{RUN}/ofp/nowhere.json"),
    "decision that names none": decide(snapshot_ref=None),
}


@pytest.mark.parametrize("name", KINDS)
def test_audit_records_and_decisions_are_anchors(name: str, world: OnlineWorld) -> None:
    result = compare(world, KINDS[name])
    assert (result["outcome"], result["kind"]) == ("MATCH", name.split(" ")[0])


def without(document: Document, *names: str) -> Document:
    return {name: value for name, value in document.items() if name not in names}


def shift_basis(snapshot: Document, **members: Any) -> None:
    snapshot["eb_offset_basis"].update(members)


def spoil(name: str, field: str, value: Any) -> Callable[[Document], object]:
    return lambda snapshot: snapshot["features"][name].update({field: value})


BODILESS = decide(snapshot_ref=None, eb_offset_basis=without(SNAPSHOTS[1]["eb_offset_basis"], "window_end_utc"))
OUTCOMES: dict[str, tuple[Document, str, str | None, str]] = {
    "another digest of the basis": (
        seal(changed(1, lambda one: shift_basis(one, basis_digest=OTHER))), "MISMATCH", "BASIS_MISMATCH", "basis_digest",
    ),
    "another revision": (
        seal(changed(1, lambda one: one["feature_def_policy_rev"].update(revision="r2"))),
        "MISMATCH", "VERSION_MISMATCH", "r2",
    ),
    "another profile digest": (
        seal(changed(1, lambda one: one["feature_def_policy_rev"].update(content_digest=OTHER))),
        "MISMATCH", "VERSION_MISMATCH", "content_digest",
    ),
    "another group": (
        seal(changed(1, lambda one: one["feature_groups"].append({"name": "more", "version": "v1"}))),
        "MISMATCH", "VERSION_MISMATCH", "the intent's feature set does not name more@v1",
    ),
    "two other groups, and not the set's own": (
        seal(changed(1, lambda one: one.update(feature_groups=[
            {"name": "b", "version": "v2"}, {"name": "a", "version": "v1"}]))),
        "MISMATCH", "VERSION_MISMATCH", "does not name a@v1, b@v2; the snapshot has no core_features@v1",
    ),
    "another run config than its snapshot's": (
        decide(run_config_digest=OTHER), "MISMATCH", "VERSION_MISMATCH", "run_config_digest",
    ),
    "a hash that is not its content's": (
        {**deepcopy(SNAPSHOTS[1]), "snapshot_hash": OTHER}, "MISMATCH", "CANONICALIZATION_MISMATCH", "equal",
    ),
    "another count": (
        seal(changed(1, spoil("flow_id:flow-1", "event_count", 99))), "MISMATCH", "CONTENT_MISMATCH", "1 key differs",
    ),
    "a decision with another hash and no body": (
        decide(snapshot_hash=OTHER), "MISMATCH", "CONTENT_MISMATCH", "no body can be compared",
    ),
    "no time and no body": (BODILESS, "UNCHECKABLE", None, "as_of_time_utc"),
    "a partition that is not archived": (
        seal(changed(1, lambda one: one["eb_offset_basis"]["offsets"].append({"partition": 7, "offset": "3"}))),
        "UNCHECKABLE", None, "partition 7",
    ),
    "offsets beyond the intent's": (
        seal(changed(1, lambda one: one["eb_offset_basis"]["offsets"][0].update(offset="440"))),
        "MISMATCH", "BASIS_MISMATCH", "the intent's basis does not hold",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_way_to_differ_has_its_outcome(name: str, world: OnlineWorld) -> None:
    document, outcome, category, reason = OUTCOMES[name]
    result = compare(world, document)
    assert (result["outcome"], result["category"]) == (outcome, category), result
    assert reason in result["reason"]
    assert (result["rebuilt_hash"] is None) == (name in {
        "no time and no body", "a partition that is not archived", "offsets beyond the intent's",
    })  # fmt: skip


def test_a_basis_that_begins_after_the_archive_is_no_basis_of_a_snapshot(world: OnlineWorld) -> None:
    late = {"topic": TOPIC, "partition": 0, "offset_kind": "file_line", "start_offset": "1", "end_offset": "430"}
    result = compare(world, SNAPSHOTS[1], replay_basis=[late])
    assert (result["outcome"], result["category"]) == ("MISMATCH", "BASIS_MISMATCH")


def find_segment(world: OnlineWorld, number: int) -> Path:
    return sorted(world.objects.glob(f"{RUN}/archive/segments/*/*/*.parquet"))[number]


@pytest.mark.parametrize("damage", [flip_byte, Path.unlink])
def test_an_archive_range_that_cannot_be_read_is_uncheckable(damage: Callable[[Path], Any], world: OnlineWorld) -> None:
    damage(find_segment(world, 1))
    result = compare(world, SNAPSHOTS[1])
    assert (result["outcome"], result["category"]) == ("UNCHECKABLE", None)
    assert result["prerequisite"] == "REPLAY_UNCHECKABLE"
    assert "00100.parquet" in result["reason"]


def test_damage_beyond_an_anchors_end_is_nothing_to_it(world: OnlineWorld) -> None:
    flip_byte(find_segment(world, 4))
    refs = tuple(f"{RUN}/ofp/{number}.json" for number in range(2))
    answer = world.compare(world.ask("parity_rebuild", "parity.0001"), refs)
    found = {one["anchor_ref"]: one["outcome"] for one in answer["results"]}
    assert found == {refs[0]: "MATCH", refs[1]: "UNCHECKABLE"}
    assert answer["outcome"] == "UNCHECKABLE"


def test_offsets_that_the_archive_lacks_are_a_data_gap(world: OnlineWorld) -> None:
    index_path = world.objects / RUN / "archive" / "segment_index.json"
    index = json.loads(index_path.read_bytes())
    del index["segments"][1]
    from tests.worlds.model import digest

    own = {name: value for name, value in index.items() if name != "digest"}
    index_path.write_text(json.dumps({**own, "digest": digest(own)}))
    result = compare(world, SNAPSHOTS[1])
    assert (result["outcome"], result["category"]) == ("MISMATCH", "DATA_GAP")
    assert "100 offsets" in result["reason"]


NO_ANCHORS: dict[str, Document | bytes] = {
    "no kind": without(SNAPSHOTS[1], "features"),
    "two kinds": {**SNAPSHOTS[1], "decision_id": "d1"},
    "no object": b"[]",
    "no JSON": b"{",
    "no hash": without(SNAPSHOTS[1], "snapshot_hash"),
    "another run": changed(1, lambda one: one["pins"].update(platform_run_id="platform_20260101T000000Z")),
    "a partition twice": changed(1, lambda one: one["eb_offset_basis"]["offsets"].append(
        {"topic": TOPIC, "partition": 0, "offset": "3"})),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_ANCHORS)
def test_what_is_no_anchor_is_refused_and_one_of_many_is_a_result(name: str, world: OnlineWorld) -> None:
    ref = world.put_anchor("own", NO_ANCHORS[name])
    with pytest.raises(Refusal, match="PARITY_ANCHOR_INVALID"):
        world.compare(world.ask("parity_rebuild", "parity.0001", ref))
    answer = world.compare(world.ask("parity_rebuild", "parity.0002"), (f"{RUN}/ofp/0.json", ref))
    found = {one["anchor_ref"]: one for one in answer["results"]}
    assert found[f"{RUN}/ofp/0.json"]["outcome"] == "MATCH"
    assert (found[ref]["outcome"], found[ref]["prerequisite"]) == ("UNCHECKABLE", "PARITY_ANCHOR_INVALID")


def test_refs_are_protected_and_scoped(world: OnlineWorld) -> None:
    for ref, code in ((f"{RUN}/ofp/nowhere.json", "REF_ACCESS_DENIED"), ("../x.json", "REF_SCOPE_INVALID")):
        with pytest.raises(Refusal, match=code):
            world.compare(world.ask("parity_rebuild", f"parity.{code}", ref))
    world.compare(world.ask("parity_rebuild", "parity.0001", f"{RUN}/ofp/0.json"))
    told = world.read(f"{RUN}/learning/reconciliation/ofs_reconciliation.json")
    assert told["protected_refs"]["denied"] == 1
    assert told["counters"]["parity_match"] == 1


def test_a_ref_is_bounded_where_it_enters(world: OnlineWorld) -> None:
    with pytest.raises(Refusal, match="PARITY_ANCHOR_INVALID"):
        world.compare(world.ask("parity_rebuild", "parity.0001"), (f"{RUN}/ofp/0.json", f"{RUN}/{'x' * 1_024}"))


def test_a_request_is_answered_again_from_its_report_and_stands_for_its_anchors(world: OnlineWorld) -> None:
    raw, refs = world.ask("parity_rebuild", "parity.0001"), (f"{RUN}/ofp/0.json", f"{RUN}/ofp/1.json")
    first = world.compare(raw, refs)
    find_segment(world, 0).unlink()
    assert world.compare(raw, refs) == first
    with pytest.raises(Refusal, match="REQUEST_ID_PAYLOAD_MISMATCH"):
        world.compare(raw, refs[:1])
    (world.objects / first["report_ref"]).unlink()
    with pytest.raises(Refusal, match="MANIFEST_ABSENT"):
        world.compare(raw, refs)


def test_a_mismatch_is_told_as_a_fact_and_counted(world: OnlineWorld) -> None:
    answer = world.compare(
        world.ask("parity_rebuild", "parity.0001", world.put_anchor("own", {**SNAPSHOTS[1], "snapshot_hash": OTHER}))
    )
    facts = [json.loads(path.read_bytes()) for path in world.objects.glob(f"{RUN}/ofs/governance/*.json")]
    (fact,) = [one for one in facts if one["event_type"] == "ParityResult"]
    assert (fact["outcome"], fact["run_key"], fact["counts"]["mismatch"]) == ("MISMATCH", answer["run_key"], 1)
    receipt = world.read(f"{RUN}/ofs/run_receipts/{answer['run_key']}.json")
    assert (receipt["outcome"], receipt["exit_status"]) == ("MISMATCH", 70)
    assert receipt["refs"]["report_ref"] == answer["report_ref"]
    told = world.read(f"{RUN}/learning/reconciliation/ofs_reconciliation.json")
    assert (told["counters"]["parity_mismatch"], told["counters"]["build_requested"], told["health"]) == (1, 0, "AMBER")


def test_what_narrows_events_is_refused(world: OnlineWorld) -> None:
    raw = json.loads(world.ask("parity_rebuild", "parity.0001", f"{RUN}/ofp/0.json"))
    with pytest.raises(Refusal, match="FILTER_UNSUPPORTED"):
        world.compare(json.dumps({**raw, "filters": {"event_types": ["card_payment"]}}).encode())
    with pytest.raises(Refusal, match="PARITY_ANCHOR_INVALID"):
        world.compare(world.ask("parity_rebuild", "parity.0002"))


def test_a_planted_duplicate_is_explained_by_its_offset(world: OnlineWorld) -> None:
    """The online plane applied a redelivery again: the second copy of an event that the archive holds twice."""
    from tests.worlds.snapshots import RECORDS

    seen: dict[str, Document] = {}
    twice = next(
        (seen[one["event_id"]], one)
        for one in RECORDS
        if (
            one["event_id"] in seen
            and one["envelope"] == seen[one["event_id"]]["envelope"]
            and "flow_id" in one["envelope"]["payload"]
        )
        or seen.update({one["event_id"]: one})
    )
    copy = twice[1]
    payload = copy["envelope"]["payload"]
    key = f"flow_id:{payload['flow_id']}"

    def apply_again(snapshot: Document) -> None:
        amounts = [
            one["envelope"]["payload"]["amount"] for one in list_applied(key, again=copy["origin_offset"]["offset"])
        ]
        total = 0.0
        for amount in amounts:
            total += float(amount)
        snapshot["features"][key].update(event_count=len(amounts), amount_sum=total)

    result = compare(world, seal(changed(1, apply_again)))
    assert (result["category"], result["explanation"]["proven"]) == ("CONTENT_MISMATCH", True)
    (cause,) = result["explanation"]["causes"]
    assert (cause["cause"], cause["key"], cause["tested"]) == ("DUPLICATE_APPLIED", key, True)
    assert copy["origin_offset"]["offset"] in [one["offset"] for one in cause["positions"]]


def list_applied(key: str, again: str) -> list[Document]:
    """The records of a key that a plane applies which takes the one at offset `again` for a new event."""
    from tests.worlds.snapshots import RECORDS

    seen: set[str] = set()
    found = []
    for one in RECORDS:
        offset, fresh = one["origin_offset"]["offset"], one["event_id"] not in seen
        seen.add(one["event_id"])
        if one["event_type"] in ("decision_response", "action_intent", "action_outcome"):
            continue
        if (fresh or offset == again) and f"flow_id:{one['envelope']['payload'].get('flow_id')}" == key:
            found.append(one)
    return found
