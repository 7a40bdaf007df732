"""The build plan: plan_id moves with every pin and with nothing that surrounds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest

from ofs_spark.foundation import contracts
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.policy import load_policy
from ofs_spark.foundation.positions import hash_basis, select_sources
from ofs_spark.intent.admission import read_scope
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.plan import SCHEMA_VERSION, Archive, BuildPlan, find_differences, require_platform
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.run_facts import Context, RunFacts
from tests.spec.intents import BASE, ROOT, edited, intent

POLICY = load_policy(ROOT / "conf" / "policy")
PROFILE = (
    b"policy_id: p\nrevision: r\nfeature_groups:\n"
    b"  - {name: g, version: v1, key: [payload.card], features: [{name: n, aggregate: count}]}\n"
)
EXTRACT = {
    "ref": "label_store/extract/label_extract.json",
    "label_store_id": "ls",
    "marker": "commit-000001",
    "committed_up_to_utc": "2026-06-01T00:00:00.000000Z",
    "digest": "e" * 64,
    "row_count": 0,
}


def plan() -> BuildPlan:
    asked = intent(BASE)
    return BuildPlan(
        asked,
        read_scope(asked),
        read_profile(MemoryObjects({"g.yaml": PROFILE}), "g", "v1"),
        RunFacts("sr/facts.json", "f" * 64, ()),
        Archive("archive/segment_index.json", "a" * 64, "b" * 64, (), 10),
        {"extract": EXTRACT, "rule": "ls.resolved.v0"},
        POLICY,
        "git:0000000",
        (),
        select_sources(asked.basis),
    )


Change = Callable[[BuildPlan], BuildPlan]


def labels(p: BuildPlan, **extract: Any) -> BuildPlan:
    return replace(p, labels={**p.labels, "extract": {**EXTRACT, **extract}})


def asking(p: BuildPlan, pointer: str, value: Any) -> BuildPlan:
    return replace(p, intent=intent(edited(BASE, pointer, value)))


PINS: dict[str, Change] = {
    "the intent's meaning": lambda p: asking(p, "/label_basis/label_asof_utc", "2026-01-01T00:00:00Z"),
    "the basis": lambda p: asking(p, "/replay_basis/0/start_offset", "1"),
    "the selected features": lambda p: replace(p, profile=replace(p.profile, set_digest="0" * 64)),
    "the run facts": lambda p: replace(p, run_facts=replace(p.run_facts, digest="0" * 64)),
    "a context": lambda p: replace(p, run_facts=replace(p.run_facts, contexts=(Context("m", "c/m", "0" * 64),))),
    "the archive's slice": lambda p: replace(p, archive=replace(p.archive, slice_digest="0" * 64)),
    "the label rule": lambda p: replace(p, labels={**p.labels, "rule": "ls.latest_observed.v0"}),
    "the label store's marker": lambda p: labels(p, marker="commit-000002"),
    "the extract": lambda p: labels(p, digest="0" * 64),
    "the policy": lambda p: replace(p, policy=replace(POLICY, file_digests={"layout.yaml": "0" * 64})),
    "the code": lambda p: replace(p, release="git:1111111"),
}
SURROUNDINGS: dict[str, Change] = {
    "the request": lambda p: asking(p, "/request_id", "another.request.0001"),
    "other groups of the profile": lambda p: replace(p, profile=replace(p.profile, digest="0" * 64, revision="r9")),
    "a grown index": lambda p: replace(p, archive=replace(p.archive, index_digest="0" * 64)),
    "bounds of a run": lambda p: replace(p, policy=replace(POLICY, attempts=99, lease_seconds=7)),
    "names of revisions": lambda p: replace(p, policy=replace(POLICY, policy_revision="x", config_revision="y")),
    "where the extract stands": lambda p: labels(p, ref="elsewhere.json"),
    "what was said aloud": lambda p: replace(p, differences=("said",)),
}


@pytest.mark.parametrize("change", PINS.values(), ids=PINS.keys())
def test_every_pin_moves_the_plan(change: Change) -> None:
    assert change(plan()).plan_id != plan().plan_id


@pytest.mark.parametrize("change", SURROUNDINGS.values(), ids=SURROUNDINGS.keys())
def test_what_surrounds_the_dataset_does_not(change: Change) -> None:
    changed = change(plan())
    assert changed != plan()
    assert changed.plan_id == plan().plan_id


def test_the_document_holds_the_value_whose_digest_is_plan_id() -> None:
    made = plan()
    document = made.to_document()
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["pins"] == made.pins
    assert document["basis_hash"] == made.pins["basis_hash"] == hash_basis(made.intent.basis)
    pointers = {fault.pointer for fault in contracts.find_faults(document, SCHEMA_VERSION)}
    assert all(pointer.startswith("/labels") for pointer in pointers), pointers  # the labels here are only their pins


Kind = Literal["local", "dev", "prod"]
NAMED = {
    "/ofs_code_release_id": "CODE_RELEASE_MISMATCH",
    "/policy_revision": "POLICY_REVISION_MISMATCH",
    "/config_revision": "CONFIG_REVISION_MISMATCH",
}
AGREED = {
    "ofs_code_release_id": "git:0000000",
    "policy_revision": POLICY.policy_revision,
    "config_revision": POLICY.config_revision,
}


@pytest.mark.parametrize("pointer", NAMED)
def test_a_prod_wiring_refuses_what_others_say_aloud(pointer: str) -> None:
    other = intent(edited({**BASE, **AGREED}, pointer, "another"))
    kinds: tuple[Kind, ...] = ("local", "dev")
    for kind in kinds:
        (said,) = find_differences(other, POLICY, "git:0000000", kind)
        assert said.startswith(f"{pointer[1:]} is another in the intent, ")
    with pytest.raises(Refusal, match=NAMED[pointer]) as caught:
        find_differences(other, POLICY, "git:0000000", "prod")
    assert caught.value.exit_status == 20


def test_nothing_is_said_where_all_agree_and_all_is_told_where_none_does() -> None:
    assert find_differences(intent({**BASE, **AGREED}), POLICY, "git:0000000", "prod") == ()
    strange = {**BASE, **dict.fromkeys(AGREED, "another")}
    with pytest.raises(Refusal) as caught:
        find_differences(intent(strange), POLICY, "git:0000000", "prod")
    assert [fault["code"] for fault in caught.value.details["faults"]] == list(NAMED.values())


def test_a_prod_wiring_admits_no_own_data() -> None:
    own = {"sr/facts.json": "ofs_import", "archive/segment_index.json": "ofs_import", "labels.json": None}
    require_platform(own, "local")
    require_platform(own, "dev")
    require_platform({"sr/facts.json": None, "labels.json": "labels.jsonl"}, "prod")
    with pytest.raises(Refusal) as caught:
        require_platform(own, "prod")
    assert (caught.value.code, caught.value.exit_status) == ("ORIGIN_NOT_ADMISSIBLE", 20)
    assert [fault["ref"] for fault in caught.value.details["faults"]] == ["archive/segment_index.json", "sr/facts.json"]
