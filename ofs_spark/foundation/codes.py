"""The one table of refusal codes. Its order is the order of telling: rooms first, then the codes of a room as they stand here.

Per code: what may be run next (the first template that can be filled), what it means, and what a person must do. A code
marked `reserved` belongs to a path that is not built yet: nothing raises it. `docs/runbook.md` is written from this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ofs_spark.foundation.commands import (
    AGAIN,
    BUILD,
    SHOW,
    STATUS,
    STATUS_OF_RUN,
    VALIDATE,
    Next,
    Place,
    Root,
)


@dataclass(frozen=True)
class Code:
    """One refusal code.

    room, exit_status: its block. next: commands that may help, the first that can be filled is told. turn: the room in
    whose turn it is told, where that is not its own. root: where the refs of its details count from, profiles or objects.
    pointer: the member of the intent that `do` has people edit, where the refusal points at nothing.
    """

    name: str
    next: tuple[Next, ...]
    meaning: str
    do: str
    retryable: bool = False
    reserved: bool = False
    turn: str = ""
    root: Root = "objects"
    pointer: str = ""
    room: str = ""
    exit_status: int = 0


ROOM_ORDER = ("intent", "pins", "replay", "labels", "features", "publish", "parity", "environment")
_ANEW = "; then build under a new request_id"
_VALIDATE, _BUILD, _NONE = (VALIDATE,), (BUILD,), ()
_PROFILE = (Next("validate", (Place("profiles"), "--contract", "feature_profile")), BUILD)
_INDEX = (Next("validate", (Place("objects"), "--contract", "archive.segment_index.v0")), BUILD)
_SHOW, _RUN = (SHOW, BUILD), (STATUS_OF_RUN, STATUS)

# fmt: off
_INTENT_CODES = (
    Code("REQUEST_ID_INVALID", _VALIDATE, "request_id is absent or not 8 to 128 characters of A-Z a-z 0-9 _ . : -",
         "correct `request_id`"),
    Code("INTENT_KIND_UNSUPPORTED", _VALIDATE, "this kind of intent, or of dataset, is not built by this command or release",
         "use the command or kind the message names"),
    Code("SCHEMA_INVALID", _VALIDATE, "a document does not satisfy its contract",
         "correct every place in `details.faults`"),
    Code("RUN_SCOPE_INVALID", _VALIDATE, "platform_run_id or scenario_run_ids is absent or malformed",
         "correct `platform_run_id` and `scenario_run_ids`"),
    Code("BASIS_UNRESOLVED", _VALIDATE, "the replay basis does not name exact offset ranges",
         "write each range as exact offset texts, both ends inclusive, start ≤ end"),
    Code("LABEL_ASOF_MISSING", _VALIDATE, "the label basis names no exact instant up to which labels are known",
         "state `label_basis.label_asof_utc` with `Z`"),
    Code("FILTER_UNSUPPORTED", _VALIDATE, "join_scope or filters hold something OFS does not evaluate",
         "keep to the recognised keys; filters are lists of plain values"),
    Code("POLICY_REVISION_MISSING", _VALIDATE, "policy_revision is absent or malformed", "state `policy_revision`"),
    Code("CONFIG_REVISION_MISSING", _VALIDATE, "config_revision is absent or malformed", "state `config_revision`"),
    Code("CODE_RELEASE_MISSING", _VALIDATE, "ofs_code_release_id is absent or malformed", "state `ofs_code_release_id`"),
    Code("OWNERSHIP_BOUNDARY_VIOLATION", _NONE, "a write would land outside what OFS owns",
         "report this: it is a defect of OFS, which writes below `ofs/` only"),
    Code("RUN_CONFIG_DIGEST_MISMATCH", _NONE, "a job request was stamped for another run configuration",
         "send the job to the launcher it was stamped for, or stamp it anew", reserved=True),
    Code("REQUEST_ID_PAYLOAD_MISMATCH", _BUILD, "this request_id was already used for another intent",
         "give the changed intent a new `request_id`, or restore the old intent"),
    Code("REQUEST_COMMAND_UNSUPPORTED", _NONE, "a job request names a command that does not exist",
         "correct the command of the job request", reserved=True),
)
_PINS_CODES = (
    Code("CODE_RELEASE_MISMATCH", _BUILD, "the intent pins another code release than the one running",
         "run the release that the intent pins, or pin the running one" + _ANEW),
    Code("POLICY_REVISION_MISMATCH", _BUILD, "the intent pins another policy revision than the one loaded",
         "load the policy that the intent pins, or pin the loaded one" + _ANEW),
    Code("CONFIG_REVISION_MISMATCH", _BUILD, "the intent pins another configuration revision than the one loaded",
         "load the configuration that the intent pins, or pin the loaded one" + _ANEW),
    Code("RUN_FACTS_UNAVAILABLE", _BUILD, "the run facts cannot be read by the given ref, or are not run facts",
         "correct `run_facts_ref`, or have the run facts written"),
    Code("ORIGIN_NOT_ADMISSIBLE", _NONE, "a prod wiring leads to data that no platform sealed: an import, or a demo",
         "build imported data under a wiring of `kind: local` or `dev`; for prod, name the platform's own object root"),
    Code("NO_PASS_NO_READ", _BUILD, "no PASS receipt admits reading a gated output",
         "have the output's gate pass for the right scope, or leave it out of `required_output_ids`"),
    Code("CONTEXT_DIGEST_MISMATCH", _BUILD, "the bytes of a gated output differ from the digest stated for it",
         "restore the stated bytes, or have the output sealed again"),
    Code("CONTEXT_KEY_DUPLICATE", _BUILD, "a context surface holds one key twice",
         "repair the surface: one row per key", reserved=True),
    Code("FEATURE_PROFILE_UNRESOLVED", _PROFILE, "the feature set cannot be found or compiled",
         "correct the set's name or version, or every fault listed in the profile", root="profiles"),
    Code("FEATURE_PROFILE_MISMATCH", _PROFILE, "the profile's stated digest is not its content's",
         "restore the profile, or publish it as a new revision with its own digest", root="profiles"),
    Code("PARITY_ANCHOR_INVALID", _VALIDATE, "the parity anchor, or the file of logged values, is none",
         "name a snapshot, an audit record or a decision of the intent's run; correct the lines named of a file of values"),
    Code("REF_SCOPE_INVALID", (AGAIN,), "a ref leaves the configured roots",
         "name the object by a plain path inside the object root"),
    Code("REF_ACCESS_DENIED", (AGAIN,), "a ref inside the roots cannot be read",
         "restore the object named here and its permissions"),
    Code("BUILD_PLAN_IMMUTABILITY_VIOLATION", _BUILD, "this run was already resolved to another plan",
         "what the run was resolved to has changed since: take a new `request_id`", pointer="/request_id"),
)
_REPLAY_CODES = (
    Code("ARCHIVE_INDEX_MISSING", _BUILD, "the platform run has no segment index",
         "restore the segment index, or have the archive write it"),
    Code("ARCHIVE_INDEX_INVALID", _INDEX, "the segment index contradicts itself or its digest",
         "have the index written anew"),
    Code("ARCHIVE_SEGMENT_CORRUPT", _BUILD, "a segment file is missing or its bytes are not those of the index",
         "restore the segment named here from its source"),
    Code("ARCHIVE_SCHEMA_UNSUPPORTED", _BUILD,
         "a segment file lacks a column of the contract, or stores it as another type",
         "write the column named as required and index the segment anew; for INT96 times in UTC set `archive_int96: utc` "
         "in policy `replay.yaml`" + _ANEW),
    Code("REPLAY_BASIS_GAP", _BUILD, "offsets of the basis are known to be missing",
         "restore the missing segments, or declare the gap in the index; else shorten the basis" + _ANEW, pointer="/replay_basis"),
    Code("RETENTION_EXCEEDED", _BUILD, "offsets left the bus before the archive had them",
         "shorten the basis to what was kept", reserved=True),
    Code("REPLAY_BASIS_MISMATCH", _BUILD, "bus and archive hold different bytes for one position",
         "find out which copy is right before any build", reserved=True),
    Code("REPLAY_UNCHECKABLE", _BUILD, "completeness of the basis cannot be proven",
         "repair the index: chain and counts must agree with the segments; else shorten the basis" + _ANEW,
         pointer="/replay_basis"),
    Code("REPLAY_DUPLICATE_OFFSET_MISMATCH", _BUILD, "one position was delivered with two different payloads",
         "repair the archive: one position has one payload; or set `non_training_allowed`" + _ANEW,
         pointer="/non_training_allowed"),
    Code("REPLAY_EVENT_ID_CONFLICT", _BUILD, "one event id was delivered with two different payloads",
         "find the producer that reused the id; or set `non_training_allowed`, and it is counted" + _ANEW,
         pointer="/non_training_allowed"),
    Code("REPLAY_EVENT_INVALID", _BUILD, "a record lacks or garbles a required envelope field",
         "repair the record named here; or set `non_training_allowed`, and it is counted" + _ANEW, pointer="/non_training_allowed"),
    Code("REPLAY_EVENTS_EMPTY", _BUILD, "no event of the basis is in scope",
         "widen `replay_basis`, `scenario_run_ids` or `filters.event_types`" + _ANEW, pointer="/filters"),
    Code("ORDER_UNDEFINED", _BUILD, "events of one key span partitions without arrival times",
         "set `knowledge: event_time` on the group, or `arrival: archived_at_utc` in policy `replay.yaml`" + _ANEW,
         root="profiles"),
)
_LABELS_CODES = (
    Code("LABEL_RULE_UNSUPPORTED", _BUILD, "the label resolution rule is unknown",
         "set `label_basis.resolution_rule` to a rule the message names" + _ANEW, turn="pins"),
    Code("LABEL_TYPE_SCOPE_UNRESOLVED", _BUILD, "the label types are not named, or named differently in two places",
         "name the label types, the same in each place" + _ANEW),
    Code("LABEL_POLICY_INVALID", _BUILD, "the label coverage policy is malformed",
         "correct `filters.label_coverage_policy`: ratios from 0 to 1 by known label type" + _ANEW),
    Code("LABEL_STORE_UNAVAILABLE", _BUILD, "the label extract is missing or not the one its manifest describes",
         "restore the label extract, or correct `labels.ref` in the wiring", retryable=True),
    Code("LABEL_ASOF_BEYOND_MARKER", _BUILD, "the label extract ends before the as-of: labels known by then may be absent",
         "take an extract whose marker is not before the as-of, or an earlier `label_asof_utc`" + _ANEW, retryable=True),
    Code("LABEL_SCOPE_INVALID", _BUILD, "a label assertion is malformed or contradicts itself",
         "have the label store correct the assertion named, and take the extract anew" + _ANEW),
    Code("LABEL_SCOPE_EMPTY", _BUILD, "no anchor is left to label",
         "widen the anchors' types, times or filters" + _ANEW, pointer="/filters"),
    Code("COVERAGE_POLICY_VIOLATION", _BUILD, "too few anchors have a settled label for training",
         "wait for labels and take a later as-of, lower the minimum, or set `non_training_allowed`" + _ANEW,
         pointer="/non_training_allowed"),
    Code("LEAKAGE_POLICY_VIOLATION", _NONE, "a finished row holds a label observed after the cut-off",
         "keep the attempt's folder and report this: it is a defect of OFS"),
)
_FEATURES_CODES = (
    Code("FEATURE_VALUE_INVALID", _BUILD, "an event's value is not what the profile declares",
         "correct the value's type or missing rule in the profile, or the producer" + _ANEW, root="profiles"),
    Code("FEATURE_NUMERIC_OVERFLOW", _BUILD, "an exact sum needs more than 38 digits",
         "declare a smaller decimal or a shorter window" + _ANEW, root="profiles"),
    Code("WINDOW_TRUNCATED", _BUILD, "windows reach back before the basis and policy refuses that",
         "start `replay_basis` earlier, or allow window_truncated in policy `features.yaml`" + _ANEW, pointer="/replay_basis"),
    Code("RESOURCE_EXCEEDED", _BUILD, "the work needs more memory or disk than policy allows",
         "give more memory or disk, or shorten the basis"),
)
_PUBLISH_CODES = (
    Code("MANIFEST_ABSENT", _BUILD, "this request is answered, but the manifest it published is not there",
         "objects were removed, or the wiring names another root: restore them or correct it; else take a new `request_id`",
         pointer="/request_id"),
    Code("MANIFEST_IMMUTABILITY_VIOLATION", _SHOW, "this dataset id is already published from other pins or content",
         "the pins named have changed since publication; what stands, stays: a correction is a new dataset"),
    Code("TRAINING_NOT_ADMISSIBLE", _SHOW, "the published dataset did not pass the gates this intent asks for",
         "ask with `non_training_allowed`, or mend what the gate named and pin it anew", pointer="/non_training_allowed"),
    Code("DATASET_RETIRED", _SHOW, "the dataset was retired, and is loaded only by those who say that they want it nevertheless",
         "read the reason; load the dataset that takes its place, or this one with `allow_retired=True`"),
    Code("EVIDENCE_IMMUTABILITY_VIOLATION", _BUILD, "an evidence document already exists with other content",
         "an input changed under this run: take a new `request_id`", pointer="/request_id"),
    Code("MATERIALIZATION_CORRUPT", _BUILD, "the written table is not the one that was computed",
         "look at disk and memory", retryable=True),
    Code("PREPARED_MANIFEST_INVALID", _BUILD, "what this run has prepared to publish is missing, or is not what was prepared",
         "build again: a full attempt takes its place; where evidence was changed, restore it or take a new `request_id`",
         retryable=True),
    Code("SUPERSESSION_LINK_INVALID", _SHOW, "the dataset named to supersede is none of this scope, or has a successor",
         "supersede the newest dataset of the chain, a published one of this platform run and feature set" + _ANEW),
    Code("COMMIT_OUTCOME_UNKNOWN", _BUILD, "the store gave no answer to the commit",
         "run again: the store is asked first what stands there", retryable=True),
    Code("LEASE_LOST", _RUN, "another attempt took this run over, or this one outlived the run limit",
         "wait for the other attempt, or until its lease has run out; for builds that take longer than policy allows, "
         "raise `run_limit_hours` in `launcher.yaml`", retryable=True),
    Code("PUBLISH_RETRY_EXHAUSTED", _RUN, "the bounded attempts of this run are used up",
         "mend what ended the earlier attempts" + _ANEW, pointer="/request_id"),
    Code("RETRY_NOT_PENDING", _RUN, "this run has nothing staged to publish", "run a full build"),
    Code("RUN_NOT_FOUND", (STATUS,), "the ledger knows no such run", "name a run of this ledger; check the wiring's ledger"),
)
_MISMATCH = Code("PARITY_MISMATCH", _NONE, "what is rebuilt from the archive differs from what was online, or was published",
                 "compare the positions and profile that are named; an archive that was changed must be restored")
_UNCHECKABLE = Code("PARITY_UNCHECKABLE", _NONE, "the state cannot be rebuilt, or not be compared: something it needs is missing",
                    "provide the prerequisite that the message names" + _ANEW)
_UNFIT = Code("ENVIRONMENT_UNFIT", (AGAIN,), "Java, jars, wiring or the object store are not usable",
              "do what the message says; `make setup` repairs Python packages and jars", retryable=True)
# fmt: on

BLOCKS = (
    ("intent", 10, _INTENT_CODES),
    ("pins", 20, _PINS_CODES),
    ("replay", 30, _REPLAY_CODES),
    ("labels", 40, _LABELS_CODES),
    ("features", 50, _FEATURES_CODES),
    ("publish", 60, _PUBLISH_CODES),
    ("parity", 70, (_MISMATCH,)),
    ("parity", 71, (_UNCHECKABLE,)),
    ("environment", 80, (_UNFIT,)),
)
"""(room, exit status, codes): the blocks of the table."""


def _fill_blocks() -> Iterator[Code]:
    for room, exit_status, codes in BLOCKS:
        yield from (replace(code, room=room, exit_status=exit_status, turn=code.turn or room) for code in codes)


CODES = {code.name: code for code in _fill_blocks()}
"""Name → code, in the order of telling within a room."""
_PLACES = {
    name: (ROOM_ORDER.index(code.turn), ROOM_ORDER.index(code.room), place)
    for place, (name, code) in enumerate(CODES.items())
}


def find_turn(name: str) -> tuple[int, int, int]:
    """Sort key of a code in the order of telling; KeyError for a name that is no code."""
    return _PLACES[name]
