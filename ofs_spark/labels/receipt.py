"""The label resolution receipt: what was resolved from which pinned state, and whether it is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ofs_spark.labels.coverage import Shortfall, TypeCounts, round_ratio
from ofs_spark.labels.coverage_policy import CoveragePolicy, to_fraction
from ofs_spark.labels.model import LabelExtract
from ofs_spark.labels.terms import LabelTerms

SCHEMA_VERSION = "ofs.label_resolution.v1"


def compose_label_receipt(
    plan_id: str,
    terms: LabelTerms,
    extract: LabelExtract,
    counts: Mapping[str, TypeCounts],
    missed: Sequence[Shortfall],
) -> dict[str, Any]:
    """The receipt document. Equal resolutions give equal documents: no time of run, no order of input."""
    return {
        "schema_version": SCHEMA_VERSION,
        "plan_id": plan_id,
        "label_basis": terms.to_document(),
        "extract": extract.to_document(),
        "types": {name: describe_type(counts[name], terms.policy, name) for name in sorted(counts)},
        "ready": not missed,
        "shortfalls": [shortfall.to_document() for shortfall in missed],
    }


def describe_type(counts: TypeCounts, policy: CoveragePolicy, name: str) -> dict[str, Any]:
    """Counts, ratios rounded for display, and the thresholds they were compared with, of one label type."""
    return {
        "counts": asdict(counts),
        "ratios": {measure: round_ratio(ratio) for measure, ratio in counts.ratios.items()},
        "thresholds": {
            "min_coverage": float(to_fraction(policy.find_least(name))),
            "max_conflict_ratio": float(to_fraction(policy.max_conflict_ratio)),
            "min_mature_anchor_ratio": float(to_fraction(policy.min_mature_anchor_ratio)),
        },
    }
