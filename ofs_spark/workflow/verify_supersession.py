"""What supersedes a dataset, and what it supersedes: told, and compared with its link, its fact and its lifted intent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ofs_spark.foundation.documents import DocumentKind, read_document
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import name_fact, name_supersession
from ofs_spark.intent.documents import parse_intent
from ofs_spark.intent.identity import derive_run_key, fingerprint_dataset
from ofs_spark.intent.model import V1
from ofs_spark.pins.plan import describe_correction
from ofs_spark.publish.links import SCHEMA_VERSION as LINK
from ofs_spark.publish.links import compose_links, find_successor
from ofs_spark.publish.retirement import describe_retirement, find_retirement
from ofs_spark.signals.governance import SCHEMA_VERSION as FACT
from ofs_spark.signals.governance import compose_backfill_completed
from ofs_spark.workflow.checks import Check, Finding, compare, run_check
from ofs_spark.workflow.claims import BACKFILL_INTENT, Claims

Document = Mapping[str, Any]


def check_supersession(claims: Claims, named: Mapping[str, str], objects: Objects) -> Iterator[Check]:
    """Whether the dataset has a successor, and whether it was retired, which are no faults; of one that supersedes another,
    what was written of that.

    named: the manifest as it is stored, by ref and sha256.
    """
    manifest = claims.manifest
    yield run_check("successor", lambda: _tell_successor(manifest, objects))
    yield run_check("retirement", lambda: _tell_retirement(manifest, objects))
    if "supersedes" not in manifest:
        return
    yield run_check("backfill intent", lambda: _compare_intent(claims, objects))
    for link in compose_links(manifest, named):
        ref = name_supersession(link["platform_run_id"], link["superseded"])
        yield run_check("supersession link", partial(_compare_stored, objects, ref, LINK, link))
    fact = compose_backfill_completed(manifest, named)
    ref = name_fact(manifest["platform_run_id"], fact["event_id"])
    yield run_check("backfill fact", partial(_compare_stored, objects, ref, FACT, fact))


def _compare_stored(objects: Objects, ref: str, contract: str, expected: Document) -> Finding:
    return compare(_read(objects, ref, contract), expected)


def _read(objects: Objects, ref: str, contract: str) -> dict[str, Any]:
    return read_document(
        objects, DocumentKind(contract, f"{contract} document", "REF_ACCESS_DENIED", "SCHEMA_INVALID"), ref
    )


def _tell_successor(manifest: Document, objects: Objects) -> Finding:
    link = find_successor(objects, manifest["platform_run_id"], manifest["dataset_manifest_id"])
    told = "none" if link is None else f"superseded by {link['successor']}: {link['reason_code']}"
    return told, told


def _tell_retirement(manifest: Document, objects: Objects) -> Finding:
    found = find_retirement(manifest, objects)
    told = "none" if found is None else describe_retirement(found)
    return told, told


def _compare_intent(claims: Claims, objects: Objects) -> Finding:
    """The lifted intent comes to the dataset's fingerprint, is of its run, and says what the manifest repeats of it."""
    manifest = claims.manifest
    intent = parse_intent(_read(objects, manifest["evidence"][BACKFILL_INTENT]["ref"], V1))
    found = {
        "dataset_fingerprint": fingerprint_dataset(intent),
        "run_key": derive_run_key(intent.request_id),
        "reason_code": intent.reason_code,
        "correction": describe_correction(intent),
        "training": intent.training,
    }
    correction = {name: manifest[name] for name in ("supersedes", "correction_stamp") if name in manifest}
    expected = {
        "dataset_fingerprint": manifest["dataset_fingerprint"],
        "run_key": claims.replay["run_key"],
        "reason_code": manifest["backfill"]["reason_code"],
        "correction": correction,
        "training": claims.plan["training"],
    }
    return compare(found, expected)
