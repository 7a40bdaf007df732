"""What is written of a manifest once it stands: each names it by ref and SHA-256, so none of them may say otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ofs_spark.foundation.documents import DocumentKind, read_document
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import name_fact, name_manifest_v0, name_plan_index, name_publication
from ofs_spark.intent.identity import derive_run_key
from ofs_spark.pins.plan import describe_difference
from ofs_spark.publish.gate import TRAINING_READY
from ofs_spark.signals.governance import compose_dataset_published
from ofs_spark.signals.receipts import compose_plan_index, compose_publication_receipt
from ofs_spark.workflow.checks import Check, Finding, compare, run_check
from ofs_spark.workflow.claims import Claims

Document = Mapping[str, Any]


def check_derived(claims: Claims, sha256: str, objects: Objects) -> Iterator[Check]:
    """Publication receipt, plan index, governance fact and v0 view. `sha256`: of the manifest as it is stored."""
    manifest, named = claims.manifest, {"ref": claims.ref, "sha256": sha256}
    run_id, run_key = manifest["platform_run_id"], claims.replay["run_key"]
    fact = compose_dataset_published(manifest, claims.ref, sha256)
    index = compose_plan_index(manifest, named)
    publication = name_publication(run_id, run_key)
    receipt = _read(objects, publication, "ofs.publication_receipt.v1")
    yield run_check("publication receipt", lambda: _compare_publication(receipt(), run_key, manifest, named))
    places = {
        "plan index": (name_plan_index(run_id, manifest["plan_id"]), "ofs.plan_index.v1", index),
        "governance fact": (name_fact(run_id, fact["event_id"]), "ofs.governance_fact.v1", fact),
    }
    for name, (ref, contract, expected) in places.items():
        yield _check_equal(name, _read(objects, ref, contract), expected)
    if manifest["status"] == TRAINING_READY:
        view = _read(objects, name_manifest_v0(run_id, manifest["dataset_manifest_id"]), "learning.dataset_manifest.v0")
        yield run_check("v0 view", lambda: _compare_view(view(), manifest))


def _check_equal(name: str, read: Callable[[], Document], expected: Document) -> Check:
    return run_check(name, lambda: compare(read(), expected))


def _read(objects: Objects, ref: str, contract: str) -> Callable[[], Document]:
    kind = DocumentKind(contract, f"{contract} document", "REF_ACCESS_DENIED", "SCHEMA_INVALID")
    return lambda: read_document(objects, kind, ref)


def _compare_publication(receipt: Document, run_key: str, manifest: Document, named: Mapping[str, str]) -> Finding:
    request_id = receipt["request_id"]
    found = {**receipt, "run of the request": derive_run_key(request_id)}
    return compare(
        found, {**compose_publication_receipt(run_key, request_id, manifest, named), "run of the request": run_key}
    )


def _compare_view(view: Document, manifest: Document) -> Finding:
    """The view against the manifest; the policy revision that its intent asked for against what differs from the one here."""
    basis = {name: value for name, value in manifest["label_basis"].items() if name != "posture"}
    said = (
        "dataset_manifest_id",
        "dataset_fingerprint",
        "platform_run_id",
        "scenario_run_ids",
        "replay_basis",
        "feature_definition_set",
    )
    provenance = {name: manifest["provenance"][name] for name in ("ofs_code_release_id", "config_revision")}
    expected = {
        "schema_version": "learning.dataset_manifest.v0",
        **{name: manifest[name] for name in said},
        "label_basis": basis,
        "provenance": provenance,
    }
    own = {name: value for name, value in view["provenance"].items() if name in provenance}
    asked, here = view["provenance"]["run_config_digest"], manifest["policy"]["revision"]
    differs = [describe_difference("policy_revision", asked, here)] if asked != here else []
    told = [one for one in manifest["differences"] if one.startswith("policy_revision ")]
    return compare({**view, "provenance": own, "asked": differs}, {**expected, "asked": told})
