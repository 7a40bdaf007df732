"""Every way OFS says no: one exception tree, one table of codes.

    OfsError
    ├── Refusal                 a rule said no; carries a code of the table below
    │   ├── IntentRefused       exit 10   the request itself
    │   ├── PinsRefused         exit 20   what the run means cannot be resolved
    │   ├── ReplayRefused       exit 30   the facts cannot be proven
    │   ├── LabelsRefused       exit 40   the labels do not carry the dataset
    │   ├── FeaturesRefused     exit 50   a value or a window cannot be computed exactly
    │   ├── PublishRefused      exit 60   the dataset cannot be made real
    │   ├── ParityRefused       exit 70, 71
    │   └── EnvironmentUnfit    exit 80   this machine or wiring cannot run OFS
    └── InternalError           exit 1    a defect of OFS itself

Exceptions are plain classes whose constructor arguments are their state, so they survive pickling between
processes. Exit statuses 2 (usage) and 130/143 (signals) belong to the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class OfsError(Exception):
    """Base of everything OFS raises on purpose."""


class InternalError(OfsError):
    """A broken promise inside OFS: never the user's fault."""


@dataclass(frozen=True)
class Code:
    """What one refusal code means: the room that says it, whether a retry can help, the process exit status."""

    room: str
    meaning: str
    exit_status: int
    retryable: bool = False


class Refusal(OfsError):
    """A rule said no. `details` is JSON-ready; `next_command` is what to run now ("" when nothing helps)."""

    def __init__(
        self, code: str, message: str, details: Mapping[str, Any] | None = None, next_command: str = ""
    ) -> None:
        super().__init__(code, message, dict(details or {}), next_command)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.next_command = next_command

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def exit_status(self) -> int:
        """Process exit status of this code."""
        return CODES[self.code].exit_status

    def to_document(self) -> dict[str, Any]:
        """The refusal as the JSON object programs read."""
        code = CODES[self.code]
        return {
            "outcome": "REFUSED",
            "code": self.code,
            "room": code.room,
            "message": self.message,
            "details": self.details,
            "retryable": code.retryable,
            "next": self.next_command,
        }


class IntentRefused(Refusal):
    """The request itself is inadmissible."""


class PinsRefused(Refusal):
    """What the run means cannot be resolved or differs from what is pinned."""


class ReplayRefused(Refusal):
    """The archived facts are missing, contradictory or unprovable."""


class LabelsRefused(Refusal):
    """Labels are absent, invalid, leaking or below policy."""


class FeaturesRefused(Refusal):
    """A feature cannot be computed exactly from these values."""


class PublishRefused(Refusal):
    """The dataset cannot be made real."""


class ParityRefused(Refusal):
    """Offline does not equal online, or cannot be compared."""


class EnvironmentUnfit(Refusal):
    """This machine or wiring cannot run OFS."""


_ROOMS: dict[str, type[Refusal]] = {
    "intent": IntentRefused,
    "pins": PinsRefused,
    "replay": ReplayRefused,
    "labels": LabelsRefused,
    "features": FeaturesRefused,
    "publish": PublishRefused,
    "parity": ParityRefused,
    "environment": EnvironmentUnfit,
}


def _make_block(
    room: str, exit_status: int, meanings: Mapping[str, str], retryable: Iterable[str] = ()
) -> dict[str, Code]:
    again = frozenset(retryable)
    return {name: Code(room, meaning, exit_status, name in again) for name, meaning in meanings.items()}


