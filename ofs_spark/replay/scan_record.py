"""The record of a complete scan: what the rest of a build needs of it, so that another attempt of the plan need not scan.

It stands beside the staged rows of its plan and is the same whoever writes it. It is an asset, not evidence: whoever loads
a file that it names proves it, and a record with one that is missing, damaged or of another scan is as good as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.documents import DocumentKind, digest_content, read_document
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.positions import Range, describe_basis, parse_range
from ofs_spark.foundation.refs import OwnedRef, name_scan_record, name_staged_rows
from ofs_spark.replay.basis_slice import BasisSlice
from ofs_spark.replay.completeness import COMPLETE, Completeness, RangeCoverage
from ofs_spark.replay.faults import find_anomalies
from ofs_spark.replay.parts import Part, Staged
from ofs_spark.replay.rows import NO_ARRIVAL
from ofs_spark.replay.scan.spec import ScanSpec
from ofs_spark.replay.scan.typed import derive_typed_schema
from ofs_spark.replay.scan_job import Scan
from ofs_spark.replay.unseen import UnseenField, describe_unseen

SCHEMA_VERSION = "ofs.scan_record.v2"
KIND = DocumentKind(SCHEMA_VERSION, "scan record", "REF_ACCESS_DENIED", "SCHEMA_INVALID", max_bytes=256 * 1024 * 1024)


@dataclass(frozen=True)
class ScanPlace:
    """Where a plan's scan leaves what it found, and what that must be of: the plan, its basis, how records are read."""

    objects: Objects
    folder: OwnedRef
    plan_id: str
    basis: Sequence[Range]
    spec: ScanSpec

    @property
    def columns(self) -> list[list[str]]:
        """[name, type] of the staged rows' columns, in order."""
        return [[field.name, str(field.type)] for field in derive_typed_schema(self.spec)]


def write_scan_record(place: ScanPlace, scan: Scan) -> None:
    """Writes the record of a scan that proved its basis and refused nothing."""
    found = scan.completeness
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "plan_id": place.plan_id,
        "columns": place.columns,
        "ranges": [
            {"range": one.range.to_document(), "positions": one.positions, "segments": one.segments}
            for one in found.ranges
        ],
        "counts": dict(found.counts),
        "invalid_reasons": dict(found.reasons),
        "samples": {kind: [dict(sample) for sample in samples] for kind, samples in found.samples.items()},
        "slices": [
            {**asdict(one), "first_seq": str(one.first_seq), "last_seq": str(one.last_seq)} for one in found.slices
        ],
        "staged": [_describe_file(file) for file in scan.staged],
        "unseen": describe_unseen(found.unseen),
        "unmet": list(found.unmet),
    }
    document["digest"] = digest_content(document)
    require_valid(document, SCHEMA_VERSION)
    place.objects.replace(name_scan_record(place.folder), encode_canonical(document))


def find_scan(place: ScanPlace, training: bool) -> Scan | None:
    """What a scan of this plan found, as far as its record says; None where there is none to be had, or it is another's.

    Its files are not proven yet. training: whether what the scan tolerated is refused now.
    """
    ref = name_scan_record(place.folder)
    try:
        document = read_document(place.objects, KIND, ref)
    except (Refusal, OSError):
        return None
    own = {"plan_id": place.plan_id, "columns": place.columns, "digest": digest_content(document)}
    basis = [one["range"] for one in document["ranges"]]
    if {name: document[name] for name in own} != own or basis != describe_basis(place.basis):
        return None
    return Scan(_read_completeness(document, training), [_read_file(place.folder, one) for one in document["staged"]])


def _read_completeness(document: dict[str, Any], training: bool) -> Completeness:
    counts = document["counts"]
    samples = {kind: tuple(found) for kind, found in document["samples"].items()}
    ranges = (
        RangeCoverage(parse_range(one["range"]), COMPLETE, one["positions"], one["segments"], 0)
        for one in document["ranges"]
    )
    ends = ("first_seq", "last_seq")
    slices = (BasisSlice(**{**one, **{name: int(one[name]) for name in ends}}) for one in document["slices"])
    faults = find_anomalies(counts, samples) if training else []
    reasons = document["invalid_reasons"]
    unseen, unmet = tuple(UnseenField(**one) for one in document.get("unseen", ())), tuple(document.get("unmet", ()))
    return Completeness(
        COMPLETE, tuple(ranges), counts, reasons, samples, {}, tuple(slices), tuple(faults), unseen, unmet
    )


def _describe_file(file: Staged) -> dict[str, Any]:
    """A file by its digest, which names it. arrival_before: µs, null for none."""
    before = None if file.arrival_before == NO_ARRIVAL else file.arrival_before
    whole = {"sha256": file.sha256, "rows": file.rows, "bytes": file.bytes, "arrival_before": before}
    return {**whole, "shares": file.shares, "parts": file.describe_parts(), "packed_ids": file.is_packed}


def _read_file(folder: OwnedRef, one: dict[str, Any]) -> Staged:
    before = NO_ARRIVAL if one["arrival_before"] is None else one["arrival_before"]
    ref, parts = name_staged_rows(folder, one["sha256"]), tuple(Part(**part) for part in one["parts"])
    is_packed = one.get("packed_ids", False)  # records of earlier releases do not say: theirs are texts
    return Staged(ref, one["sha256"], one["rows"], one["bytes"], one["shares"], parts, is_packed, before)
