"""The two receipts of a dataset, judged again."""

from __future__ import annotations

from typing import Any

from ofs_spark.foundation.positions import parse_range
from ofs_spark.labels.coverage import TypeCounts, find_shortfalls
from ofs_spark.labels.coverage_policy import CoveragePolicy
from ofs_spark.labels.receipt import describe_type
from ofs_spark.publish.manifest import summarise_labels, summarise_replay
from ofs_spark.replay.counts import has_closed
from ofs_spark.workflow.checks import Finding, compare
from ofs_spark.workflow.claims import Claims, Document


def compare_replay(claims: Claims) -> Finding:
    """The replay receipt against plan and manifest, and against itself: it covers the basis, and its counts add up."""
    manifest, receipt = claims.manifest, claims.replay
    said = ("plan_id", "platform_run_id", "basis_hash")
    archive = ("index_digest", "slice_digest")
    ranges = receipt["ranges"]
    found = {
        **{name: receipt[name] for name in said},
        **{name: receipt["archive"][name] for name in archive},
        "segments": receipt["archive"]["segments"],
        "basis": receipt["basis"],
        "ranges": [one["range"] for one in ranges],
        "missing": sum(one["missing"]["count"] for one in ranges),
        "status": {receipt["status"], *(one["status"] for one in ranges)} == {"COMPLETE"},
        "offsets": [one["positions"] for one in ranges if parse_range(one["range"]).dense],
        "positions": sum(one["positions"] for one in ranges),
        "closed": has_closed(receipt["counts"]),
        "replay": {**manifest["replay"], "truncated": {}},
    }
    expected = {
        **{name: manifest[name] for name in said},
        **{name: manifest["archive"][name] for name in archive},
        "segments": len(claims.plan["archive"]["segments"]),
        "basis": claims.plan["basis"],
        "ranges": claims.plan["basis"],
        "missing": 0,
        "status": True,
        "offsets": [one.size for one in map(parse_range, receipt["basis"]) if one.dense],
        "positions": receipt["counts"]["positions"],
        "closed": True,
        "replay": summarise_replay(receipt["counts"], {}),
    }
    return compare(found, expected)


def compare_labels(claims: Claims) -> Finding:
    """The label receipt's ratios, shortfalls and readiness from its counts; the manifest's summary from the receipt."""
    manifest, receipt = claims.manifest, claims.labels
    thresholds = {name: one["thresholds"] for name, one in receipt["types"].items()}
    counts = {name: TypeCounts(**one["counts"]) for name, one in receipt["types"].items()}
    recomputed, missed = {}, []
    for name, limits in thresholds.items():
        policy = CoveragePolicy(
            {name: limits["min_coverage"]}, limits["max_conflict_ratio"], limits["min_mature_anchor_ratio"]
        )
        recomputed[name] = describe_type(counts[name], policy, name)
        missed += [one.to_document() for one in find_shortfalls({name: counts[name]}, policy)]
    found = {
        "plan_id": receipt["plan_id"],
        "types": receipt["types"],
        "shortfalls": [_strip_required(one) for one in receipt["shortfalls"]],
        "ready": receipt["ready"],
        "manifest": manifest["labels"],
        "sums": [one.subjects for one in counts.values()],
        "named": manifest["labels"]["types"],
    }
    expected = {
        "plan_id": manifest["plan_id"],
        "types": recomputed,
        "shortfalls": [_strip_required(one) for one in missed],
        "ready": not missed,
        "manifest": summarise_labels(receipt),
        "sums": [one.resolved + one.conflict + one.not_found for one in counts.values()],
        "named": sorted(receipt["types"]),
    }
    return compare(found, expected)


def _strip_required(shortfall: Document) -> dict[str, Any]:
    """A shortfall without the threshold's own spelling: 1 and 1.0 are one threshold."""
    return {name: value for name, value in shortfall.items() if name != "required"}
