"""The last step of a build, and all of a publish-only retry: what was prepared is put, and that write is the dataset.

A retry computes nothing. It reads what the run prepared, judges all of it again from the stored bytes, and commits. What
it publishes depends on neither archive, label store, run facts nor profile: once it stands, its answer says which of them
have changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.audit import describe_audit
from ofs_spark.foundation.collect import merge_refusals
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import NOTE
from ofs_spark.foundation.refs import name_manifest, name_prepared
from ofs_spark.intent.admission import find_command
from ofs_spark.intent.identity import derive_run_key, fingerprint_dataset, hash_intent_payload
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State, require_staged
from ofs_spark.intent.validate import admit_intent
from ofs_spark.publish.commit import commit, require_committed
from ofs_spark.publish.prepared import INVALID, Prepared, read_prepared
from ofs_spark.publish.supersession import reserve_links
from ofs_spark.signals.receipts import is_own_commit
from ofs_spark.workflow.answer import add_changes, compose_build_answer
from ofs_spark.workflow.attempt import Timings
from ofs_spark.workflow.checks import Check, Finding, compare, run_check
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Answer, Ending
from ofs_spark.workflow.supersession import judge_supersession

CORRUPT = "MATERIALIZATION_CORRUPT"
_OF_THE_TABLE = frozenset({"delta log", "file list", "delta table", "table", "buckets", "counts"})
"""Checks of the stored table; what any other one finds is wrong with what was prepared."""
_OUTSIDE = frozenset({"REF_ACCESS_DENIED", "ENVIRONMENT_UNFIT", "RESOURCE_EXCEEDED"})
"""Codes of a store or a machine that does not let a check be made: they say nothing of what was prepared."""


def commit_manifest(
    manifest: Mapping[str, Any], held: Run, context: RunContext, ending: Ending
) -> tuple[str, Mapping[str, Any], str]:
    """Puts a composed manifest: (what the commit came to, the manifest that stands, its ref). All publishing ends here.

    MANIFEST_IMMUTABILITY_VIOLATION or COMMIT_OUTCOME_UNKNOWN as `require_committed`; LEASE_LOST where this driver may no
    longer commit; SUPERSESSION_LINK_INVALID as `reserve_links`.
    """
    ref = name_manifest(manifest["platform_run_id"], manifest["dataset_manifest_id"])

    def fence() -> None:
        """Nothing but the put follows: from here on the manifest may stand."""
        reserve_links(manifest, context.objects, context.control)
        context.control.fence(held)
        ending.is_put = True

    done = commit(context.objects, ref, manifest, fence)
    return done.outcome.value, require_committed(done, ref, manifest), ref


def publish_prepared(
    before: Run, held: Run, intent: Intent, context: RunContext, ending: Ending, timings: Timings
) -> Answer | None:
    """The answer of a run that published what it had prepared; None where there is nothing prepared, and it must build.

    A publish-only claim has prepared something, or is refused: PREPARED_MANIFEST_INVALID or MATERIALIZATION_CORRUPT by
    what is wrong. A driver that died may have: what it left is published if it is whole.
    """
    if not held.publish_only and before.state is not State.RUNNING:
        return None
    with timings.measure("publish", "looks at what this run has prepared"):
        prepared = _require_prepared(held, intent, context) if held.publish_only else _adopt(held, intent, context)
        if prepared is None:
            return None
        ending.prepared = prepared.describe()
        refused = judge_supersession(intent, context)
        if refused:
            raise merge_refusals(refused)
        context.announce("publish", "publishes what was prepared: nothing is replayed")
        outcome, manifest, ref = commit_manifest(prepared.manifest, held, context, ending)
    answer = compose_build_answer(outcome, held, manifest, ref, timings.seconds, context.objects)
    return add_changes(answer, manifest, intent, context)


def find_staged_intent(run: Run, context: RunContext) -> Intent:
    """The intent of a run that has staged data, as it prepared it and proven to be the run's.

    RETRY_NOT_PENDING for any other run. PREPARED_MANIFEST_INVALID where what was prepared is not to be had: the run is
    FAILED then, unless its dataset may stand.
    """
    require_staged(run)
    try:
        return _read_own_intent(_read_recorded(run, context), run)
    except Refusal as refusal:
        if refusal.code == INVALID:
            _give_up(run, refusal, context)
        raise


def _give_up(run: Run, refusal: Refusal, context: RunContext) -> None:
    """Ends a run whose prepared manifest is gone, so that the next build is a full attempt.

    Nothing is told of it here, for nobody says what the run was asked: the next build tells of this end too. Where the
    dataset may stand the run is left to that build, which knows its name.
    """
    record = _find_record(run, context)
    if record and not context.objects.exists(record["manifest_ref"]):
        held = context.control.claim(run, publish_only=True)
        context.control.end(held, State.FAILED, refusal.code, refusal.to_document(), describe_audit([]))


def _require_prepared(held: Run, intent: Intent, context: RunContext) -> Prepared:
    """What the ledger says was prepared, verified; refuses."""
    prepared = _read_recorded(held, context)
    _verify(prepared, held, intent, context)
    return prepared


def _adopt(held: Run, intent: Intent, context: RunContext) -> Prepared | None:
    """What a driver that died had prepared, if it is there and whole."""
    ref = name_prepared(intent.platform_run_id, held.run_key)
    if not context.objects.exists(ref):
        return None
    try:
        prepared = read_prepared(context.objects, ref)
        _verify(prepared, held, intent, context)
    except Refusal as unfit:
        context.announce("publish", f"{NOTE}what an earlier attempt prepared is not published: {unfit}")
        return None
    return prepared


def _read_recorded(run: Run, context: RunContext) -> Prepared:
    record = _find_record(run, context)
    if not record:
        message = f"the ledger does not say what run {run.run_key} has prepared to publish"
        raise refuse(INVALID, message, run_key=run.run_key)
    return read_prepared(context.objects, record["ref"], record["sha256"])


def _find_record(run: Run, context: RunContext) -> Mapping[str, str]:
    """What the run's latest attempt that prepared something said of it: ref, sha256, manifest_ref."""
    events = context.control.ledger.list_events(run.run_key)
    return next((event.detail["prepared"] for event in reversed(events) if "prepared" in event.detail), {})


