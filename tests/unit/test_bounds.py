"""Every bound of a written contract is one that was judged where its value entered, with that room's code.

The contracts of all written documents are walked; each bounded place names where its value comes from, and whatever
breaks the bound is refused there. A new bound without an entry in the table fails here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
import yaml

from ofs_spark.foundation import contracts
from ofs_spark.foundation.canonical import MAX_BYTES, digest
from ofs_spark.foundation.config import read_code_release
from ofs_spark.foundation.documents import digest_content
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.policy import load_policy
from ofs_spark.foundation.positions import Slice, resolve_basis, select_sources
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.backfill import Correction, read_backfill
from ofs_spark.intent.validate import read_intent
from ofs_spark.io.adapters import load_wiring
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.labels.extract import read_extract
from ofs_spark.labels.terms import resolve_terms
from ofs_spark.parity.anchors import read_anchors
from ofs_spark.pins.columns import INT64, Column
from ofs_spark.pins.plan import find_differences
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.run_facts import read_run_facts
from ofs_spark.publish.manifest import require_room
from ofs_spark.replay.index import prove_index
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.parity import check_features, check_parity
from tests.spec.intents import BASE, BASE_V1, DROP, ROOT, edited, intent, raw
from tests.worlds.model import FACTS_REF, RUN, run_facts

WRITTEN = (
    "learning.dataset_manifest.v0",
    "learning.dataset_manifest.v1",
    "ofs.build_plan.v1",
    "ofs.feature_parity.v1",
    "ofs.fold_record.v1",
    "ofs.forensic_record.v1",
    "ofs.forensic_snapshot.v1",
    "ofs.governance_fact.v1",
    "ofs.label_resolution.v1",
    "ofs.parity_plan.v1",
    "ofs.parity_report.v1",
    "ofs.photos.v1",
    "ofs.plan_index.v1",
    "ofs.publication_receipt.v1",
    "ofs.reconciliation.v1",
    "ofs.replay_completeness.v1",
    "ofs.run_receipt.v1",
    "ofs.scan_record.v2",
    "ofs.supersession_link.v1",
)
BOUNDS = ("maxLength", "pattern", "enum", "maximum", "maxItems")
EXAMPLES = ROOT / "contracts" / "examples" / "valid"


def example(path: str) -> dict[str, Any]:
    return dict(json.loads((EXAMPLES / path).read_text()))


# Where values enter: each function reads a document with one value put into it


def enter_intent(pointer: str, value: Any) -> None:
    document = edited(BASE_V1 if pointer.startswith(("/output", "/label_basis/posture")) else BASE, pointer, value)
    read = read_intent(raw(document), "build")
    resolve_terms(read, read_scope(read), {"min_coverage_by_label_type": {}, "max_conflict_ratio": 1}, 0)


def enter_backfill(pointer: str, value: Any) -> None:
    document = edited(edited(BASE_V1, "/output/splits", DROP), "/intent_kind", "backfill_rebuild")
    given = {**document, "supersedes": ["dm_" + "a1" * 16], "backfill": {"reason_code": "LATE"}}
    read_backfill(raw(edited(given, pointer, value)), Correction())


def enter_run_facts(pointer: str, value: Any) -> None:
    view = {**run_facts(), "locators": [{"output_id": "m", "path": "c/m"}]}
    objects = MemoryObjects({FACTS_REF: raw(edited(view, pointer, value))})
    read_run_facts(objects, FACTS_REF, RUN, (), [])


def enter_extract(pointer: str, value: Any) -> None:
    document = edited(example("label_store.extract.v0/from_json_lines.json"), pointer, value)
    read_extract(MemoryObjects({"e": raw({**document, "digest": digest_content(document)})}), "e")


def enter_index(pointer: str, value: Any) -> None:
    whole = example("archive.segment_index.v0/dense.json")
    whole["segments"][0]["gaps"] = [{"start": "0", "end": "0", "reason": "compaction"}]
    document = edited(whole, pointer, value)
    prove_index({**document, "digest": digest_content(document)}, whole["platform_run_id"])


def enter_profile(pointer: str, value: Any) -> None:
    group = {
        "name": "g", "version": "v1", "key": ["payload.card"], "windows": [dict.fromkeys(("window", "duration", "ttl"), "1h")],
        "features": [{"name": "n", "aggregate": "count", "windows": ["1h"]}],
    }  # fmt: skip
    document = edited({"policy_id": "p", "revision": "r", "feature_groups": [group]}, pointer, value)
    read_profile(MemoryObjects({"g.yaml": yaml.safe_dump(document).encode()}), "g", "v1")


def enter_policy(pointer: str, value: Any, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf" / "policy", tmp_path / "policy")
    file = tmp_path / "policy" / "revision.yaml"
    file.write_text(yaml.safe_dump(edited(yaml.safe_load(file.read_text()), pointer, value)))
    load_policy(tmp_path / "policy")


def enter_wiring(pointer: str, value: Any, tmp_path: Path) -> None:
    document = {
        "objects": {"root": "o"}, "ledger": {"dsn": "sqlite:///l"}, "profiles": {"root": "p"},
        "labels": {"kind": "extract", "ref": "e"}, "bus": {"kind": "none"},
    }  # fmt: skip
    (tmp_path / "wiring.yaml").write_text(yaml.safe_dump(edited(document, pointer, value)))
    load_wiring(tmp_path / "wiring.yaml")


def enter_tolerance(_pointer: str, value: Any, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf" / "policy", tmp_path / "policy")
    file = tmp_path / "policy" / "features.yaml"
    document = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**document, "parity_tolerances": {"g__n": {"absolute": value}}}))
    load_policy(tmp_path / "policy")


def enter_anchor(pointer: str, value: Any) -> None:
    document = edited(example("online_anchor/snapshot.json"), pointer, value)
    objects = MemoryObjects({"a": raw(document)})
    (found,) = read_anchors(objects, ["a"], document["pins"]["platform_run_id"], [])
    if isinstance(found, Refusal):
        raise found


def enter_anchor_ref(_pointer: str, value: Any) -> None:
    asked = edited({**BASE, "join_scope": {}, "parity_anchor_ref": value}, "/filters", DROP)
    read = read_intent(raw({**asked, "intent_kind": "parity_rebuild"}), "parity")
    check_parity(read, [], cast("RunContext", SimpleNamespace(objects=MemoryObjects({}))))


def enter_features_ref(_pointer: str, value: Any) -> None:
    check_features(intent(BASE), value, cast("RunContext", SimpleNamespace(objects=MemoryObjects({}))))


def enter_release(_pointer: str, value: Any) -> None:
    with mock.patch.dict(os.environ, {"OFS_CODE_RELEASE": value}):
        read_code_release()


@dataclass(frozen=True)
class Entry:
    """Where a value enters, at which place of that document, and the codes with which it is refused there."""

    enter: Callable[..., None]
    pointer: str
    codes: frozenset[str]


def at(enter: Callable[..., None], pointer: str, *codes: str) -> Entry:
    return Entry(enter, pointer, frozenset(codes))


OWN = None
"""OFS makes the value itself, from values that others bound or from words of its own."""

BASIS, PROFILE = "BASIS_UNRESOLVED", "FEATURE_PROFILE_UNRESOLVED"
TOPIC = at(enter_intent, "/replay_basis/0/topic", BASIS)
PARTITION = at(enter_intent, "/replay_basis/0/partition", BASIS)
KIND = at(enter_intent, "/replay_basis/0/offset_kind", BASIS)
START = at(enter_intent, "/replay_basis/0/start_offset", BASIS)
END = at(enter_intent, "/replay_basis/0/end_offset", BASIS)
RELEASE = at(enter_intent, "/ofs_code_release_id", "CODE_RELEASE_MISSING")
CONFIG = at(enter_intent, "/config_revision", "CONFIG_REVISION_MISSING")
RULE = at(enter_intent, "/label_basis/resolution_rule", "SCHEMA_INVALID", "LABEL_RULE_UNSUPPORTED")
POSTURE = at(enter_intent, "/label_basis/posture", "SCHEMA_INVALID")
LABEL_TYPE = at(enter_intent, "/join_scope/label_types/0", "LABEL_TYPE_SCOPE_UNRESOLVED")
SET_ID = at(enter_intent, "/feature_definition_set/feature_set_id", PROFILE)
SET_VERSION = at(enter_intent, "/feature_definition_set/feature_set_version", PROFILE)
FACTS = at(enter_intent, "/run_facts_ref", "RUN_FACTS_UNAVAILABLE")
ANCHOR = at(enter_anchor_ref, "", "PARITY_ANCHOR_INVALID", "REF_SCOPE_INVALID")
WIRED = at(enter_wiring, "/labels/ref", "ENVIRONMENT_UNFIT")
STORE = "LABEL_STORE_UNAVAILABLE"
INDEX = "ARCHIVE_INDEX_INVALID"

ENTRIES: Mapping[str, Entry | None] = {
    # the intent
    "*/request_id": at(enter_intent, "/request_id", "REQUEST_ID_INVALID"),
    "*/platform_run_id": at(enter_intent, "/platform_run_id", "RUN_SCOPE_INVALID"),
    "*/archive/segments/*/topic": at(enter_index, "/segments/0/topic", INDEX),
    "*/archive/segments/*/partition": at(enter_index, "/segments/0/partition", INDEX),
    "*/archive/segments/*/offset_kind": at(enter_index, "/segments/0/offset_kind", INDEX),
    "*/topic": TOPIC,
    "*/partition": PARTITION,
    "*/offset_kind": KIND,
    "*/start_offset": START,
    "*/end_offset": END,
    "*/scenario_run_ids/[*]": at(enter_intent, "/scenario_run_ids/0", "RUN_SCOPE_INVALID"),
    "*/label_basis/resolution_rule": RULE,
    "*/label_basis/maturity_days": at(enter_intent, "/label_basis/maturity_days", "SCHEMA_INVALID"),
    "*/posture": POSTURE,
    "*/rule": RULE,
    "*/labels/types/[*]": LABEL_TYPE,
    "*/labels/coverage/{}": LABEL_TYPE,
    "ofs.label_resolution.v1/types/{}": LABEL_TYPE,
    "*/shortfalls/*/label_type": LABEL_TYPE,
    "*/feature_set_id": SET_ID,
    "*/feature_set_version": SET_VERSION,
    "*/ofs_code_release_id": RELEASE,
    "*/code_release/requested": RELEASE,
    "*/config_revision": CONFIG,
    "*/provenance/run_config_digest": at(enter_intent, "/policy_revision", "POLICY_REVISION_MISSING"),
    "*/run_facts/ref": FACTS,
    "*/output/*": at(enter_intent, "/output/bucket", "SCHEMA_INVALID"),  # the intent's own contract, by reference
    "*/supersedes/[*]": at(enter_backfill, "/supersedes/0", "SUPERSESSION_LINK_INVALID", "SCHEMA_INVALID"),
    "*/correction_stamp": at(enter_backfill, "/correction_stamp", "SCHEMA_INVALID"),
    "*/reason_code": at(enter_backfill, "/backfill/reason_code", "SCHEMA_INVALID"),
    "*/superseded": OWN, "*/successor": OWN, "*/state": OWN,
    # the others
    "*/contexts/*/sha256": OWN, "*/extract/digest": OWN,  # of bytes that were read: computed, not taken over
    "*/contexts/*/ref": at(enter_run_facts, "/locators/0/path", "RUN_FACTS_UNAVAILABLE"),
    "*/contexts/*": at(enter_run_facts, "/locators/0/output_id", "RUN_FACTS_UNAVAILABLE"),
    "*/extract/ref": WIRED,
    "*/extract/*": at(enter_extract, "/label_store_id", STORE),
    "*/policy_id": at(enter_profile, "/policy_id", PROFILE),
    "*/feature_profile/revision": at(enter_profile, "/revision", PROFILE),
    "*/columns/*/name": at(enter_profile, "/feature_groups/0/features/0/name", PROFILE),
    "*/columns/*/group": at(enter_profile, "/feature_groups/0/name", PROFILE),
    "*/columns/*/window": at(enter_profile, "/feature_groups/0/windows/0/window", PROFILE),
    "*/columns/*/source": at(enter_profile, "/feature_groups/0/version", PROFILE),
    "*/columns/*/aggregate": at(enter_profile, "/feature_groups/0/features/0/aggregate", PROFILE),
    "*/policy/revision": at(enter_policy, "/policy_revision", "ENVIRONMENT_UNFIT"),
    "*/code_release/running": at(enter_release, "", "ENVIRONMENT_UNFIT"),
    "*/archive/segments/*/path": at(enter_index, "/segments/0/path", INDEX),
    "*/archive/segments/*/sha256": at(enter_index, "/segments/0/sha256", INDEX),
    "*/archive/segments/*/first_offset": at(enter_index, "/segments/0/first_offset", INDEX),
    "*/archive/segments/*/last_offset": at(enter_index, "/segments/0/last_offset", INDEX),
    "*/archive/segments/*/previous_last_offset": at(enter_index, "/segments/0/previous_last_offset", INDEX),
    "*/archive/segments/*/gaps/*/reason": at(enter_index, "/segments/0/gaps/0/reason", INDEX),
    "*/archive/segments/*/gaps/*/*": at(enter_index, "/segments/0/gaps/0/end", INDEX),
    "*/archive/segments/*/attested_by": at(enter_index, "/segments/0/attested_by", INDEX),
    "*/protected_refs/*/ref": WIRED,  # and the run facts' refs, which are bounded above
    # an anchor, and values logged at decision time
    "*/anchor_ref": ANCHOR,
    "*/anchor/ref": ANCHOR,
    "*/expected_hash": at(enter_anchor, "/snapshot_hash", "PARITY_ANCHOR_INVALID"),
    "*/anchor/snapshot_hash": at(enter_anchor, "/snapshot_hash", "PARITY_ANCHOR_INVALID"),
    "*/logged/ref": at(enter_features_ref, "", "REF_SCOPE_INVALID"),
    "*/intent_kind": at(enter_intent, "/intent_kind", "INTENT_KIND_UNSUPPORTED"),
    "*/feature_set/id": SET_ID,
    "*/feature_set/version": SET_VERSION,
    "*/columns/[*]/column": at(enter_profile, "/feature_groups/0/features/0/name", PROFILE),
    "*/tolerance/*": at(enter_tolerance, "", "ENVIRONMENT_UNFIT"),
    # OFS' own
    "*sha256": OWN, "*digest*": OWN, "*_hash*": OWN, "*fingerprint": OWN, "*/plan_id": OWN, "*manifest_id": OWN,
    "*/report/ref": OWN, "*/run_key": OWN, "*_id": OWN, "*/feature_set_recipe": OWN,
    "*/status": OWN, "*/source": OWN, "*/outcome": OWN, "*/exit_status": OWN, "*/code": OWN, "*/health": OWN, "*/room": OWN,
    "*/role": OWN, "*/type": OWN, "*/event_type": OWN, "*/purpose": OWN, "*/signals/{}": OWN, "*/reasons/[*]": OWN,
    "*/attempt": OWN, "*/materialization/*": OWN, "*/evidence/{}/ref": OWN, "*/gates/*/name": OWN, "*/refs/{}": OWN,
    "*/manifest/ref": OWN, "*/v0_view/ref": OWN, "*/receipt_ref": OWN, "*/index_ref": OWN, "*/feature_profile/ref": OWN,
    "*/differences/[*]": OWN, "*/problem": OWN, "*/reason": OWN, "*/arrival": OWN, "*/layout/*": OWN,
    "*/range/*": OWN, "*/basis/*": OWN, "*/samples/*": OWN, "*/missing/*": OWN,
    "*/ratios/{}": OWN, "*/thresholds/{}": OWN, "*/measure": OWN, "*/exact": OWN, "*/required": OWN,
    "*/policy/files/{}": OWN,
    "*/kind": OWN, "*/category": OWN, "*/cause": OWN, "*/offset": OWN, "*/table/path": OWN, "*/evidence/*/ref": OWN,
    "*/snapshot/ref": OWN, "*/contributions/ref": OWN, "*/rebuilt_from": OWN, "*/format": OWN, "*/prerequisites": OWN,
    "*/first": OWN, "*/first/[*]/column": OWN, "*_difference": OWN, "*/day": OWN, "*/worst": OWN, "*/worst/[*]/*": OWN,
    "*/made_of": OWN, "*/counts/[*]": OWN, "*/of": OWN, "*/undefined": OWN, "*/endless": OWN, "*/columns/[*]": OWN,
    "*_seq": OWN, "*/chosen_by": OWN, "*/shares": OWN, "*/parts": OWN,
}  # fmt: skip
"""Place of a written document, by pattern, the first that fits → where its value enters."""


def walk(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, bounds) of every bounded value; lists as [*], open mappings as {}."""
    if not isinstance(node, dict):
        return
    bounds = {name: node[name] for name in BOUNDS if name in node}
    if bounds:
        yield place, bounds
    for name, below in node.get("properties", {}).items():
        yield from walk(below, f"{place}/{name}")
    yield from walk(node.get("items"), f"{place}/[*]")
    for name in ("additionalProperties", "propertyNames"):
        yield from walk(node.get(name), f"{place}/{{}}")
    for name in ("then", "else"):
        yield from walk(node.get(name), place)
    for name in ("anyOf", "oneOf", "allOf"):
        for below in node.get(name, ()):
            yield from walk(below, place)


