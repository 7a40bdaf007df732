"""Rules about what is kept for a later attempt: what a pending run has prepared, and the staged rows of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.invariants.stored import name_all_of
from tests.invariants.view import View


def judge_prepared(view: View) -> Iterator[str]:
    """I15."""
    for run_key, run in view.runs.items():
        if run["state"] != "PUBLISH_PENDING":
            continue
        told = [event["detail"]["prepared"] for event in view.events[run_key] if "prepared" in event["detail"]]
        if not told:
            yield f"run {run_key} is PUBLISH_PENDING, and no event says what it has prepared"
            continue
        found = view.sha256(told[-1]["ref"])
        if found != told[-1]["sha256"]:
            yield f"run {run_key} has prepared {told[-1]}; there is {found or 'nothing'}"
            continue
        document = view.document(told[-1]["ref"])
        if (document["run_key"], document["intent"]["request_id"]) != (run_key, run["request_id"]):
            yield f"{told[-1]['ref']} is of run {document['run_key']}, request {document['intent']['request_id']}"
        gone = sorted(name_all_of(view, document["manifest"]) - set(view.objects))
        if gone:
            yield f"run {run_key} has prepared a manifest that names {gone}, which are not there"


def judge_staged(view: View) -> Iterator[str]:
    """I16."""
    staged = [ref for ref in view.objects if "/ofs/staging/" in ref]
    for ref in staged:
        if ref.endswith(".arrow") and view.sha256(ref) != Path(ref).stem:
            yield f"{ref} has sha256 {view.sha256(ref)}"
        if ref.endswith("/scan.json"):
            record = view.document(ref)
            if record["plan_id"] != Path(ref).parent.name:
                yield f"{ref} is of plan {record['plan_id']}"
            named = {f"{Path(ref).parent}/{file['sha256']}.arrow" for file in record["staged"]}
            if named - set(staged):
                yield f"{ref} names {sorted(named - set(staged))}, which are not there"
        if ref.endswith("/fold.json"):
            shards = view.document(ref)["shards"]
            named = {f"{Path(ref).parent}/{file['sha256']}.arrow" for shard in shards for file in shard.values()}
            if named - set(staged):
                yield f"{ref} names {sorted(named - set(staged))}, which are not there"
