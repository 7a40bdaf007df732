"""Rules about the ledger: its events are a legal history of its runs, and its last word about a dataset is true."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.invariants.history import Row
from tests.invariants.view import View, find_attempt, find_maker

LEGAL: dict[str | None, set[str]] = {
    None: {"QUEUED"},
    "QUEUED": {"RUNNING"},
    "RUNNING": {"RUNNING", "DONE", "FAILED", "PUBLISH_PENDING"},
    "FAILED": {"RUNNING"},
    "PUBLISH_PENDING": {"RUNNING"},
    "DONE": set(),
}
ENDED = ("DONE", "FAILED", "PUBLISH_PENDING")
CONFLICTS = frozenset({"MANIFEST_IMMUTABILITY_VIOLATION", "REQUEST_ID_PAYLOAD_MISMATCH", "TRAINING_NOT_ADMISSIBLE"})
"""Codes that refuse a request because of what stands: they do not say that nothing was published."""


def judge_tokens(view: View) -> Iterator[str]:
    """I8."""
    for run_key, events in view.events.items():
        held = 0
        for event in events:
            asks = event["reason"] == "CANCEL_REQUESTED"  # of the claim that holds the run, and no claim itself
            if event["after"] == "RUNNING" and not asks and not event["token"] > held:
                yield f"run {run_key} was claimed under token {event['token']} after {held}"
            elif (asks or event["after"] != "RUNNING") and event["token"] != held:
                yield f"run {run_key} became {event['after']} under token {event['token']}, held was {held}"
            held = max(held, event["token"])
    for run_key, run in view.runs.items():
        before = view.history.runs.get(run_key)
        if before and before["state"] == "DONE" and run != before:
            yield f"run {run_key} was DONE and changed: {before} became {run}"
        if before and run["token"] < before["token"]:
            yield f"run {run_key} has token {run['token']}, earlier it had {before['token']}"
        claimed = {event["token"] for event in view.events.get(run_key, ()) if event["after"] == "RUNNING"}
        for ref in view.own_manifests.get(run_key, ()):
            if find_attempt(view.manifests[ref]) not in claimed:
                yield f"{ref} was made under a claim that the ledger never gave: it gave {sorted(claimed)}"


def judge_events(view: View) -> Iterator[str]:
    """I9."""
    for run_key in {*view.runs, *view.events, *view.history.events}:
        run, events = view.runs.get(run_key), view.events.get(run_key, [])
        earlier = view.history.events.get(run_key, [])
        if events[: len(earlier)] != earlier:
            yield f"events of run {run_key} changed: {earlier} became {events}"
        if run is None or not events:
            yield f"run {run_key} has {len(events)} events and {'a' if run else 'no'} row"
            continue
        yield from _judge_chain(run_key, events)
        yield from (f"run {run_key}: {text}" for text in _compare_row(run, events))


def _judge_chain(run_key: str, events: list[Row]) -> Iterator[str]:
    for before, event in pairwise([{"after": None}, *events]):
        last = before["after"]
        if event["before"] != last or event["after"] not in LEGAL[last]:
            yield f"run {run_key} was {last}; its next event goes from {event['before']} to {event['after']}"


def _compare_row(run: Row, events: list[Row]) -> Iterator[str]:
    """What the events come to, and what the row says."""
    claims = [event for event in events if event["after"] == "RUNNING" and event["reason"] != "CANCEL_REQUESTED"]
    attempts = [event for event in claims if event["reason"] != "SETTLED"]  # the others record what stood before them
    ends = [event for event in events if event["after"] in ENDED]
    expected = {
        "state": events[-1]["after"],
        "token": events[-1]["token"],
        "claims": len(attempts),
        "owner": claims[-1]["detail"]["owner"] if claims else "",
        "outcome": {k: v for k, v in ends[-1]["detail"].items() if k not in ("protected_refs", "prepared")}
        if ends
        else None,
    }
    found = {**run, "claims": run["attempts"] + run["publish_retries"]}
    for name, value in expected.items():
        if found[name] != value:
            yield f"{name} is {found[name]}, its events come to {value}"
    if (run["lease_until"] is None) != (run["state"] != "RUNNING"):
        yield f"lease_until is {run['lease_until']} of a run that is {run['state']}"


def judge_gates(view: View) -> Iterator[str]:
    """I11."""
    for ref, manifest in view.manifests.items():
        run_key, token = find_maker(manifest), find_attempt(manifest)
        for event in view.events.get(run_key, ()):
            gate = event["detail"].get("details", {}).get("gate") if event["after"] in ENDED else None
            if gate and event["token"] == token:
                yield f"{ref} was made by attempt {token} of run {run_key}, which gate {gate} refused"
        failed = {gate["name"]: gate["detail"]["training"] for gate in manifest["gates"] if not gate["passed"]}
        if not all(failed.values()):
            yield f"{ref} stands though {sorted(failed)} failed"
        if manifest["status"] != ("NON_TRAINING" if failed else "TRAINING_READY"):
            yield f"{ref} is {manifest['status']}; failed gates: {sorted(failed)}"
        plan = view.document(manifest["evidence"]["resolved_build_plan"]["ref"])
        if plan is not None and plan["training"] and failed:
            yield f"{ref} of a training intent stands though {sorted(failed)} failed"


def judge_last_word(view: View) -> Iterator[str]:
    """I12."""
    failures = [fact for fact in view.facts.values() if fact["event_type"] == "DatasetBuildFailed"]
    for run_key, refs in view.own_manifests.items():
        run = view.runs.get(run_key)
        if run is None:
            continue
        if run["state"] == "FAILED" and not _is_conflict(run["outcome"]):
            yield f"run {run_key} is FAILED ({_name_code(run['outcome'])}) and its manifest {refs[0]} stands"
        for fact in failures:
            latest = fact["run_key"] == run_key and fact["attempt"] >= run["token"]
            if latest and fact["code"] not in CONFLICTS:
                yield f"DatasetBuildFailed ({fact['code']}) is the last word of run {run_key}, {refs[0]} stands"
        for ref in view.below("ofs/run_receipts"):
            receipt = view.document(ref)
            if Path(ref).stem == run_key and receipt["attempts"][-1]["attempt"] >= run["token"]:
                told, code = receipt["outcome"], receipt.get("refusal", {})
                if told in ("REFUSED", "FAILED") and not _is_conflict(code):
                    yield f"{ref} ends with {told}, {refs[0]} stands"


def _is_conflict(outcome: dict[str, Any]) -> bool:
    return _name_code(outcome) in CONFLICTS


def _name_code(outcome: dict[str, Any]) -> str:
    return str(outcome.get("code") or outcome.get("reason"))