def find_entry(place: str) -> str | None:
    return next((pattern for pattern in ENTRIES if fnmatchcase(place, pattern.replace("[*]", "[[][*]]"))), None)


PLACES = [
    (place, bounds) for contract in WRITTEN for place, bounds in walk(contracts.resolve_schema(contract), contract)
]


UNLIKELY = ("a\nb", " a", "a ", "-a", "a b", "a" * 129, "a" * 1_025, "01", "A" * 64)
"""Values of which each pattern rejects some."""


def break_bound(name: str, bound: Any) -> list[Any]:
    """Values beyond the bound."""
    if name == "maxLength":
        return ["a" * (bound + 1)]
    if name == "pattern":
        return [value for value in UNLIKELY if not re.search(bound, value)]
    return [bound + 1 if name == "maximum" else "a\nb"]


BROKEN = {
    (pattern, json.dumps(value)): (entry, value)
    for place, bounds in PLACES
    for pattern in [find_entry(place)]
    for entry in [ENTRIES.get(pattern or "")]
    for name, bound in bounds.items()
    for value in break_bound(name, bound)
    if pattern and entry
}


def test_every_bounded_place_of_a_written_document_has_an_entry() -> None:
    assert [place for place, _ in PLACES if find_entry(place) is None] == []


def test_every_entry_is_of_a_place() -> None:
    assert set(ENTRIES) == {find_entry(place) for place, _ in PLACES}


