"""The label resolution receipt: what was resolved from which pinned state, and whether it is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ofs_spark.labels.coverage import CoveragePolicy, Shortfall, TypeCounts, round_ratio, to_fraction
from ofs_spark.labels.model import LabelExtract

SCHEMA_VERSION = "ofs.label_resolution.v1"


@dataclass(frozen=True)
class LabelBasis:
    """How labels are resolved: rule, posture, cut-off and maturity of the plan."""

    rule: str
    posture: Literal["KNEW_THEN", "KNOW_NOW"]
    label_asof_utc: str
    maturity_days: int | None = None


def compose_label_receipt(
    plan_id: str,
    basis: LabelBasis,
    extract: LabelExtract,
    counts: Mapping[str, TypeCounts],
    policy: CoveragePolicy,
    missed: Sequence[Shortfall],
) -> dict[str, Any]:
    """The receipt document. Equal resolutions give equal documents: no time of run, no order of input."""
    return {
        "schema_version": SCHEMA_VERSION,
        "plan_id": plan_id,
        "label_basis": asdict(basis),
        "extract": extract.document(),
        "types": {name: describe_type(counts[name], policy, name) for name in sorted(counts)},
        "ready": not missed,
        "shortfalls": [shortfall.document() for shortfall in missed],
    }


def describe_type(counts: TypeCounts, policy: CoveragePolicy, name: str) -> dict[str, Any]:
    """Counts, ratios rounded for display, and the thresholds they were compared with, of one label type."""
    return {
        "counts": asdict(counts),
        "ratios": {measure: round_ratio(ratio) for measure, ratio in counts.ratios.items()},
        "thresholds": {
            "min_coverage": float(to_fraction(policy.min_coverage.get(name, 1))),
            "max_conflict_ratio": float(to_fraction(policy.max_conflict_ratio)),
            "min_mature_anchor_ratio": float(to_fraction(policy.min_mature_anchor_ratio)),
        },
    }
