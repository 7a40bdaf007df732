"""The two receipts of a dataset, judged again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ofs_spark.foundation.positions import Range, parse_range
from ofs_spark.labels.coverage import TypeCounts, find_shortfalls
from ofs_spark.labels.coverage_policy import CoveragePolicy
from ofs_spark.labels.receipt import describe_type
from ofs_spark.publish.manifest import summarise_labels, summarise_replay
from ofs_spark.replay.counts import has_closed
from ofs_spark.replay.intervals import count_offsets, find_uncovered, to_intervals
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
        "offsets": _bound_positions(ranges, claims.plan["archive"]["segments"]),
        "positions": receipt["counts"]["positions"],
        "closed": True,
        "replay": summarise_replay(receipt["counts"], {}, receipt.get("unseen_fields", ())),
    }
    return compare(found, expected)


def _bound_positions(ranges: Sequence[Document], segments: Sequence[Document]) -> list[int]:
    """Per dense range what its positions may be: as stated where every offset is there, or in a gap that a segment declares.

    A gap excuses absence and does not forbid presence, so the number is bounded, not known.
    """
    gaps: defaultdict[tuple[str, int, str], list[tuple[int, int]]] = defaultdict(list)
    for one in segments:
        place = one["topic"], one["partition"], one["offset_kind"]
        gaps[place] += [(int(gap["start"]), int(gap["end"])) for gap in one.get("gaps", ())]
    dense = [(parse_range(one["range"]), one["positions"]) for one in ranges]
    return [_bound(one, stated, gaps) for one, stated in dense if one.dense]


def _bound(one: Range, stated: int, gaps: Mapping[tuple[str, int, str], Sequence[tuple[int, int]]]) -> int:
    declared = to_intervals(gaps.get(one.begin[:3], ()))
    least = count_offsets(find_uncovered(one.start, one.last, declared))
    return min(max(stated, least), one.end - one.start)


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
