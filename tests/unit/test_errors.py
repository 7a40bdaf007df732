from __future__ import annotations

import copy
import json
import pickle

import pytest

from ofs_spark.foundation.codes import BLOCKS, CODES, ROOM_ORDER, Code
from ofs_spark.foundation.commands import STATUS, Next
from ofs_spark.foundation.errors import InternalError, OfsError, Refusal, refuse

EXIT_STATUS = {
    "intent": {10},
    "pins": {20},
    "replay": {30},
    "labels": {40},
    "features": {50},
    "publish": {60},
    "parity": {70, 71},
    "environment": {80},
}

PROMISED = """
REQUEST_ID_INVALID INTENT_KIND_UNSUPPORTED SCHEMA_INVALID RUN_SCOPE_INVALID BASIS_UNRESOLVED LABEL_ASOF_MISSING
FILTER_UNSUPPORTED POLICY_REVISION_MISSING CONFIG_REVISION_MISSING CODE_RELEASE_MISSING OWNERSHIP_BOUNDARY_VIOLATION
RUN_FACTS_UNAVAILABLE NO_PASS_NO_READ CONTEXT_DIGEST_MISMATCH CONTEXT_KEY_DUPLICATE FEATURE_PROFILE_UNRESOLVED
FEATURE_PROFILE_MISMATCH CODE_RELEASE_MISMATCH POLICY_REVISION_MISMATCH CONFIG_REVISION_MISMATCH PARITY_ANCHOR_INVALID
BUILD_PLAN_IMMUTABILITY_VIOLATION REF_SCOPE_INVALID REF_ACCESS_DENIED REPLAY_BASIS_GAP REPLAY_BASIS_MISMATCH
REPLAY_DUPLICATE_OFFSET_MISMATCH REPLAY_EVENT_ID_CONFLICT REPLAY_EVENT_INVALID REPLAY_UNCHECKABLE REPLAY_EVENTS_EMPTY
ARCHIVE_SEGMENT_CORRUPT ARCHIVE_SCHEMA_UNSUPPORTED
ARCHIVE_INDEX_MISSING ARCHIVE_INDEX_INVALID RETENTION_EXCEEDED ORDER_UNDEFINED LABEL_SCOPE_EMPTY
LABEL_SCOPE_INVALID LABEL_TYPE_SCOPE_UNRESOLVED LABEL_POLICY_INVALID LABEL_RULE_UNSUPPORTED LABEL_STORE_UNAVAILABLE
LABEL_ASOF_BEYOND_MARKER COVERAGE_POLICY_VIOLATION LEAKAGE_POLICY_VIOLATION FEATURE_VALUE_INVALID FEATURE_NUMERIC_OVERFLOW
WINDOW_TRUNCATED RESOURCE_EXCEEDED MATERIALIZATION_CORRUPT MANIFEST_ABSENT MANIFEST_IMMUTABILITY_VIOLATION TRAINING_NOT_ADMISSIBLE
SUPERSESSION_LINK_INVALID COMMIT_OUTCOME_UNKNOWN LEASE_LOST PUBLISH_RETRY_EXHAUSTED RETRY_NOT_PENDING RUN_NOT_FOUND
RUN_CONFIG_DIGEST_MISMATCH REQUEST_ID_PAYLOAD_MISMATCH REQUEST_COMMAND_UNSUPPORTED
"""


def test_every_promised_code_is_in_the_table() -> None:
    assert set(PROMISED.split()) <= set(CODES)


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_exit_status_is_the_one_of_the_room(name: str, code: Code) -> None:
    assert code.exit_status in EXIT_STATUS[code.room]
    assert refuse(name, "m").exit_status == code.exit_status
    assert code.meaning


def test_a_code_stands_in_one_block_only() -> None:
    assert [code.name for _, _, codes in BLOCKS for code in codes] == list(CODES)


def test_rooms_are_ordered_and_complete() -> None:
    assert set(ROOM_ORDER) == set(EXIT_STATUS) == {code.room for code in CODES.values()}
    first = [min(code.exit_status for code in CODES.values() if code.room == room) for room in ROOM_ORDER]
    assert first == sorted(first)


@pytest.mark.parametrize("name", CODES)
def test_each_room_has_its_exception(name: str) -> None:
    refusal = refuse(name, "m")
    room = CODES[name].room
    assert type(refusal).__name__ == {"environment": "EnvironmentUnfit"}.get(room, f"{room.capitalize()}Refused")
    assert isinstance(refusal, Refusal)
    assert isinstance(refusal, OfsError)
    assert type(refusal) is not Refusal


def test_only_these_may_be_retried() -> None:
    again = {name for name, code in CODES.items() if code.retryable}
    store = {"LABEL_STORE_UNAVAILABLE", "LABEL_ASOF_BEYOND_MARKER", "COMMIT_OUTCOME_UNKNOWN", "MATERIALIZATION_CORRUPT"}
    assert again == store | {"PREPARED_MANIFEST_INVALID", "LEASE_LOST", "ENVIRONMENT_UNFIT"}


def test_a_refusal_survives_the_way_between_processes() -> None:
    refusal = refuse("REPLAY_BASIS_GAP", "offsets 5..7 are missing", STATUS, topic="t", gaps=[{"start": "5"}])
    for twin in (pickle.loads(pickle.dumps(refusal)), copy.copy(refusal)):
        assert type(twin) is type(refusal)
        assert twin.to_document() == refusal.to_document()
        assert str(twin) == "REPLAY_BASIS_GAP: offsets 5..7 are missing"


def test_the_document_is_what_programs_read() -> None:
    refusal = refuse(
        "COVERAGE_POLICY_VIOLATION", "0.80 < 0.95", Next("show", ("i.json",)), type="fraud", measured="0.80"
    )
    document = refusal.to_document()
    assert json.loads(json.dumps(document)) == {
        "outcome": "REFUSED", "code": "COVERAGE_POLICY_VIOLATION", "room": "labels", "message": "0.80 < 0.95",
        "details": {"type": "fraud", "measured": "0.80"}, "retryable": False, "next": "ofs show i.json",
        "do": {"text": CODES["COVERAGE_POLICY_VIOLATION"].do, "pointer": "/non_training_allowed"},
    }  # fmt: skip


def test_details_are_the_refusals_own() -> None:
    given = {"a": 1}
    refusal = Refusal("SCHEMA_INVALID", "m", given)
    given["a"] = 2
    assert refusal.details == {"a": 1}


def test_an_unknown_code_is_a_defect() -> None:
    with pytest.raises(InternalError, match="NO_SUCH_CODE"):
        refuse("NO_SUCH_CODE", "m")
    assert not issubclass(InternalError, Refusal)