@pytest.mark.parametrize(("entry", "value"), BROKEN.values(), ids=[f"{p} {v[:12]}" for p, v in BROKEN])
def test_what_breaks_a_bound_is_refused_where_it_enters(entry: Entry, value: Any, tmp_path: Path) -> None:
    folder = (tmp_path,) if entry.enter in (enter_policy, enter_wiring, enter_tolerance) else ()
    with pytest.raises(Refusal) as caught:
        entry.enter(entry.pointer, value, *folder)
    told = [fault.get("code") for fault in caught.value.details.get("faults", ())]
    assert caught.value.code in entry.codes or entry.codes & set(told), str(caught.value)


@pytest.mark.parametrize("enter", [enter_run_facts, enter_extract, enter_index, enter_profile])
def test_the_documents_that_are_broken_are_whole_without_it(enter: Callable[..., None]) -> None:
    pointer = {enter_profile: "/policy_id", enter_extract: "/label_store_id", enter_index: "/segments/0/path"}
    enter(pointer.get(enter, "/locators/0/output_id"), "plain")


def test_what_ofs_puts_together_stays_a_text() -> None:
    """Longest values that each passed, where two of them stand in one text."""
    named = dict.fromkeys(("ofs_code_release_id", "policy_revision", "config_revision"), "a" * 1024)
    policy = replace(load_policy(ROOT / "conf" / "policy"), policy_revision="b" * 1024, config_revision="b" * 1024)
    said = find_differences(intent({**BASE, **named}), policy, "c" * 1024, "local")
    assert len(said) == 3
    assert all(map(contracts.is_line, said))
    with pytest.raises(Refusal, match="source, name@version"):
        enter_profile("/feature_groups/0/version", "v" * 1023)
    with pytest.raises(Refusal, match="column's name of 1,028 characters"):
        enter_profile("/feature_groups/0/features/0/name", "n" * 1022)