CODES: dict[str, Code] = {
    **_make_block(
        "intent",
        10,
        {
            "REQUEST_ID_INVALID": "request_id is absent or not 8 to 128 characters of A-Z a-z 0-9 _ . : -",
            "INTENT_KIND_UNSUPPORTED": "this kind of intent, or of dataset, is not built by this command or release",
            "SCHEMA_INVALID": "a document does not satisfy its contract",
            "RUN_SCOPE_INVALID": "platform_run_id or scenario_run_ids is absent or malformed",
            "BASIS_UNRESOLVED": "the replay basis does not name exact offset ranges",
            "LABEL_ASOF_MISSING": "the label basis names no exact instant up to which labels are known",
            "FILTER_UNSUPPORTED": "join_scope or filters hold something OFS does not evaluate",
            "POLICY_REVISION_MISSING": "policy_revision is absent or malformed",
            "CONFIG_REVISION_MISSING": "config_revision is absent or malformed",
            "CODE_RELEASE_MISSING": "ofs_code_release_id is absent or malformed",
            "OWNERSHIP_BOUNDARY_VIOLATION": "a write would land outside what OFS owns",
            "RUN_CONFIG_DIGEST_MISMATCH": "a job request was stamped for another run configuration",
            "REQUEST_ID_PAYLOAD_MISMATCH": "this request_id was already used for another intent",
            "REQUEST_COMMAND_UNSUPPORTED": "a job request names a command that does not exist",
        },
    ),
    **_make_block(
        "pins",
        20,
        {
            "RUN_FACTS_UNAVAILABLE": "the run facts cannot be read by the given ref, or are not run facts",
            "NO_PASS_NO_READ": "no PASS receipt admits reading a gated output",
            "CONTEXT_DIGEST_MISMATCH": "the bytes of a gated output differ from the digest stated for it",
            "CONTEXT_KEY_DUPLICATE": "a context surface holds one key twice",
            "FEATURE_PROFILE_UNRESOLVED": "the feature set cannot be found or compiled",
            "FEATURE_PROFILE_MISMATCH": "the profile's stated digest is not its content's",
            "CODE_RELEASE_MISMATCH": "the intent pins another code release than the one running",
            "POLICY_REVISION_MISMATCH": "the intent pins another policy revision than the one loaded",
            "CONFIG_REVISION_MISMATCH": "the intent pins another configuration revision than the one loaded",
            "PARITY_ANCHOR_INVALID": "the parity anchor is not one of the known kinds of document",
            "BUILD_PLAN_IMMUTABILITY_VIOLATION": "this run was already resolved to another plan",
            "REF_SCOPE_INVALID": "a ref leaves the configured roots",
            "REF_ACCESS_DENIED": "a ref inside the roots cannot be read",
        },
    ),
    **_make_block(
        "replay",
        30,
        {
            "REPLAY_BASIS_GAP": "offsets of the basis are known to be missing",
            "REPLAY_BASIS_MISMATCH": "bus and archive hold different bytes for one position",
            "REPLAY_DUPLICATE_OFFSET_MISMATCH": "one position was delivered with two different payloads",
            "REPLAY_EVENT_ID_CONFLICT": "one event id was delivered with two different payloads",
            "REPLAY_EVENT_INVALID": "a record lacks or garbles a required envelope field",
            "REPLAY_UNCHECKABLE": "completeness of the basis cannot be proven",
            "REPLAY_EVENTS_EMPTY": "no event of the basis is in scope",
            "ARCHIVE_SEGMENT_CORRUPT": "a segment file is missing or its bytes are not those of the index",
            "ARCHIVE_SCHEMA_UNSUPPORTED": "a segment file lacks a column of the contract, or stores it as another type",
            "ARCHIVE_INDEX_MISSING": "the platform run has no segment index",
            "ARCHIVE_INDEX_INVALID": "the segment index contradicts itself or its digest",
            "RETENTION_EXCEEDED": "offsets left the bus before the archive had them",
            "ORDER_UNDEFINED": "events of one key span partitions without arrival times",
        },
    ),
    **_make_block(
        "labels",
        40,
        {
            "LABEL_SCOPE_EMPTY": "no anchor is left to label",
            "LABEL_SCOPE_INVALID": "a label assertion is malformed or contradicts itself",
            "LABEL_TYPE_SCOPE_UNRESOLVED": "the label types are not named, or named differently in two places",
            "LABEL_POLICY_INVALID": "the label coverage policy is malformed",
            "LABEL_RULE_UNSUPPORTED": "the label resolution rule is unknown",
            "LABEL_STORE_UNAVAILABLE": "the label extract is missing or not the one its manifest describes",
            "COVERAGE_POLICY_VIOLATION": "too few anchors have a settled label for training",
            "LEAKAGE_POLICY_VIOLATION": "a finished row holds a label observed after the cut-off",
        },
        retryable=("LABEL_STORE_UNAVAILABLE",),
    ),
    **_make_block(
        "features",
        50,
        {
            "FEATURE_VALUE_INVALID": "an event's value is not what the profile declares",
            "FEATURE_NUMERIC_OVERFLOW": "an exact sum needs more than 38 digits",
            "WINDOW_TRUNCATED": "windows reach back before the basis and policy refuses that",
            "RESOURCE_EXCEEDED": "the work needs more memory or disk than policy allows",
        },
    ),
    **_make_block(
        "publish",
        60,
        {
            "MATERIALIZATION_CORRUPT": "the written table is not the one that was computed",
            "MANIFEST_IMMUTABILITY_VIOLATION": "this dataset id is already published from other pins or content",
            "EVIDENCE_IMMUTABILITY_VIOLATION": "an evidence document already exists with other content",
            "TRAINING_NOT_ADMISSIBLE": "the published dataset did not pass the gates this intent asks for",
            "SUPERSESSION_LINK_INVALID": "the superseded dataset already has another successor",
            "COMMIT_OUTCOME_UNKNOWN": "the store gave no answer to the commit",
            "LEASE_LOST": "another attempt took this run over",
            "PUBLISH_RETRY_EXHAUSTED": "the bounded attempts of this run are used up",
            "RETRY_NOT_PENDING": "this run has nothing staged to publish",
            "RUN_NOT_FOUND": "the ledger knows no such run",
        },
        retryable=("COMMIT_OUTCOME_UNKNOWN", "LEASE_LOST", "MATERIALIZATION_CORRUPT"),
    ),
    **_make_block("parity", 70, {"PARITY_MISMATCH": "the rebuilt features differ from the online ones"}),
    **_make_block("parity", 71, {"PARITY_UNCHECKABLE": "a prerequisite of the comparison is missing"}),
    **_make_block(
        "environment",
        80,
        {
            "ENVIRONMENT_UNFIT": "Java, jars, wiring or the object store are not usable",
        },
        retryable=("ENVIRONMENT_UNFIT",),
    ),
}

