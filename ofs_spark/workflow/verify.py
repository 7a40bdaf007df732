"""`ofs verify`: what a manifest says, against the bytes that are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from ofs_spark.foundation import contracts
from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing
from ofs_spark.foundation.refs import name_table_commit
from ofs_spark.labels.terms import find_cutoff
from ofs_spark.pins.columns import Column
from ofs_spark.publish.delta_log import read_log, verify_log
from ofs_spark.publish.digest import digest_content
from ofs_spark.publish.file_list import FileList, read_file_list
from ofs_spark.publish.verify import Checks
from ofs_spark.publish.verify_job import verify_table
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import CONTRACT

Check = dict[str, Any]


def verify_manifest(ref: str, manifest: dict[str, Any], context: RunContext) -> dict[str, Any]:
    """{verified, manifest_ref, checks}: contract, evidence, Delta log, file list, and every stored file, recomputed."""
    checks = [_check("contract", lambda: _check_contract(manifest))]
    if not checks[0]["ok"]:  # nothing else that such a document says can be looked up
        return {"verified": False, "manifest_ref": ref, "checks": checks}
    for kind, evidence in sorted(manifest["evidence"].items()):
        checks.append(_check(f"evidence {kind}", partial(_check_sha256, context, evidence["ref"], evidence["sha256"])))
    table = manifest["materialization"]
    log = partial(_check_sha256, context, name_table_commit(table["path"], 0), table["delta_log_sha256"])
    checks += [_check("delta log", log), _check("table", lambda: _check_table(manifest, context))]
    return {"verified": all(check["ok"] for check in checks), "manifest_ref": ref, "checks": checks}


def _check(name: str, run: Callable[[], tuple[str, str]]) -> Check:
    """One check: run gives (found, expected); a refusal is a failed check."""
    try:
        found, expected = run()
    except Refusal as refusal:
        return {"name": name, "ok": False, "expected": "as published", "found": f"{refusal.code}: {refusal.message}"}
    return {"name": name, "ok": found == expected, "expected": expected, "found": found}


def _check_contract(manifest: dict[str, Any]) -> tuple[str, str]:
    faults = contracts.find_faults(manifest, CONTRACT)
    return "; ".join(f"{fault.pointer}: {fault.message}" for fault in faults) or "valid", "valid"


def _check_sha256(context: RunContext, ref: str, expected: str) -> tuple[str, str]:
    try:
        return hashlib.sha256(context.objects.read(ref)).hexdigest(), expected
    except ObjectMissing:
        return "missing", expected


def _check_table(manifest: dict[str, Any], context: RunContext) -> tuple[str, str]:
    """The content digest recomputed from every stored file, and the one published."""
    table = manifest["materialization"]
    columns = [Column(c["name"], c["type"], c["role"], c["meaning"]) for c in manifest["columns"]]
    files = table["files"]
    entries = read_file_list(
        context.objects,
        FileList(files["ref"], files["sha256"], files["count"], files["bytes"]),
        [column.name for column in columns],
    )
    verify_log(read_log(context.objects, table["path"]), table["path"], columns, entries)
    labels = manifest["labels"]
    text = find_cutoff(labels["posture"], labels["label_asof_utc"], labels["extract"]["committed_up_to_utc"])
    schema = tuple((column.name, column.type) for column in columns)
    found = verify_table(
        context.engine(),
        context.objects,
        entries,
        Checks(schema, tuple(labels["types"]), parse_instant(text), {}, context.policy.most_decoded_bytes),
    )
    if found.leaks:
        raise refuse("LEAKAGE_POLICY_VIOLATION", f"{found.leaks} labels were observed after {text}", count=found.leaks)
    return digest_content(schema, found.leaves), table["content_digest"]