def many(count: int) -> list[Column]:
    return [Column(f"group__feature_{i:05d}_30d", INT64, "feature", "Number of events " * 6) for i in range(count)]


def pinned(slices: int) -> dict[str, Any]:
    one = dict(BASE["replay_basis"][0])
    named = [{**one, "start_offset": str(10 * i), "end_offset": str(10 * i + 4)} for i in range(slices)]
    basis = [source.to_document() for source in select_sources(resolve_basis([Slice(**slice_) for slice_ in named]))]
    return {"replay_basis": named, "basis": basis}


def test_a_manifest_that_would_not_fit_is_refused_at_pins() -> None:
    require_room(pinned(30_000), many(100))
    require_room(pinned(4_000), many(12_000))
    with pytest.raises(Refusal, match="basis of 40000 slices") as caught:
        require_room(pinned(40_000), many(100))
    assert (caught.value.code, caught.value.details["slices"]) == (BASIS, 40_000)
    with pytest.raises(Refusal, match="20,000 columns") as caught:
        require_room(pinned(1), many(20_000))
    assert caught.value.code == PROFILE
    assert MAX_BYTES == 8 << 20


def test_faults_of_a_hostile_document_are_bounded_and_their_count_is_told() -> None:
    hostile = {**BASE, **{f"k{i:06d}": 1 for i in range(20_000)}}
    with pytest.raises(Refusal, match="at least 999 more") as caught:
        intent(hostile)
    assert len(caught.value.details["faults"]) == contracts.MOST_FAULTS
    assert len(raw(caught.value.to_document())) < 500_000
    assert digest(caught.value.details["faults"][0])  # plain values
    reversed_ends = [{**BASE["replay_basis"][0], "start_offset": "9", "end_offset": "1"}] * 3_000
    with pytest.raises(Refusal, match="at least 999 more"):
        intent({**BASE, "replay_basis": reversed_ends})


@pytest.mark.parametrize("member", ["join_scope", "filters"])
def test_faults_of_an_open_member_are_bounded_too(member: str) -> None:
    hostile = {**BASE, member: {**BASE[member], **{f"k{i:06d}": [] for i in range(20_000)}}}
    with pytest.raises(Refusal, match="at least 999 more") as caught:
        read_intent(raw(hostile), "build")
    assert len(caught.value.details["faults"]) == contracts.MOST_FAULTS
