"""Every path on one screen: what each command does, room after room."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.objects import Audit, ObjectMissing
from ofs_spark.intent.admission import admit
from ofs_spark.intent.heartbeat import keep_lease
from ofs_spark.intent.identity import derive_manifest_id, derive_run_key, fingerprint_dataset, hash_intent_payload
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State
from ofs_spark.intent.validate import read_intent
from ofs_spark.workflow.context import RunContext

Answer = dict[str, Any]


def build(raw: bytes, context: RunContext) -> Answer:
    """Builds and publishes the dataset an intent names, once: the answer of `ofs build`, or the refusal of a room."""
    context.announce("intent", "reads the intent")
    intent = read_intent(raw)
    admit(intent, "build")
    run = context.control.open(derive_run_key(intent.request_id), intent.request_id, hash_intent_payload(intent))
    if run.state is State.DONE and run.outcome is not None:
        context.announce("intent", "this request was answered before")
        return dict(run.outcome)
    held = context.control.claim(run)
    audit: Audit = []
    with keep_lease(context.control, held), _ended(held, intent, context, audit) as answer:
        answer.update(preflight(intent, held, context, audit) or _walked(intent, held, context, audit))
    return answer


def preflight(intent: Intent, held: Run, context: RunContext, audit: Audit) -> Answer | None:
    """The answer of an already published dataset, or None. Starts no engine."""
    ref = manifest_ref(intent.platform_run_id, derive_manifest_id(fingerprint_dataset(intent)))
    if not context.objects.exists(ref):
        return None
    from ofs_spark.workflow.answer import (
        answer_published,  # needs pins only; the rooms with Arrow and Numba stay unloaded
    )

    return answer_published(intent, held, ref, context, audit)


def verify(manifest: str, context: RunContext) -> Answer:
    """Recomputes a published dataset from its stored bytes: {verified, checks}."""
    from ofs_spark.workflow.verify import verify_dataset

    ref = _manifest_at(manifest, context)
    return verify_dataset(ref, _read(ref, context), context)


def show(manifest: str, context: RunContext) -> Answer:
    """The manifest itself."""
    return _read(_manifest_at(manifest, context), context)


def status(key: str | None, context: RunContext) -> Answer:
    """One run with its events, or all runs."""
    ledger = context.control.ledger
    runs = ledger.runs() if key is None else [context.control.find(key)]
    summaries = [
        {
            "run_key": r.run_key,
            "request_id": r.request_id,
            "state": r.state.value,
            "attempts": r.attempts,
            "outcome": (r.outcome or {}).get("code") or (r.outcome or {}).get("outcome"),
        }
        for r in runs
    ]
    if key is None:
        return {"runs": summaries}
    events = [{"at": e.at, "before": e.before, "after": e.after, "reason": e.reason} for e in ledger.events(key)]
    return {**summaries[0], "events": events}


def manifest_ref(platform_run_id: str, dataset_id: str) -> str:
    """Where the manifest of a dataset stands."""
    return f"{platform_run_id}/ofs/manifests/{dataset_id}.json"


def _manifest_at(manifest: str, context: RunContext) -> str:
    if "/" in manifest:
        return context.objects.relative(manifest)
    for run in context.control.ledger.runs():
        ref = (run.outcome or {}).get("manifest_ref")
        if ref and ref.endswith(f"/{manifest}.json"):
            return str(ref)
    raise refuse(
        "RUN_NOT_FOUND", f"no run of this ledger published {manifest}; name the manifest by its ref", "ofs status"
    )


def _read(ref: str, context: RunContext) -> dict[str, Any]:
    try:
        document = parse_json(context.objects.read(ref), what="the manifest")
    except ObjectMissing:
        raise refuse("REF_ACCESS_DENIED", f"there is no manifest at {ref}", "ofs status", ref=ref) from None
    except CanonicalError as error:
        raise refuse("SCHEMA_INVALID", f"{ref} is no JSON document: {error}", "ofs status", ref=ref) from None
    if not isinstance(document, dict):
        raise refuse("SCHEMA_INVALID", f"{ref} is no DatasetManifest: it is no JSON object", "ofs status", ref=ref)
    return document


def _walked(intent: Intent, held: Run, context: RunContext, audit: Audit) -> Answer:
    from ofs_spark.workflow.loading import load_build_rooms

    load_build_rooms(context.announce)  # Arrow, Numba and Spark load here, and only for a real build
    from ofs_spark.workflow.publication import publish_dataset

    return publish_dataset(intent, held, context, f"{held.attempt}-{uuid.uuid4().hex[:12]}", audit)


@contextmanager
def _ended(held: Run, intent: Intent, context: RunContext, audit: Audit) -> Iterator[Answer]:
    """Records in the ledger how the claimed run ended, whichever way, and tells of it."""
    answer: Answer = {}
    try:
        yield answer
    except Refusal as refusal:
        pending = refusal.code == "COMMIT_OUTCOME_UNKNOWN"
        outcome = refusal.document()
        state = State.PUBLISH_PENDING if pending else State.FAILED
        _record(held, state, refusal.code, outcome, intent, context, audit)
        raise
    except BaseException as error:  # an interrupt too: the next attempt need not wait for the lease to run out
        defect = isinstance(error, Exception)
        reason, status = ("INTERNAL", 1) if defect else ("INTERRUPTED", getattr(error, "exit_status", 130))
        message = str(error) or type(error).__name__
        outcome = {"outcome": "FAILED", "reason": reason, "message": message, "exit_status": status}
        _record(held, State.FAILED, reason, outcome, intent, context, audit)
        raise
    _record(held, State.DONE, answer["outcome"], answer, intent, context, audit)


def _record(
    held: Run, state: State, reason: str, outcome: Mapping[str, Any], intent: Intent, context: RunContext, audit: Audit
) -> None:
    from ofs_spark.signals.write import write_signals

    if reason == "LEASE_LOST":  # another driver has the run: its record is the one that counts
        return
    context.control.end(held, state, reason, outcome)
    context.announce("signals", "tells how the run ended")
    write_signals(context.objects, context.announce, context.control, held, intent, outcome, audit)
