"""The table of codes is closed: what is raised is in it, what is in it is raised or reserved, and each has its test."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import get_type_hints

import pytest

from ofs_spark.cli import build_parser
from ofs_spark.features.faults import merge_faults
from ofs_spark.foundation.codes import CODES, ROOM_ORDER, Code, find_turn
from ofs_spark.foundation.collect import Collector, list_faults, merge_refusals
from ofs_spark.foundation.columnar.notes import EventPlace, Fault
from ofs_spark.foundation.commands import NOBODY, Caller, Next
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.documents import DocumentKind
from ofs_spark.foundation.errors import Refusal, refuse, sort_refusals
from ofs_spark.foundation.positions import Range
from ofs_spark.replay.faults import ReplayFault, sort_faults

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = sorted(path for path in (ROOT / "ofs_spark").rglob("*.py") if path.name != "codes.py")

WITNESSES = {
    "REQUEST_ID_INVALID": "spec/test_intent.py::test_refusals",
    "INTENT_KIND_UNSUPPORTED": "spec/test_intent.py::test_what_this_release_does_not_build",
    "SCHEMA_INVALID": "spec/test_intent.py::test_texts_that_are_no_strict_json",
    "RUN_SCOPE_INVALID": "spec/test_intent.py::test_refusals",
    "BASIS_UNRESOLVED": "spec/test_intent.py::test_refusals",
    "LABEL_ASOF_MISSING": "spec/test_intent.py::test_refusals",
    "FILTER_UNSUPPORTED": "spec/test_intent.py::test_what_a_build_does_not_evaluate_has_an_identity_and_is_refused",
    "POLICY_REVISION_MISSING": "spec/test_intent.py::test_refusals",
    "CONFIG_REVISION_MISSING": "spec/test_intent.py::test_refusals",
    "CODE_RELEASE_MISSING": "spec/test_intent.py::test_refusals",
    "OWNERSHIP_BOUNDARY_VIOLATION": "unit/test_contracts.py::test_who_owns_what",
    "REQUEST_ID_PAYLOAD_MISMATCH": "integration/test_next.py::test_a_changed_intent_and_a_removed_manifest_name_the_intent",
    "CODE_RELEASE_MISMATCH": "unit/pins/test_plan.py::test_a_prod_wiring_refuses_what_others_say_aloud",
    "POLICY_REVISION_MISMATCH": "unit/pins/test_plan.py::test_a_prod_wiring_refuses_what_others_say_aloud",
    "CONFIG_REVISION_MISMATCH": "unit/pins/test_plan.py::test_a_prod_wiring_refuses_what_others_say_aloud",
    "RUN_FACTS_UNAVAILABLE": "integration/test_refusals.py::test_damage_is_refused_by_name_and_its_repair_is_enough",
    "ORIGIN_NOT_ADMISSIBLE": "unit/pins/test_plan.py::test_a_prod_wiring_admits_no_own_data",
    "NO_PASS_NO_READ": "integration/test_refusals.py::test_world_is_refused",
    "CONTEXT_DIGEST_MISMATCH": "integration/test_refusals.py::test_world_is_refused",
    "FEATURE_PROFILE_UNRESOLVED": "integration/test_refusals.py::test_world_is_refused",
    "FEATURE_PROFILE_MISMATCH": "unit/pins/test_digests.py::test_a_stated_digest_is_compared_and_enters_no_digest",
    "PARITY_ANCHOR_INVALID": "spec/test_intent.py::test_refusals",
    "REF_SCOPE_INVALID": "integration/test_command.py::test_an_unknown_manifest_is_refused",
    "REF_ACCESS_DENIED": "unit/pins/test_run_facts.py::test_admitted_bytes_that_are_not_there",
    "BUILD_PLAN_IMMUTABILITY_VIOLATION": "unit/publish/test_commit.py::test_evidence_is_written_once",
    "ARCHIVE_INDEX_MISSING": "integration/test_refusals.py::test_damage_is_refused_by_name_and_its_repair_is_enough",
    "ARCHIVE_INDEX_INVALID": "integration/test_refusals.py::test_damage_is_refused_by_name_and_its_repair_is_enough",
    "ARCHIVE_SEGMENT_CORRUPT": "integration/test_refusals.py::test_damage_is_refused_by_name_and_its_repair_is_enough",
    "ARCHIVE_SCHEMA_UNSUPPORTED": "unit/replay/test_segment_columns.py::test_int96_is_an_instant_only_where_policy_says_so",
    "REPLAY_BASIS_GAP": "integration/test_refusals.py::test_world_is_refused",
    "REPLAY_UNCHECKABLE": "unit/replay/test_segment.py::test_rows_of_another_partition_make_it_uncheckable",
    "REPLAY_DUPLICATE_OFFSET_MISMATCH": "integration/test_refusals.py::test_world_is_refused",
    "REPLAY_EVENT_ID_CONFLICT": "integration/test_refusals.py::test_world_is_refused",
    "REPLAY_EVENT_INVALID": "integration/test_refusals.py::test_world_is_refused",
    "REPLAY_EVENTS_EMPTY": "integration/test_refusals.py::test_world_is_refused",
    "ORDER_UNDEFINED": "integration/test_signals.py::test_labels_that_were_not_read_in_full_are_not_told",
    "LABEL_RULE_UNSUPPORTED": "integration/test_refusals.py::test_world_is_refused",
    "LABEL_TYPE_SCOPE_UNRESOLVED": "unit/labels/test_terms.py::test_places_that_differ_are_refused_at_every_one",
    "LABEL_POLICY_INVALID": "unit/labels/test_coverage.py::test_a_policy_of_another_shape_is_refused",
    "LABEL_STORE_UNAVAILABLE": "integration/test_refusals.py::test_damage_is_refused_by_name_and_its_repair_is_enough",
    "LABEL_ASOF_BEYOND_MARKER": "integration/test_refusals.py::test_an_extract_that_ends_before_the_as_of",
    "LABEL_SCOPE_INVALID": "unit/labels/test_assertions.py::test_a_bad_field_is_refused_by_file_field_and_row",
    "LABEL_SCOPE_EMPTY": "integration/test_refusals.py::test_world_is_refused",
    "COVERAGE_POLICY_VIOLATION": "integration/test_refusals.py::test_world_is_refused",
    "LEAKAGE_POLICY_VIOLATION": "unit/publish/test_gate.py::test_what_must_hold_for_any_dataset",
    "FEATURE_VALUE_INVALID": "integration/test_refusals.py::test_world_is_refused",
    "FEATURE_NUMERIC_OVERFLOW": "unit/kernel/test_totals.py::test_a_sum_beyond_38_digits_is_refused",
    "RESOURCE_EXCEEDED": "unit/test_bounded.py::test_a_bomb_is_refused_before_it_takes_the_memory",
    "WINDOW_TRUNCATED": "unit/publish/test_gate.py::test_what_must_hold_for_any_dataset",
    "MANIFEST_ABSENT": "integration/test_refusals.py::test_a_finished_request_is_answered_from_the_store",
    "MANIFEST_IMMUTABILITY_VIOLATION": "unit/signals/test_foreign_manifests.py::test_what_is_no_manifest_is_no_answer",
    "TRAINING_NOT_ADMISSIBLE": "integration/test_command.py::test_a_refusal_is_an_exit_status_and_a_document",
    "DATASET_RETIRED": "integration/test_retire.py::test_a_retired_dataset_is_loaded_only_by_who_says_so",
    "EVIDENCE_IMMUTABILITY_VIOLATION": "unit/publish/test_commit.py::test_evidence_is_written_once",
    "MATERIALIZATION_CORRUPT": "unit/publish/test_files.py::test_a_missing_or_changed_list_is_corrupt",
    "PREPARED_MANIFEST_INVALID": "integration/test_retry_publish.py::test_what_was_prepared_is_not_trusted",
    "SUPERSESSION_LINK_INVALID": "integration/test_backfill.py::test_a_target_that_cannot_be_superseded_is_refused",
    "COMMIT_OUTCOME_UNKNOWN": "unit/signals/test_hold.py::test_an_unanswered_commit_is_pending_not_refused",
    "LEASE_LOST": "unit/test_ledger.py::test_a_held_run_is_not_claimed_until_its_lease_runs_out",
    "PUBLISH_RETRY_EXHAUSTED": "unit/test_ledger.py::test_failed_attempts_are_bounded",
    "RETRY_NOT_PENDING": "unit/test_ledger.py::test_staged_data_is_published_not_built_again_and_retries_are_bounded",
    "RUN_NOT_FOUND": "integration/test_command.py::test_an_unknown_manifest_is_refused",
    "ENVIRONMENT_UNFIT": "integration/test_command.py::test_a_refusal_is_an_exit_status_and_a_document",
    "PARITY_MISMATCH": "integration/test_explain.py::test_an_archive_that_gives_another_value_is_refused",
    "PARITY_UNCHECKABLE": "integration/test_explain.py::test_a_plan_that_does_not_name_event_types_is_uncheckable",
}
"""Code → the test that has it raised."""


def find_named_codes(source: str) -> Iterator[str]:
    """Codes that a file writes out, apart from those it only compares with or lists as already told."""
    tree = ast.parse(source)
    compared = {
        id(one)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_JUDGED_LABELS")
        for one in ast.walk(node)
    }
    for node in ast.walk(tree):
        named = isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in CODES
        if named and id(node) not in compared:
            yield str(getattr(node, "value", ""))


def find_raised_codes() -> set[str]:
    """Codes that the package or a contract raises."""
    named = {code for path in PACKAGE for code in find_named_codes(path.read_text(encoding="utf-8"))}
    schemas = (path.read_text(encoding="utf-8") for path in (ROOT / "contracts").glob("*.json"))
    return named | {code for text in schemas for code in re.findall(r'"x-refusal": "([A-Z_]+)"', text)}


def test_every_code_is_raised_or_reserved_and_none_is_both() -> None:
    assert set(CODES) - find_raised_codes() == {name for name, code in CODES.items() if code.reserved}


def test_what_is_raised_is_in_the_table() -> None:
    calls = {"refuse": 0, "ReplayFault": 0, "DocumentFault": 0, "Fault": 0}
    for path in PACKAGE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls):
                continue
            if node.args and isinstance(node.args[0], ast.Constant):
                calls[node.func.id] += 1
                assert node.args[0].value in CODES, path
    assert all(calls[name] for name in ("refuse", "ReplayFault", "DocumentFault"))


def test_every_raised_code_has_a_test_that_raises_it() -> None:
    assert set(WITNESSES) == find_raised_codes()


@pytest.mark.parametrize(("code", "witness"), WITNESSES.items())
def test_the_named_test_exists_and_knows_the_code(code: str, witness: str) -> None:
    path, name = witness.split("::")
    source = (ROOT / "tests" / path).read_text(encoding="utf-8")
    assert name in {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    known = source + (ROOT / "tests" / "worlds" / "sabotage.py").read_text(encoding="utf-8")
    assert f'"{code}"' in known


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_every_entry_is_whole(name: str, code: Code) -> None:
    assert (code.name, code.meaning != "", code.do != "") == (name, True, True)
    assert code.room in ROOM_ORDER
    assert "|" not in code.meaning + code.do
    runnable = [template for template in code.next if CALLER.write(template, DETAILS)]
    assert len(runnable) == len(code.next)


CALLER = Caller(
    ("ofs",),
    ("ofs", "--json", "status"),
    "an intent.json",
    lambda root, ref: f"/{root}/{ref}",
    where={"wiring": "a wiring.yaml", "chosen_by": "flag"},
    address=lambda root, ref: f"/{root}/{ref}",
)
DETAILS = {"ref": "r/x.json", "run_key": "a" * 32}


@pytest.mark.parametrize("name", CODES)
def test_next_is_a_command_that_exists_or_nothing(name: str) -> None:
    line = refuse(name, "m", **DETAILS).to_document(CALLER)["next"]
    assert (line == "") == (CODES[name].next == ())
    if line:
        program, *arguments = shlex.split(line)
        assert program == "ofs"
        assert callable(build_parser().parse_args(arguments).run)
    unknown = refuse(name, "m").write_next(NOBODY)
    assert unknown in ("", "ofs status")


def find_commands_told(source: str) -> Iterator[str]:
    """Commands of `ofs` that a file's texts name, its docstrings apart."""
    tree = ast.parse(source)
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield from re.findall(r"(?:^|`)ofs (?:--\S+ )*([a-z][a-z-]*)", node.value)


