"""Rules about what is told of datasets and runs: nothing before it is true, and everything once a run has ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.invariants.history import Row
from tests.invariants.judged import COMPARED, REBUILT, find_document
from tests.invariants.runs import ENDED
from tests.invariants.view import View, find_maker, hash_value

Document = dict[str, Any]
PUBLISHED = ("COMMITTED", "ALREADY_PUBLISHED")
LISTED = 1_000
"""Runs that a platform run's reconciliation lists."""
SUMS = {"events_replayed": "delivered", "redeliveries": "redeliveries", "conflicts": "conflicts", "invalid": "invalid"}
"""Counter of a reconciliation → count of a manifest's replay."""


def judge_done(view: View) -> Iterator[str]:
    """I5, at any moment: whoever says that a dataset stands, is right."""
    for run_key, run in view.runs.items():
        if run["state"] == "DONE" and not find_document(run["outcome"]):  # a document's: I18
            yield from (f"run {run_key} is DONE: {text}" for text in _compare_outcome(view, run["outcome"]))
    told = [*view.below("ofs/publication", "ofs/index/by_plan"), *view.facts]
    for ref in told:
        named = view.document(ref).get("manifest")
        if named and view.sha256(named["ref"]) != named["sha256"]:
            yield f"{ref} names {named}; there is {view.sha256(named['ref']) or 'nothing'}"
    for ref, fact in view.facts.items():
        about = {
            name: value for name, value in fact.items() if name not in ("schema_version", "event_id", "event_type")
        }
        own = hash_value({"recipe": fact["schema_version"], "event_type": fact["event_type"], "payload": about})
        if (fact["event_id"], Path(ref).stem) != (own, own):
            yield f"{ref} holds fact {fact['event_id']}, which comes to {own}"
    for ref in view.below("ofs/manifests"):
        standing = view.manifests.get(ref.replace(".v0.json", ".json"))
        if ref.endswith(".v0.json") and (standing or {}).get("status") != "TRAINING_READY":
            yield f"{ref} is the view of a manifest that is not TRAINING_READY"


def _compare_outcome(view: View, outcome: Document) -> Iterator[str]:
    ref = outcome["manifest_ref"]
    manifest = view.manifests.get(ref)
    if manifest is None:
        yield f"{ref} does not stand"
        return
    table = manifest["materialization"]
    stated = {name: manifest[name] for name in ("plan_id", "dataset_manifest_id", "status")}
    stated |= {"content_digest": table["content_digest"], "rows": table["row_count"], "table_ref": table["path"]}
    for name, value in stated.items():
        if outcome[name] != value:
            yield f"its {name} is {outcome[name]}, the manifest's {value}"
    if outcome["outcome"] not in PUBLISHED:
        yield f"its outcome is {outcome['outcome']}"


def judge_told(view: View) -> Iterator[str]:
    """I5, once every driver ended in order: receipt, fact, plan index and v0 view stand and agree with the manifest."""
    for run_key, run in view.runs.items():
        ref = str((run["outcome"] or {}).get("manifest_ref"))
        manifest = view.manifests.get(ref)
        if run["state"] != "DONE" or manifest is None:
            continue
        for place, expected in _compose_told(view, run, ref, manifest).items():
            found = view.document(place)
            if found is None:
                yield f"run {run_key} is DONE and {place} does not stand"
            elif any(found.get(name) != value for name, value in expected.items()):
                differing = {name: found.get(name) for name, value in expected.items() if found.get(name) != value}
                yield f"{place} says {differing}; the manifest of run {run_key} says otherwise"


def _compose_told(view: View, run: Row, ref: str, manifest: Document) -> dict[str, Document]:
    """Ref → members that must be there."""
    home, named = f"{manifest['platform_run_id']}/ofs", {"ref": ref, "sha256": view.sha256(ref)}
    content = manifest["materialization"]["content_digest"]
    dataset = {name: manifest[name] for name in ("plan_id", "dataset_manifest_id")} | {"manifest": named}
    place = {"platform_run_id": manifest["platform_run_id"], "content_digest": content}
    asked = {"run_key": run["run_key"], "request_id": run["request_id"]}
    outcome = PUBLISHED[find_maker(manifest) != run["run_key"]]
    fact = {**dataset, **place, "status": manifest["status"]}
    event_id = hash_value({"recipe": "ofs.governance_fact.v1", "event_type": "DatasetPublished", "payload": fact})
    told: dict[str, Document] = {
        f"{home}/publication/{run['run_key']}.json": {**dataset, **place, **asked, "outcome": outcome},
        f"{home}/index/by_plan/{manifest['plan_id']}.json": dataset,
        f"{home}/governance/{event_id}.json": {**fact, "event_type": "DatasetPublished"},
    }
    for superseded in manifest.get("supersedes", ()):
        backfill = {**dataset, "platform_run_id": place["platform_run_id"], "content_digest": content}
        backfill["supersedes"] = manifest["supersedes"]
        completed = {"recipe": "ofs.governance_fact.v1", "event_type": "BackfillCompleted", "payload": backfill}
        told[f"{home}/governance/{hash_value(completed)}.json"] = {**backfill, "event_type": "BackfillCompleted"}
        link = {"state": "COMPLETED", "manifest": named, "successor": manifest["dataset_manifest_id"]}
        told[f"{home}/supersession/{superseded}.json"] = {**link, "reason_code": manifest["backfill"]["reason_code"]}
    if manifest["status"] == "TRAINING_READY":
        same = ("dataset_manifest_id", "dataset_fingerprint", "platform_run_id", "replay_basis", "scenario_run_ids")
        view_of = {name: manifest[name] for name in (*same, "feature_definition_set")}
        labels = {name: value for name, value in manifest["label_basis"].items() if name != "posture"}
        told[ref.replace(".json", ".v0.json")] = view_of | {"label_basis": labels}
    return told


