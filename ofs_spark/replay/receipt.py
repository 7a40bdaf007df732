"""The replay completeness receipt: what was asked, read, missing and set aside. It holds no clock and no host."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.positions import Range, SourcedRange, describe_basis, hash_basis, is_within
from ofs_spark.replay.accounts import ReplayTotals
from ofs_spark.replay.completeness import Completeness, RangeCoverage
from ofs_spark.replay.faults import ReplayFault
from ofs_spark.replay.index import SegmentIndex, digest_slice, select_segments

SCHEMA_VERSION = "ofs.replay_completeness.v1"


def compose_replay_receipt(
    run_key: str,
    plan_id: str,
    index: SegmentIndex,
    basis: Sequence[Range],
    sources: Sequence[SourcedRange],
    completeness: Completeness,
    facts: ReplayTotals | None,
    arrival: str,
) -> dict[str, Any]:
    """The receipt document, valid under its contract: the same for the same plan and archive on any machine.

    `sources` say where each part of the basis was read from; `facts` is None before the step by event; `arrival` names
    the archive column that arrival times come from.
    """
    faults = (*completeness.faults, *(facts.faults if facts else ()))
    document = {
        "schema_version": SCHEMA_VERSION, "run_key": run_key, "plan_id": plan_id,
        "platform_run_id": index.platform_run_id, "status": completeness.status,
        "basis_hash": hash_basis(basis), "basis": describe_basis(basis),
        "archive": {"index_digest": index.digest, "slice_digest": digest_slice(index, basis),
                    "segments": len(select_segments(index, basis)), "arrival": arrival},
        "ranges": [_describe_range(one, parts) for one, parts in _match_sources(completeness.ranges, sources)],
        "counts": dict(facts.counts if facts else completeness.counts),
        "invalid_reasons": dict(completeness.reasons),
        "samples": _describe_samples(facts.samples if facts else completeness.samples),
        "faults": [_describe_fault(fault) for fault in faults],
    }  # fmt: skip
    require_valid(document, SCHEMA_VERSION)
    return document


def add_unseen_fields(receipt: Mapping[str, Any], unseen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The receipt with the declared fields that no event has, as a manifest names them; as it is where there are none."""
    document = {**receipt, **({"unseen_fields": list(unseen)} if unseen else {})}
    require_valid(document, SCHEMA_VERSION)
    return document


def _match_sources(
    ranges: Sequence[RangeCoverage], sources: Sequence[SourcedRange]
) -> Iterator[tuple[RangeCoverage, list[SourcedRange]]]:
    """Each range with the parts of it that one source was read for; both are in their total order."""
    ordered = sorted(sources, key=lambda part: part.range)
    begins = [part.range.begin for part in ordered]
    for one in ranges:
        begin = bisect_left(begins, one.range.begin)
        end = bisect_right(begins, (*one.range.begin[:3], one.range.last))
        yield one, [part for part in ordered[begin:end] if is_within(part.range, one.range)]


def _describe_range(one: RangeCoverage, sources: Sequence[SourcedRange]) -> dict[str, Any]:
    holes = [{"start": first, "end": last} for first, last in one.missing_sample]
    document = {
        "range": one.range.to_document(),
        "status": one.status,
        "selected": [part.to_document() for part in sources],
        "positions": one.positions,
        "segments": one.segments,
        "missing": {"count": one.missing, "sample": holes},
    }
    return document | ({"problem": one.problem} if one.problem else {})


def _describe_samples(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {kind: [dict(sample) for sample in found] for kind, found in sorted(samples.items())}


def _describe_fault(fault: ReplayFault) -> dict[str, Any]:
    return {"code": fault.code, "message": fault.message, "details": dict(fault.details)}