def test_no_text_names_a_command_that_does_not_exist() -> None:
    told = {
        word for path in sorted((ROOT / "ofs_spark").rglob("*.py")) for word in find_commands_told(path.read_text())
    }
    exist = {"identity", "validate", "build", "backfill", "verify", "show", "status", "retry-publish"}
    exist |= {"cancel", "gc", "demo", "import", "init", "datasets"}
    assert told - exist == set()
    assert list(find_commands_told('x = "run `ofs doctor` or"')) == ["doctor"]


def find_written_commands(source: str) -> Iterator[int]:
    """Lines of calls that give a refusal a written text as what to run next: the third of their arguments."""
    for node in ast.walk(ast.parse(source)):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in ("refuse", "Refusal"):
            given = [*node.args[2:3], *(one.value for one in node.keywords if one.arg == "next_command")]
            if any(isinstance(one, ast.Constant | ast.JoinedStr) for one in given):
                yield node.lineno


def test_what_to_run_next_is_a_template_that_the_caller_fills() -> None:
    """A text that a room wrote itself would lack the wiring, the policy and the place of the program."""
    written = {
        str(path): list(find_written_commands(path.read_text(encoding="utf-8")))
        for path in sorted((ROOT / "ofs_spark").rglob("*.py"))
    }
    assert {path: lines for path, lines in written.items() if lines} == {}
    bad = (
        'refuse("A", "m", "ofs status")\nrefuse("A", "m", f"ofs show {ref}", a=1)\nRefusal("A", "m", next_command="x")'
    )
    assert list(find_written_commands(bad)) == [1, 2, 3]
    assert get_type_hints(refuse)["next_command"] == Next | None