def judge_reconciliation(view: View) -> Iterator[str]:
    """I13."""
    ended: dict[str, dict[str, Row]] = {ref.split("/")[0]: {} for ref in view.below("learning/reconciliation")}
    for run_key, run in view.runs.items():
        if run["state"] in ENDED:
            ended.setdefault(_find_platform_run(run), {})[run_key] = run
    for platform_run_id, runs in ended.items():
        ref = f"{platform_run_id}/learning/reconciliation/ofs_reconciliation.json"
        document = view.document(ref)
        if document is None:
            yield f"{len(runs)} runs of {platform_run_id} have ended and {ref} does not stand"
            continue
        told, listed = _list_contributed(view, platform_run_id), {one["run_key"]: one for one in document["runs"]}
        entries = told | listed
        if len(listed) != min(LISTED, len(entries)):
            yield f"{ref} lists {len(listed)} runs of {len(entries)}"
        for run_key, run in runs.items():
            expected, found = _compose_entry(view, run), entries.get(run_key, {})
            differing = {name: found.get(name) for name in expected if found.get(name) != expected[name]}
            if differing:
                yield f"{ref} says {differing} of run {run_key}; the ledger says {expected}"
        strangers = sorted(set(entries) - set(view.runs))
        if strangers:
            yield f"{ref} holds runs that the ledger does not know: {strangers}"
        if document["counters"] != _count([*entries.values()]):
            yield f"{ref} counts {document['counters']}; its entries come to {_count([*entries.values()])}"


def _list_contributed(view: View, platform_run_id: str) -> dict[str, Document]:
    """Run key → entry, of the contributions: the platform run's document lists the newest LISTED runs only."""
    refs = [ref for ref in view.below("ofs/reconciliation") if ref.startswith(f"{platform_run_id}/")]
    documents = [view.document(ref) for ref in refs if ref.endswith(".json")]
    return {entry["run_key"]: entry for one in documents if isinstance(one, dict) for entry in one["runs"]}


def _find_platform_run(run: Row) -> str:
    ref = str((run["outcome"] or {}).get("manifest_ref") or find_document(run["outcome"]))
    return str(run.get("platform_run_id") or ref.split("/")[0])


def _compose_entry(view: View, run: Row) -> Document:
    """What an ended run's entry must say."""
    outcome = run["outcome"]
    entry: Document = {"attempt": run["token"], "outcome": outcome["outcome"], "code": outcome.get("code")}
    if run["state"] == "PUBLISH_PENDING":
        entry["outcome"] = "PUBLISH_PENDING"
    manifest = view.manifests.get(outcome.get("manifest_ref", ""))
    if manifest is not None:
        entry |= {name: manifest[name] for name in ("plan_id", "dataset_manifest_id")}
        entry["counts"] = manifest["replay"]["counts"]
    elif run["state"] == "DONE" and find_document(outcome):
        member = "report_ref" if outcome.get("report_ref") else "record_ref"
        called = {"report_ref": "parity_report", "record_ref": "forensic_record"}[member]
        entry |= {"plan_id": outcome["plan_id"], "refs": {called: outcome[member]}}
    return entry


def _count(entries: list[Document]) -> dict[str, int]:
    outcomes = [entry["outcome"] for entry in entries]
    datasets = {entry["dataset_manifest_id"]: entry["counts"] for entry in entries if "counts" in entry}
    return {
        "build_requested": len(entries) - sum(outcomes.count(name) for name in (*COMPARED, REBUILT)),
        "build_completed": sum(outcomes.count(name) for name in PUBLISHED),
        "build_failed": outcomes.count("REFUSED") + outcomes.count("FAILED"),
        "build_publish_pending": outcomes.count("PUBLISH_PENDING"),
        "datasets_built": len(datasets),
        **{counter: sum(counts[name] for counts in datasets.values()) for counter, name in SUMS.items()},
        **{f"parity_{name.lower()}": outcomes.count(name) for name in COMPARED},
        "forensic_rebuilt": outcomes.count(REBUILT),
    }