_ANEW = ", under a new request_id: ofs build INTENT"
"""After a change of what the intent or the plan pins: a run keeps the intent and the plan it began with."""

NEXT: dict[str, str] = {
    **dict.fromkeys(("REQUEST_ID_INVALID", "INTENT_KIND_UNSUPPORTED", "SCHEMA_INVALID"), "ofs validate INTENT"),
    **dict.fromkeys(("RUN_SCOPE_INVALID", "BASIS_UNRESOLVED", "LABEL_ASOF_MISSING"), "ofs validate INTENT"),
    **dict.fromkeys(("POLICY_REVISION_MISSING", "CONFIG_REVISION_MISSING"), "ofs validate INTENT"),
    "CODE_RELEASE_MISSING": "ofs validate INTENT",
    "FILTER_UNSUPPORTED": "correct the filter, then: ofs validate INTENT",
    "REQUEST_ID_PAYLOAD_MISMATCH": "give the changed intent a new request_id, then: ofs build INTENT",
    "RUN_FACTS_UNAVAILABLE": "correct run_facts_ref, then: ofs build INTENT",
    "NO_PASS_NO_READ": "have the output's gate pass, or leave it out of required_output_ids; then: ofs build INTENT",
    "CONTEXT_DIGEST_MISMATCH": "restore the output's bytes, then: ofs build INTENT",
    "FEATURE_PROFILE_UNRESOLVED": "ofs validate PROFILE --contract feature_profile",
    "FEATURE_PROFILE_MISMATCH": "restore the profile or its content_digest, then: ofs build INTENT",
    "ARCHIVE_INDEX_MISSING": "restore the segment index, then: ofs build INTENT",
    "ARCHIVE_INDEX_INVALID": "ofs validate INDEX --contract archive.segment_index.v0",
    "ARCHIVE_SEGMENT_CORRUPT": "restore the segment named here from its source, then: ofs build INTENT",
    "ARCHIVE_SCHEMA_UNSUPPORTED": "write the column named here as required, index the segment anew; then" + _ANEW,
    "REPLAY_BASIS_GAP": "archive or declare the missing offsets, or narrow replay_basis; then" + _ANEW,
    "REPLAY_UNCHECKABLE": "restore the segment chain named here, or narrow replay_basis; then" + _ANEW,
    "REPLAY_DUPLICATE_OFFSET_MISMATCH": "narrow replay_basis, or set non_training_allowed; then" + _ANEW,
    "REPLAY_EVENT_ID_CONFLICT": "narrow replay_basis, or set non_training_allowed; then" + _ANEW,
    "REPLAY_EVENT_INVALID": "narrow replay_basis, or set non_training_allowed; then" + _ANEW,
    "REPLAY_EVENTS_EMPTY": "widen replay_basis, scenario_run_ids or filters.event_types; then" + _ANEW,
    "ORDER_UNDEFINED": "knowledge: event_time on the group, or arrival: archived_at_utc in policy replay.yaml",
    "LABEL_SCOPE_EMPTY": "widen the anchors' types, times or filters; then" + _ANEW,
    "LABEL_SCOPE_INVALID": "take the label extract anew; then" + _ANEW,
    "LABEL_TYPE_SCOPE_UNRESOLVED": "name join_scope.label_types, then: ofs build INTENT",
    "LABEL_POLICY_INVALID": "correct filters.label_coverage_policy; then" + _ANEW,
    "LABEL_RULE_UNSUPPORTED": "set label_basis.resolution_rule to ls.resolved.v0; then" + _ANEW,
    "LABEL_STORE_UNAVAILABLE": "restore the label extract the wiring names, then: ofs build INTENT",
    "COVERAGE_POLICY_VIOLATION": "wait for labels, lower the minimum, or set non_training_allowed; then" + _ANEW,
    "FEATURE_VALUE_INVALID": "correct the value's type or missing rule in the profile; then" + _ANEW,
    "FEATURE_NUMERIC_OVERFLOW": "declare a smaller decimal or a shorter window; then" + _ANEW,
    "CODE_RELEASE_MISMATCH": "run the release that the intent pins, or pin the running one" + _ANEW,
    "POLICY_REVISION_MISMATCH": "load the policy that the intent pins, or pin the loaded one" + _ANEW,
    "CONFIG_REVISION_MISMATCH": "load the configuration that the intent pins, or pin the loaded one" + _ANEW,
    "WINDOW_TRUNCATED": "start replay_basis earlier, or allow window_truncated in policy features.yaml; then" + _ANEW,
    **dict.fromkeys(("BUILD_PLAN_IMMUTABILITY_VIOLATION", "EVIDENCE_IMMUTABILITY_VIOLATION"), "start over" + _ANEW),
    "PUBLISH_RETRY_EXHAUSTED": "mend what ended the earlier attempts (ofs status RUN); then" + _ANEW,
    **dict.fromkeys(("MANIFEST_IMMUTABILITY_VIOLATION", "TRAINING_NOT_ADMISSIBLE"), "ofs show MANIFEST"),
    **dict.fromkeys(("MATERIALIZATION_CORRUPT", "COMMIT_OUTCOME_UNKNOWN"), "ofs build INTENT"),
    "LEASE_LOST": "ofs status",
    "REF_SCOPE_INVALID": "name the object by a plain path inside the object root",
    "REF_ACCESS_DENIED": "restore the object named here and its permissions, then run the same command again",
    "ENVIRONMENT_UNFIT": "correct what is named here, then run the same command again",
    **dict.fromkeys(("OWNERSHIP_BOUNDARY_VIOLATION", "LEAKAGE_POLICY_VIOLATION"), "report this: it is a defect of OFS"),
}
"""What to do after a refusal, where the place that refuses has nothing more exact to say."""

ROOM_ORDER = ("intent", "pins", "replay", "labels", "features", "publish", "parity", "environment")


def sort_refusals(refusals: Iterable[Refusal]) -> list[Refusal]:
    """The refusals of the room that comes first before those of later ones; equals in the order given."""
    return sorted(refusals, key=lambda refusal: ROOM_ORDER.index(CODES[refusal.code].room))


def refuse(code: str, message: str, next_command: str = "", **details: Any) -> Refusal:
    """The exception of `code`'s room, ready to raise; an unknown code is a defect of OFS."""
    if code not in CODES:
        raise InternalError(f"code {code} is not in the table")
    return _ROOMS[CODES[code].room](code, message, details, next_command or NEXT.get(code, ""))