def shuffled(seed: int) -> list[str]:
    names = list(CODES)
    Random(seed).shuffle(names)
    return names


PLACE = EventPlace(0, 5, "5", "e")
BASIS = (Range("t", 0, "kafka_offset", 0, 9),)


@pytest.mark.parametrize("seed", range(20))
def test_every_collector_takes_every_code_in_the_order_of_the_table(seed: int) -> None:
    names, ordered = shuffled(seed), sorted(CODES, key=find_turn)
    refusals = [refuse(name, f"{name} was found") for name in names]
    assert [one.code for one in sort_refusals(refusals)] == ordered
    assert [one.code for one in sort_faults(ReplayFault(name, "m") for name in names)] == ordered
    merged = merge_refusals(refusals)
    assert [fault["code"] for fault in merged.details["faults"]] == ordered
    assert merged.code == ordered[0]
    assert find_faults(merged.to_document(CALLER), "refusal_answer") == []
    collector = Collector()
    for refusal in refusals:
        collector.attempt(partial(raise_it, refusal))
    with pytest.raises(Refusal) as caught:
        collector.raise_all()
    assert caught.value.details == merged.details
    alone = [Fault(name, "m") for name in names]
    counted = [Fault(name, "m", subject="s", count=2, first=PLACE) for name in names]
    assert [one.code for one in sort_refusals(merge_faults([*alone, *counted], BASIS))] == [
        n for n in ordered for _ in "ab"
    ]