def _read_own_intent(prepared: Prepared, run: Run) -> Intent:
    """The intent that was prepared: the run's, by the hash that the ledger holds of it."""
    try:
        intent = admit_intent(prepared.intent, find_command(prepared.intent))
    except Refusal as odd:
        raise _refuse_prepared(prepared, f"its intent is none: {odd}") from None
    if (derive_run_key(intent.request_id), hash_intent_payload(intent)) != (run.run_key, run.intent_hash):
        raise _refuse_prepared(prepared, "its intent is not that of the run")
    return intent


def _verify(prepared: Prepared, run: Run, intent: Intent, context: RunContext) -> None:
    """Refuses what is not the run's, or not what was staged: by the first check that fails.

    MATERIALIZATION_CORRUPT for the table, PREPARED_MANIFEST_INVALID for any other document; a store that denies or is of
    no use keeps its own code.
    """
    from ofs_spark.workflow.verify import Judged  # loads what reads a table

    context.announce("publish", "verifies it against the stored bytes")
    manifest = prepared.manifest
    own = run_check("prepared manifest", lambda: _compare_own(prepared, run, intent))
    _require(own, prepared)
    ref = name_manifest(intent.platform_run_id, manifest["dataset_manifest_id"])
    for check in Judged(ref, manifest, context).run_checks():
        _require(check, prepared)
    failed = [one["name"] for one in manifest["gates"] if not one["passed"]]
    if any(intent.training or not one["detail"]["training"] for one in manifest["gates"] if not one["passed"]):
        raise _refuse_prepared(prepared, f"gates have not passed: {', '.join(failed)}")


def _compare_own(prepared: Prepared, run: Run, intent: Intent) -> Finding:
    found = {
        "run_key": prepared.run_key,
        "intent": hash_intent_payload(_read_own_intent(prepared, run)),
        "dataset_fingerprint": prepared.manifest["dataset_fingerprint"],
        "evidence of the run": is_own_commit(prepared.manifest, run.run_key),
    }
    expected = {
        "run_key": run.run_key,
        "intent": hash_intent_payload(intent),
        "dataset_fingerprint": fingerprint_dataset(intent),
        "evidence of the run": True,
    }
    return compare(found, expected)


def _require(check: Check, prepared: Prepared) -> None:
    if check.passed:
        return
    code = check.code if check.code in _OUTSIDE else CORRUPT if check.name in _OF_THE_TABLE else INVALID
    message = f"{prepared.evidence.ref}: {check.name}: found {check.found:.400}; required is {check.expected:.400}"
    raise refuse(code, message, ref=prepared.evidence.ref, check=check.name, found=check.found, expected=check.expected)


def _refuse_prepared(prepared: Prepared, message: str) -> Refusal:
    return refuse(INVALID, f"{prepared.evidence.ref}: {message}", ref=prepared.evidence.ref)
