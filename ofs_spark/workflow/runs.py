"""Runs as the ledger knows them: what `ofs status`, `ofs ledger` and `ofs cancel` answer. No engine, no Arrow."""

from __future__ import annotations

from typing import Any

from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.ends import EXIT_CANCELLED, compose_failure
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, ObjectTooLarge
from ofs_spark.foundation.refs import name_manifest, name_plan
from ofs_spark.intent.run import (
    CANCELLED_BY_RUN_CONTROL,
    DatedRun,
    Run,
    State,
    Transition,
    date_run,
    name_owner,
)
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import choose_state

Answer = dict[str, Any]

MOST_BYTES = 64 * 1024 * 1024
"""Of a plan that is looked at."""
ROUNDS = 8
"""Times a run is looked at anew because its driver moved it meanwhile."""


def describe_runs(run_key: str | None, context: RunContext, most: int | None) -> Answer:
    """One run with its events, or runs: the `most` newest, the newest last, and how many there are."""
    ledger = context.control.ledger
    if run_key is None:
        return {"runs": [_describe_run(one) for one in ledger.list_dated(most)], "total": ledger.count_runs()}
    run = context.control.find_by(run_key)
    events = ledger.list_events(run.run_key)
    return {**_describe_run(date_run(run, events)), "events": [_describe_transition(event) for event in events]}


def list_ledger(state: str | None, most: int, context: RunContext) -> Answer:
    """The `most` newest runs, of one state if it is named, with who holds them; the newest last."""
    found = context.control.ledger.list_dated(most, None if state is None else State(state))
    return {"runs": [{**_describe_run(one), **_describe_claim(one.run)} for one in found]}


def show_ledger(run_key: str, context: RunContext) -> Answer:
    """Everything that the ledger holds of a run."""
    run = context.control.find_by(run_key)
    events = context.control.ledger.list_events(run.run_key)
    return {
        **_describe_run(date_run(run, events)),
        **_describe_claim(run),
        "intent_payload_hash": run.intent_hash,
        "last_answer": run.outcome,
        "events": [{**_describe_transition(event), **_describe_cause(event)} for event in events],
    }


def cancel_run(run_key: str, context: RunContext) -> Answer:
    """Has a run ended, by its driver if one holds it, else at once; what stands is never undone.

    Outcome: CANCEL_REQUESTED, the driver ends at its next heartbeat; CANCELLED, the run had no driver any more and is
    FAILED; ALREADY_PUBLISHED, its dataset stands; NOT_RUNNING, there is nothing to end.
    """
    control = context.control
    for _ in range(ROUNDS):
        run = control.find_by(run_key)
        if run.state is State.DONE:
            return _answer_cancel("ALREADY_PUBLISHED", run, manifest_ref=(run.outcome or {}).get("manifest_ref"))
        if run.state is not State.RUNNING:
            return _answer_cancel("NOT_RUNNING", run)
        standing = _find_standing(run, context)
        if standing:
            return _answer_cancel("ALREADY_PUBLISHED", run, manifest_ref=standing)
        try:
            if not control.is_abandoned(run):
                return _answer_cancel("CANCEL_REQUESTED", control.ask_to_stop(run))
            return _end_abandoned(run, context)
        except Refusal as refusal:
            if refusal.code != "LEASE_LOST":
                raise
    raise refuse("LEASE_LOST", f"run {run.run_key} changes too fast to be cancelled: ask again", run_key=run.run_key)


def _end_abandoned(run: Run, context: RunContext) -> Answer:
    """Ends a run whose driver is gone. From the claim on that driver cannot commit, so the store is asked again after it."""
    from ofs_spark.signals.write import SignalWriter, write_ended

    held = context.control.claim(run, settles=True)
    standing = _find_standing(run, context)
    if standing:  # the next build records it: this process holds the run, and is gone by then
        return _answer_cancel("ALREADY_PUBLISHED", held, manifest_ref=standing)
    outcome = compose_failure("CANCELLED", CANCELLED_BY_RUN_CONTROL, EXIT_CANCELLED)
    ended = context.control.end(held, choose_state(held, "CANCELLED", is_prepared=False), "CANCELLED", outcome)
    if ended.platform_run_id is not None:
        writer = SignalWriter(context.objects, context.announce)
        write_ended(writer, context.control, ended, ended.platform_run_id, None)
    return _answer_cancel("CANCELLED", ended)


def _find_standing(run: Run, context: RunContext) -> str:
    """Ref of the manifest that the run's plan leads to, "" if none stands, or the run was not resolved to a plan yet."""
    if run.platform_run_id is None:
        return ""
    try:
        body = context.objects.read(name_plan(run.platform_run_id, run.run_key), MOST_BYTES)
        plan = parse_json(body, what="the plan", max_bytes=MOST_BYTES)
    except (ObjectMissing, ObjectTooLarge, CanonicalError):
        return ""
    ref = name_manifest(run.platform_run_id, str(plan["dataset_manifest_id"]))
    return ref if context.objects.exists(ref) else ""


def _answer_cancel(outcome: str, run: Run, **more: Any) -> Answer:
    return {
        "outcome": outcome,
        "run_key": run.run_key,
        "request_id": run.request_id,
        "state": run.state.value,
        "owner": name_owner(run.owner),
        "lease_until": _show_time(run.lease_until),
        **more,
    }


def _describe_run(dated: DatedRun) -> Answer:
    run, outcome = dated.run, dated.run.outcome or {}
    return {
        "run_key": run.run_key,
        "request_id": run.request_id,
        "state": run.state.value,
        "attempts": run.attempts,
        "outcome": outcome.get("code") or outcome.get("outcome"),
        "dataset_manifest_id": outcome.get("dataset_manifest_id") if outcome.get("manifest_ref") else None,
        "started_at_utc": _show_time(dated.began),
        "ended_at_utc": _show_time(dated.ended),
    }


def _describe_claim(run: Run) -> Answer:
    return {
        "platform_run_id": run.platform_run_id,
        "owner": name_owner(run.owner),
        "token": run.token,
        "publish_retries": run.publish_retries,
        "lease_until": _show_time(run.lease_until),
        "cancel_requested": run.is_asked_to_stop,
    }


def _describe_transition(event: Transition) -> Answer:
    """`at` in µs."""
    return {"at": event.at, "before": event.before, "after": event.after, "reason": event.reason}


def _describe_cause(event: Transition) -> Answer:
    owner = name_owner(str(event.detail.get("owner", "")))
    return {"at_utc": format_instant(event.at), "token": event.token, "owner": owner, "detail": dict(event.detail)}


def _show_time(micros: int | None) -> str | None:
    return None if micros is None else format_instant(micros)