def raise_it(refusal: Refusal) -> None:
    raise refusal


@pytest.mark.parametrize("name", CODES)
def test_every_code_may_be_a_documents(name: str) -> None:
    """What is wrong inside a document is mended there; where none stands, the member that names it is."""
    kind, places = DocumentKind("run_facts_view", "thing", name, name, "/run_facts_ref"), []
    for refusal in (kind.refuse("a/b.json", "m"), kind.refuse_missing("a/b.json")):
        document = refusal.to_document(CALLER)
        assert find_faults(document, "refusal_answer") == []
        assert json.loads(json.dumps(document)) == document
        places.append(tuple(document["do"].get(part) for part in ("file", "pointer")))
    asking = "a wiring.yaml" if CODES[name].room == "environment" else "an intent.json"
    assert places == [(f"/{CODES[name].root}/a/b.json", None), (asking, "/run_facts_ref")]


def test_the_room_order_is_the_order_of_telling_but_for_the_rule_s_name() -> None:
    told = sorted(CODES, key=find_turn)
    rooms = [CODES[name].turn for name in told]
    assert rooms == sorted(rooms, key=ROOM_ORDER.index)
    assert [name for name, code in CODES.items() if code.turn != code.room] == ["LABEL_RULE_UNSUPPORTED"]


def test_faults_of_one_refusal_keep_their_own_members() -> None:
    refusal = refuse(
        "LABEL_SCOPE_INVALID", "m", faults=[{"file": "f", "row": 3}, {"code": "X", "pointer": "/a", "message": "n"}]
    )
    assert list_faults(refusal) == [
        {"code": "LABEL_SCOPE_INVALID", "pointer": "", "message": "m", "file": "f", "row": 3},
        {"code": "X", "pointer": "/a", "message": "n"},
    ]
    assert len(merge_refusals([refusal, refusal]).details["faults"]) == 2
