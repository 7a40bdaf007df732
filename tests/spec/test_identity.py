"""Identities: the platform's own numbers, and the near-misses that must never meet."""

from __future__ import annotations

import json
import subprocess
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ofs_spark.foundation import contracts
from ofs_spark.intent.answers import answer_identity
from ofs_spark.intent.identity import compose_manifest_v0, describe_slices, fingerprint_dataset, hash_intent_payload
from ofs_spark.intent.model import V1
from tests.spec.intents import BASE, BASE_V1, DROP, ROOT, edited, intent, raw

VECTORS = json.loads((ROOT / "tests/golden/identities.json").read_text())
IDS = ("run_key", "intent_payload_hash", "dataset_fingerprint", "dataset_manifest_id")


def shuffled(value: Any, random: Random) -> Any:
    """The same document with the members of every object in another order."""
    if isinstance(value, dict):
        names = random.sample(list(value), len(value))
        return {name: shuffled(value[name], random) for name in names}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["intent"]["request_id"])
def test_the_platforms_vectors(vector: dict[str, Any]) -> None:
    answer = answer_identity(raw(vector["intent"]))
    assert {name: answer[name] for name in IDS} == {name: vector[name] for name in IDS}
    assert answer["request_id"] == vector["intent"]["request_id"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["intent"]["request_id"])
def test_the_v0_manifest_view(vector: dict[str, Any]) -> None:
    """Equal to the platform's but for the order of slices: the view lists them in the identity's order."""
    read = intent(vector["intent"])
    view, platform = compose_manifest_v0(read), vector["manifest_v0"]
    in_order = sorted(
        platform["replay_basis"], key=lambda s: (s["topic"], s["partition"], s["offset_kind"], s["start_offset"])
    )
    assert view == {**platform, "replay_basis": in_order}
    assert contracts.find_faults(view, "learning.dataset_manifest.v0") == []


