"""`ofs verify`: what a manifest says, against the bytes that are stored. It trusts nothing that it can recompute."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ofs_spark.foundation import contracts
from ofs_spark.foundation.documents import fetch_document
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import ObjectMissing, Objects
from ofs_spark.foundation.refs import name_table_commit
from ofs_spark.workflow.checks import AGREES, Check, Finding, run_check
from ofs_spark.workflow.claims import Claims, read_claims
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import CONTRACT, NAMED
from ofs_spark.workflow.verify_claims import check_claims, check_counts, check_ids
from ofs_spark.workflow.verify_derived import check_derived
from ofs_spark.workflow.verify_stored import StoredTable
from ofs_spark.workflow.verify_supersession import check_supersession


def verify_manifest(ref: str, manifest: dict[str, Any], context: RunContext) -> dict[str, Any]:
    """{verified, manifest_ref, checks}: contract, ids, evidence, claims, Delta log, every stored file, derived documents.

    docs/threat-model.md says what each check finds, and what none can.
    """
    judged = Judged(ref, manifest, context)
    checks = list(judged.run_checks())
    if judged.claims is not None:
        named = {"ref": ref, "sha256": hashlib.sha256(fetch_document(context.objects, NAMED, ref)).hexdigest()}
        checks += check_derived(judged.claims, named["sha256"], context.objects)
        checks += check_supersession(judged.claims, named, context.objects)
    verified = all(check.passed for check in checks)
    return {"verified": verified, "manifest_ref": ref, "checks": [check.to_document() for check in checks]}


@dataclass
class Judged:
    """A manifest, published or not, and what was found of it: `claims` stays None where its evidence cannot be read."""

    ref: str
    manifest: dict[str, Any]
    context: RunContext
    claims: Claims | None = None

    def run_checks(self) -> Iterator[Check]:
        """Everything but what is derived from a manifest that stands: contract, ids, evidence, claims, log, every file."""
        contract = run_check("contract", lambda: _judge_contract(self.manifest))
        yield contract
        if not contract.passed:  # nothing else that such a document says can be looked up
            return
        yield check_ids(self.ref, self.manifest)
        yield from _check_bytes(self.manifest, self.context.objects)
        try:
            self.claims = read_claims(self.ref, self.manifest, self.context.objects)
        except (Refusal, KeyError) as refusal:
            yield Check("claims", f"cannot be recomputed: {refusal}", AGREES)
        if self.claims is not None:
            yield from check_claims(self.claims)
        stored = StoredTable(self.manifest, self.context)
        stored.read()
        yield from stored.checks
        if self.claims is not None and stored.checked is not None:
            yield from check_counts(self.claims, stored.checked, stored.content_digest)


def _check_bytes(manifest: dict[str, Any], objects: Objects) -> Iterator[Check]:
    """The evidence and the Delta log, by the digests that the manifest states."""
    table = manifest["materialization"]
    for kind, evidence in sorted(manifest["evidence"].items()):
        yield run_check(f"evidence {kind}", partial(_judge_sha256, objects, evidence["ref"], evidence["sha256"]))
    log = partial(_judge_sha256, objects, name_table_commit(table["path"], 0), table["delta_log_sha256"])
    yield run_check("delta log", log)


def _judge_contract(manifest: dict[str, Any]) -> Finding:
    faults = contracts.find_faults(manifest, CONTRACT)
    return "; ".join(f"{fault.pointer}: {fault.message}" for fault in faults) or "valid", "valid"


def _judge_sha256(objects: Objects, ref: str, expected: str) -> Finding:
    try:
        return objects.digest(ref), expected
    except ObjectMissing:
        return "missing", expected
