"""What a manifest says, recomputed from itself, its evidence, and what the table was found to hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.policy import digest_run_config
from ofs_spark.foundation.positions import Slice, describe_basis, hash_basis, parse_range, resolve_basis
from ofs_spark.foundation.refs import name_evidence, name_file_list, name_manifest, name_table
from ofs_spark.intent.identity import derive_manifest_id
from ofs_spark.labels.terms import resolve_rule
from ofs_spark.pins.plan import compose_pins
from ofs_spark.publish.gate import GateInputs, derive_status, describe_shortfall, judge_gates
from ofs_spark.publish.manifest import count_anomalies
from ofs_spark.publish.verify import FileCheck
from ofs_spark.workflow.checks import Check, Finding, compare, run_check
from ofs_spark.workflow.claims import BACKFILL_INTENT, EVIDENCE, Claims, Document
from ofs_spark.workflow.verify_receipts import compare_labels, compare_replay

_CAME_OUT = ("buckets", "split_keys")
"""What a layout has that no plan can say."""
_SAID_BY_PLAN = (
    "plan_id",
    "platform_run_id",
    "dataset_fingerprint",
    "dataset_manifest_id",
    "basis_hash",
    "run_facts",
    "feature_profile",
    "contexts",
    "policy",
    "code_release",
    "pins",
    "differences",
)


def check_ids(ref: str, manifest: Document) -> Check:
    """Every id and place that follows from the manifest alone."""
    return run_check("ids", lambda: _compare_ids(ref, manifest))


def check_claims(claims: Claims) -> Iterator[Check]:
    """The manifest against its evidence, and its evidence against itself."""
    yield run_check("places", lambda: _compare_places(claims))
    yield run_check("intent", lambda: _compare_intent(claims.manifest))
    yield run_check("plan", lambda: _compare_plan(claims))
    yield run_check("replay", lambda: compare_replay(claims))
    yield run_check("labels", lambda: compare_labels(claims))


def check_counts(claims: Claims, stored: FileCheck, content_digest: str) -> Iterator[Check]:
    """Counts, gates and status against the rows that are stored."""
    yield run_check("counts", lambda: _compare_counts(claims, stored))
    yield run_check("gates", lambda: _compare_gates(claims, stored, content_digest))


def _compare_ids(ref: str, manifest: Document) -> Finding:
    table, run_id = manifest["materialization"], manifest["platform_run_id"]
    basis = resolve_basis([Slice(**one) for one in manifest["replay_basis"]])
    names = ("dataset_manifest_id", "plan_id", "pins", "basis_hash")
    found = {
        "manifest_ref": ref,
        **{name: manifest[name] for name in names},
        "basis": [one["range"] for one in manifest["basis"]],
        "run_config_digest": manifest["policy"]["run_config_digest"],
        "path": table["path"],
        "files": table["files"]["ref"],
        "delta_version": table["delta_version"],
    }
    manifest_id = derive_manifest_id(manifest["dataset_fingerprint"])
    expected = {
        "manifest_ref": name_manifest(run_id, manifest_id),
        "dataset_manifest_id": manifest_id,
        "plan_id": digest(manifest["pins"]),
        "pins": compose_pins(manifest),
        "basis_hash": hash_basis(basis),
        "basis": describe_basis(basis),
        "run_config_digest": digest_run_config(manifest["policy"]["files"]),
        "path": name_table(run_id, manifest_id, table["attempt"]),
        "files": name_file_list(run_id, table["files"]["sha256"]),
        "delta_version": 0,
    }
    return compare(found, expected)


def _compare_places(claims: Claims) -> Finding:
    """All evidence is of one run, and stands where that run writes it."""
    run_id, run_key = claims.manifest["platform_run_id"], claims.replay["run_key"]
    found = {kind: one["ref"] for kind, one in claims.manifest["evidence"].items()}
    kinds = [*EVIDENCE, *([BACKFILL_INTENT] if "supersedes" in claims.manifest else [])]
    return compare(found, {kind: name_evidence(run_id, kind, run_key) for kind in kinds})


def _compare_intent(manifest: Document) -> Finding:
    """What the manifest repeats of its intent, against what was resolved from it."""
    basis, profile, labels = manifest["label_basis"], manifest["feature_profile"], manifest["labels"]
    found = {
        "label_asof_utc": basis["label_asof_utc"],
        "rule": resolve_rule(basis["resolution_rule"]),
        "posture": basis.get("posture", "KNEW_THEN"),
        "maturity_days": basis.get("maturity_days"),
        "feature_definition_set": manifest["feature_definition_set"],
        "ofs_code_release_id": manifest["provenance"]["ofs_code_release_id"],
        "run_config_digest": manifest["provenance"].get("run_config_digest"),
    }
    named = {name: profile[name] for name in ("feature_set_id", "feature_set_version")}
    expected = {
        **{name: labels.get(name) for name in ("label_asof_utc", "rule", "posture", "maturity_days")},
        "feature_definition_set": named,
        "ofs_code_release_id": manifest["code_release"]["requested"],
        "run_config_digest": manifest["policy"]["run_config_digest"],
    }
    return compare(found, expected)


def _compare_plan(claims: Claims) -> Finding:
    manifest, plan = claims.manifest, claims.plan
    terms = ("rule", "posture", "label_asof_utc", "maturity_days", "types", "extract")
    archive = {name: value for name, value in plan["archive"].items() if name != "segments"}
    correction = ("supersedes", "correction_stamp")
    found = {name: manifest.get(name) for name in (*_SAID_BY_PLAN, *correction)} | {
        "archive": manifest.get("archive"),
        "basis": [one["range"] for one in manifest["basis"]],
        "layout": {
            name: value for name, value in manifest["materialization"]["layout"].items() if name not in _CAME_OUT
        },
        "labels": {name: manifest["labels"].get(name) for name in terms},
        "slice_digest": digest(plan["archive"]["segments"]),
        "status of a training dataset": manifest["status"] if plan["training"] else "TRAINING_READY",
    }
    expected = (
        {name: plan[name] for name in _SAID_BY_PLAN}
        | {name: plan.get(name) for name in correction}
        | {
            "archive": archive,
            "basis": plan["basis"],
            "layout": {name: value for name, value in plan["layout"].items() if name != "rows_per_bucket"},
            "labels": {name: plan["labels"].get(name) for name in terms},
            "slice_digest": plan["archive"]["slice_digest"],
            "status of a training dataset": "TRAINING_READY",
        }
    )
    return compare(found, expected)


def _compare_counts(claims: Claims, stored: FileCheck) -> Finding:
    manifest = claims.manifest
    labels = manifest["labels"]["coverage"]
    truncated = {column["name"]: column["truncated_rows"] for column in manifest["columns"] if column["truncated_rows"]}
    counted = {
        name: replace(
            one, assertions=labels[name]["counts"]["assertions"], backdated=labels[name]["counts"]["backdated"]
        )
        for name, one in stored.labels.items()
    }
    found = {
        "row_count": manifest["materialization"]["row_count"],
        "nulls": {column["name"]: column["nulls"] for column in manifest["columns"]},
        "truncated": manifest["replay"].get("truncated"),
        "labels": {name: one["counts"] for name, one in labels.items()},
        "rows of events": stored.rows <= manifest["replay"]["counts"]["rows"],
    }
    expected = {
        "row_count": stored.rows,
        "nulls": dict(stored.null_counts),
        "truncated": truncated,
        "labels": {name: asdict(one) for name, one in counted.items()},
        "rows of events": True,
    }
    return compare(found, expected)


def _compare_gates(claims: Claims, stored: FileCheck, content_digest: str) -> Finding:
    """Every gate judged again. Whether policy refuses truncated windows is taken from the gate that says so."""
    manifest = claims.manifest
    refused = any(
        gate["detail"]["found"] != "0 refused rows" for gate in manifest["gates"] if gate["name"] == "windows_whole"
    )
    gates = judge_gates(
        GateInputs(
            plan_basis_hash=claims.plan["basis_hash"],
            replay_basis_hash=hash_basis(parse_range(one["range"]) for one in claims.replay["ranges"]),
            replay_status=claims.replay["status"],
            anchors=stored.rows,
            computed_rows=manifest["materialization"]["row_count"],
            stored_rows=stored.rows,
            computed_digest=manifest["materialization"]["content_digest"],
            stored_digest=content_digest,
            leaks=stored.leaks,
            posture=manifest["labels"]["posture"],
            label_shortfalls=tuple(map(describe_shortfall, claims.labels["shortfalls"])),
            anomalies=count_anomalies(claims.replay["counts"]),
            truncated_rows=max(manifest["replay"]["truncated"].values(), default=0) if refused else None,
        )
    )
    found = {"gates": manifest["gates"], "status": manifest["status"]}
    return compare(found, {"gates": [gate.to_document() for gate in gates], "status": derive_status(gates)})