@given(st.sampled_from([*(vector["intent"] for vector in VECTORS), BASE, BASE_V1]), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_no_order_of_keys_slices_or_runs_matters(document: dict[str, Any], random: Random) -> None:
    other = shuffled(document, random)
    for name in ("replay_basis", "scenario_run_ids"):
        if name in other:
            random.shuffle(other[name])
    assert fingerprint_dataset(intent(other)) == fingerprint_dataset(intent(document))


MEANS_THE_SAME = {
    "request_id": "another.request",
    "intent_kind": "parity_rebuild",
    "run_facts_ref": "elsewhere.json",
    "parity_anchor_ref": "anchor.json",
    "non_training_allowed": True,
}


@pytest.mark.parametrize(("member", "value"), MEANS_THE_SAME.items())
def test_v0_members_outside_the_identity(member: str, value: Any) -> None:
    other = intent({**BASE, member: value})
    assert fingerprint_dataset(other) == fingerprint_dataset(intent(BASE))
    assert hash_intent_payload(other) != hash_intent_payload(intent(BASE))


def test_defaults_written_out_are_the_same_request() -> None:
    bare = {
        name: value for name, value in BASE.items() if name not in ("join_scope", "filters", "non_training_allowed")
    }
    spelled = {**bare, "join_scope": {}, "filters": {}, "non_training_allowed": False}
    assert hash_intent_payload(intent(bare)) == hash_intent_payload(intent(spelled))
    assert fingerprint_dataset(intent(bare)) == fingerprint_dataset(intent(spelled))


MEANS_ANOTHER = [
    ("/platform_run_id", "platform_20260210T130701Z"),
    ("/scenario_run_ids", []),
    ("/scenario_run_ids", ["a", "b"]),
    ("/scenario_run_ids", ["a,b"]),
    ("/replay_basis/0/topic", "other"),
    ("/replay_basis/0/partition", 10),
    ("/replay_basis/0/offset_kind", "file_line"),
    ("/replay_basis/0/start_offset", "1"),
    ("/replay_basis/0/end_offset", "100000"),
    ("/replay_basis/1", DROP),
    ("/label_basis/label_asof_utc", "2026-03-12T00:00:00.000001Z"),
    ("/label_basis/resolution_rule", "ls.latest_observed.v0"),
    ("/label_basis/maturity_days", 31),
    ("/label_basis/maturity_days", DROP),
    ("/feature_definition_set/feature_set_id", "card_frauds"),
    ("/feature_definition_set/feature_set_version", "v4"),
    ("/join_scope/label_types", ["chargeback_status"]),
    ("/join_scope/label_types", []),
    ("/join_scope", DROP),
    ("/join_scope/unknown", None),
    ("/filters/country", ["FR", "DE"]),
    ("/filters/country", ["DE"]),
    ("/filters/country", []),
    ("/filters/country", None),
    ("/filters/country", ["DE,FR"]),
    ("/filters/country", [1]),
    ("/filters/country", ["1"]),
    ("/filters/country", [True]),
    ("/filters/country", [1.0]),
    ("/filters", DROP),
    ("/filters/label_coverage_policy/max_conflict_ratio", 0.010000000000000002),
    ("/filters/label_coverage_policy/max_conflict_ratio", 0),
    ("/policy_revision", "ofs-policy-v1"),
    ("/config_revision", "local-parity-v1"),
    ("/ofs_code_release_id", "git:a3003325"),
]


def test_every_change_of_meaning_gives_another_id() -> None:
    for base in (BASE, edited(BASE_V1, "/replay_basis", BASE["replay_basis"])):
        documents = [base, *(edited(base, pointer, value) for pointer, value in MEANS_ANOTHER)]
        fingerprints = [fingerprint_dataset(intent(document)) for document in documents]
        assert len(set(fingerprints)) == len(documents)
        assert len({hash_intent_payload(intent(document)) for document in documents}) == len(documents)


MEANS_ANOTHER_V1 = [
    ("/label_basis/posture", "KNOW_NOW"),
    ("/non_training_allowed", True),
    ("/intent_kind", "forensic_rebuild"),
    ("/output/dataset_kind", "per_entity"),
    ("/output/anchor_time/from", "2026-02-01T00:00:00.000001Z"),
    ("/output/anchor_time", DROP),
    ("/output/splits/train", 79),
    ("/output/splits/salt", "s2"),
    ("/output/splits", DROP),
    ("/output/cut_points", ["2026-02-05T00:00:00Z"]),
    ("/output/bucket", "1h"),
    ("/output/bucket", "60m"),
    ("/supersedes", ["dm_" + "a" * 32]),
    ("/correction_stamp", "2026-03"),
]


def test_every_v1_member_that_changes_meaning_gives_another_id() -> None:
    documents = [BASE_V1]
    for pointer, value in MEANS_ANOTHER_V1:
        changed = edited(BASE_V1, pointer, value)
        if value == 79:
            changed["output"]["splits"]["test"] = 11
        documents.append(changed)
    fingerprints = [fingerprint_dataset(intent(document)) for document in documents]
    # Training or not is one bit: a dataset that must not train and one that is a forensic copy differ in nothing else.
    assert fingerprints[2] == fingerprints[3]
    assert len(set(fingerprints)) == len(documents) - 1


def test_v1_members_that_change_no_meaning() -> None:
    same = [
        edited(BASE_V1, "/backfill", {"reason_code": "LATE"}),
        edited(BASE_V1, "/label_basis/posture", DROP),
        edited(BASE_V1, "/output/dataset_kind", DROP),
        edited(BASE_V1, "/intent_kind", "backfill_rebuild"),
        edited(edited(BASE_V1, "/replay_basis", DROP), "/replay_selector", {"offsets": BASE_V1["replay_basis"]}),
        edited(
            BASE_V1, "/replay_basis", [*BASE_V1["replay_basis"], {**BASE_V1["replay_basis"][0], "start_offset": "5"}]
        ),
    ]
    assert {fingerprint_dataset(intent(document)) for document in same} == {fingerprint_dataset(intent(BASE_V1))}
    assert fingerprint_dataset(intent(BASE_V1)) != fingerprint_dataset(intent(BASE))
    two = [{**BASE_V1, "supersedes": ids} for ids in (["dm_a", "dm_b"], ["dm_b", "dm_a"])]
    assert len({fingerprint_dataset(intent(document)) for document in two}) == 1


def test_an_unresolved_window_has_no_identity_yet() -> None:
    window = json.loads((ROOT / f"contracts/examples/valid/{V1}/time_window.json").read_text())
    answer = answer_identity(raw(window))
    assert (answer["dataset_fingerprint"], answer["dataset_manifest_id"]) == (None, None)
    assert answer["blocker"]["code"] == "BASIS_UNRESOLVED"
    assert answer["run_key"]


def test_slices_are_listed_in_identity_order_with_offsets_as_text() -> None:
    basis = [
        {**BASE["replay_basis"][0], "start_offset": start, "end_offset": "200000", "partition": p}
        for p, start in ((10, "9"), (2, "9"), (2, "10"))
    ]
    listed = describe_slices(intent({**BASE, "replay_basis": basis}))
    assert [(one["partition"], one["start_offset"]) for one in listed] == [(2, "10"), (2, "9"), (10, "9")]


def test_identity_needs_no_engine() -> None:
    heavy = ("pyspark", "pyarrow", "numba", "numpy", "yaml")
    told = f"import sys, ofs_spark.intent.answers; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
