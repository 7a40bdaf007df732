"""Rules about runs that leave one document, parity's and forensics': it stands, and so does everything that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from tests.invariants.view import View, encode_canonical

Document = dict[str, Any]
MEMBERS = {"report_ref": "ofs/parity", "record_ref": "ofs/forensic"}
"""Member of an outcome that names a document → the folder that it stands in."""
COMPARED, REBUILT = ("MATCH", "MISMATCH", "UNCHECKABLE"), "REBUILT"
TRAINING = ("ofs/manifests", "ofs/publication", "ofs/index/by_plan")
"""Folders of what says that there is something to train on."""


def find_document(outcome: Mapping[str, Any] | None) -> str:
    """The ref of the document that an outcome names; "" where it names none."""
    return next((str(outcome[member]) for member in MEMBERS if outcome.get(member)), "") if outcome else ""


def list_documents(view: View) -> dict[str, Document]:
    """Ref → document, of those that are JSON objects; artifacts beside them are named by their digests."""
    refs = [ref for ref in view.below(*MEMBERS.values()) if not _find_digest(ref)]
    return {ref: document for ref in refs if isinstance(document := view.document(ref), dict)}


def judge_rebuilt(view: View) -> Iterator[str]:
    """I18."""
    documents = list_documents(view)
    for run_key, run in view.runs.items():
        ref = find_document(run["outcome"]) if run["state"] == "DONE" else ""
        if ref and ref not in documents:
            yield f"run {run_key} is DONE and {ref} does not stand"
        elif ref and documents[ref]["outcome"] != run["outcome"]["outcome"]:
            yield f"run {run_key} is DONE with {run['outcome']['outcome']}; {ref} says {documents[ref]['outcome']}"
    for ref in view.below(*MEMBERS.values()):
        digest = _find_digest(ref)
        if digest and view.sha256(ref) != digest:
            yield f"{ref} has sha256 {view.sha256(ref)}"
        if not digest and ref not in documents:
            yield f"{ref} is no whole JSON object"
    for ref, document in documents.items():
        yield from _judge_document(view, ref, document)


def _find_digest(ref: str) -> str:
    """The digest that an artifact's name states; "" for a document."""
    stem = Path(ref).name.split(".")[0]
    return stem if len(stem) == 64 else ""


def _judge_document(view: View, ref: str, document: Document) -> Iterator[str]:
    if view.read(ref) != encode_canonical(document):
        yield f"{ref} is not canonical"
    if document["run_key"] != Path(ref).stem or document["run_key"] not in view.runs:
        yield f"{ref} is of run {document['run_key']}, whom the ledger {'knows' if view.runs else 'does not know'}"
    for named, sha256 in name_proven(document).items():
        found = view.sha256(named)
        if found != sha256:
            yield f"{ref} names {named} with sha256 {sha256}; there is {found or 'nothing'}"
    plan = view.document(document["evidence"]["resolved_build_plan"]["ref"]) or {}
    if plan.get("plan_id") != document["plan_id"]:
        yield f"{ref} is of plan {document['plan_id']}, its evidence holds {plan.get('plan_id')}"
    if document["training_dataset"] is not False or plan.get("training"):
        yield f"{ref} or its plan says that there is something to train on"
    for told in view.below(*TRAINING):
        if Path(told).stem == document["run_key"] or (view.document(told) or {}).get("plan_id") == document["plan_id"]:
            yield f"{told} is told of {ref}, which is no dataset"
    if "table" in document:
        key = ("results", ref, view.objects.get(ref), view.objects.get(_name_log(document["table"])))
        yield from view.history.recall(key, partial(_judge_results, view, ref, document))


def name_proven(document: Document) -> dict[str, str]:
    """Ref → digest, of all that a document names and that is OFS' own."""
    proven = {one["ref"]: one["sha256"] for one in document["evidence"].values()}
    proven |= {
        document[name]["ref"]: document[name]["sha256"] for name in ("snapshot", "contributions") if name in document
    }
    if "table" in document:
        proven[_name_log(document["table"])] = document["table"]["delta_log_sha256"]
    return proven


def _name_log(table: Document) -> str:
    return f"{table['path']}/_delta_log/{0:020d}.json"


def _judge_results(view: View, ref: str, report: Document) -> list[str]:
    """What a Delta reader sees of a report's table beside what the report says."""
    rows = DeltaTable(str(view.root / report["table"]["path"])).to_pyarrow_table().to_pylist()
    found = (
        [f"{ref} states {report['table']['rows']} rows; there are {len(rows)}"]
        if len(rows) != report["table"]["rows"]
        else []
    )
    counted = {name.lower(): sum(row["outcome"] == name for row in rows) for name in COMPARED}
    if report["counts"] != {"anchors": len(rows), **counted}:
        found.append(f"{ref} counts {report['counts']}; its table has {counted}")
    names = ("anchor_ref", "outcome", "category", "expected_hash", "rebuilt_hash")
    told = {tuple(one.get(name) for name in names) for one in report["results"]}
    if told - {tuple(row[name] for name in names) for row in rows}:
        found.append(f"{ref} lists results that its table has not")
    return found
