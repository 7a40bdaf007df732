"""Every path on one screen: what each command does, room after room."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ofs_spark.canonical import CanonicalError, parse_json
from ofs_spark.errors import Refusal, refuse
from ofs_spark.intent.admission import admit
from ofs_spark.intent.heartbeat import heartbeat
from ofs_spark.intent.identity import dataset_fingerprint, dataset_manifest_id, intent_payload_hash, run_key
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State
from ofs_spark.intent.validate import read_intent
from ofs_spark.objects import Audit, ObjectMissing
from ofs_spark.plane import Plane

Answer = dict[str, Any]


def build(raw: bytes, plane: Plane) -> Answer:
    """Builds and publishes the dataset an intent names, once: the answer of `ofs build`, or the refusal of a room."""
    plane.announce("intent", "reads the intent")
    intent = read_intent(raw)
    admit(intent, "build")
    run = plane.control.open(run_key(intent.request_id), intent.request_id, intent_payload_hash(intent))
    if run.state is State.DONE and run.outcome is not None:
        plane.announce("intent", "this request was answered before")
        return dict(run.outcome)
    held = plane.control.claim(run)
    audit: Audit = []
    with heartbeat(plane.control, held), _ended(held, intent, plane, audit) as answer:
        answer.update(preflight(intent, held, plane, audit) or _walked(intent, held, plane, audit))
    return answer


def preflight(intent: Intent, held: Run, plane: Plane, audit: Audit) -> Answer | None:
    """The answer of an already published dataset, or None. Starts no engine."""
    ref = manifest_ref(intent.platform_run_id, dataset_manifest_id(dataset_fingerprint(intent)))
    if not plane.objects.exists(ref):
        return None
    from ofs_spark.preflight import answered  # needs pins only; the rooms with Arrow and Numba stay unloaded

    return answered(intent, held, ref, plane, audit)


def verify(manifest: str, plane: Plane) -> Answer:
    """Recomputes a published dataset from its stored bytes: {verified, checks}."""
    from ofs_spark.checking import checked

    ref = _manifest_at(manifest, plane)
    return checked(ref, _read(ref, plane), plane)


def show(manifest: str, plane: Plane) -> Answer:
    """The manifest itself."""
    return _read(_manifest_at(manifest, plane), plane)


def status(key: str | None, plane: Plane) -> Answer:
    """One run with its events, or all runs."""
    ledger = plane.control.ledger
    runs = ledger.runs() if key is None else [plane.control.find(key)]
    told = [
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
        return {"runs": told}
    events = [{"at": e.at, "before": e.before, "after": e.after, "reason": e.reason} for e in ledger.events(key)]
    return {**told[0], "events": events}


def manifest_ref(platform_run_id: str, dataset_id: str) -> str:
    """Where the manifest of a dataset stands."""
    return f"{platform_run_id}/ofs/manifests/{dataset_id}.json"


def _manifest_at(manifest: str, plane: Plane) -> str:
    if "/" in manifest:
        return plane.objects.relative(manifest)
    for run in plane.control.ledger.runs():
        ref = (run.outcome or {}).get("manifest_ref")
        if ref and ref.endswith(f"/{manifest}.json"):
            return str(ref)
    raise refuse(
        "RUN_NOT_FOUND", f"no run of this ledger published {manifest}; name the manifest by its ref", "ofs status"
    )


def _read(ref: str, plane: Plane) -> dict[str, Any]:
    try:
        document = parse_json(plane.objects.read(ref), what="the manifest")
    except ObjectMissing:
        raise refuse("REF_ACCESS_DENIED", f"there is no manifest at {ref}", "ofs status", ref=ref) from None
    except CanonicalError as error:
        raise refuse("SCHEMA_INVALID", f"{ref} is no JSON document: {error}", "ofs status", ref=ref) from None
    if not isinstance(document, dict):
        raise refuse("SCHEMA_INVALID", f"{ref} is no DatasetManifest: it is no JSON object", "ofs status", ref=ref)
    return document


def _walked(intent: Intent, held: Run, plane: Plane, audit: Audit) -> Answer:
    from ofs_spark.publication import published  # Arrow, Numba and Spark load here, and only for a real build

    return published(intent, held, plane, f"{held.attempt}-{uuid.uuid4().hex[:12]}", audit)


@contextmanager
def _ended(held: Run, intent: Intent, plane: Plane, audit: Audit) -> Iterator[Answer]:
    """Records in the ledger how the claimed run ended, whichever way, and tells of it."""
    answer: Answer = {}
    try:
        yield answer
    except Refusal as refusal:
        pending = refusal.code == "COMMIT_OUTCOME_UNKNOWN"
        outcome = refusal.document()
        state = State.PUBLISH_PENDING if pending else State.FAILED
        _record(held, state, refusal.code, outcome, intent, plane, audit)
        raise
    except BaseException as error:  # an interrupt too: the next attempt need not wait for the lease to run out
        defect = isinstance(error, Exception)
        reason, status = ("INTERNAL", 1) if defect else ("INTERRUPTED", getattr(error, "exit_status", 130))
        told = str(error) or type(error).__name__
        outcome = {"outcome": "FAILED", "reason": reason, "message": told, "exit_status": status}
        _record(held, State.FAILED, reason, outcome, intent, plane, audit)
        raise
    _record(held, State.DONE, answer["outcome"], answer, intent, plane, audit)


def _record(
    held: Run, state: State, reason: str, outcome: Mapping[str, Any], intent: Intent, plane: Plane, audit: Audit
) -> None:
    from ofs_spark.signals.told import tell

    if reason == "LEASE_LOST":  # another driver has the run: its record is the one that counts
        return
    plane.control.end(held, state, reason, outcome)
    plane.announce("signals", "tells how the run ended")
    tell(plane.objects, plane.announce, plane.control, held, intent, outcome, audit)
