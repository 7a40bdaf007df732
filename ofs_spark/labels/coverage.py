"""Is it enough to train on: counts that add up over targets, exact ratios, and the thresholds they miss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.clock import DAY_US
from ofs_spark.foundation.columnar.arrays import count_true
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.labels import model as m
from ofs_spark.labels.coverage_policy import CoveragePolicy, to_fraction


@dataclass(frozen=True)
class TypeCounts:
    """Counts of one label type over one or more targets; they add up.

    subjects = anchors = resolved + conflict + not_found. `mature_anchors`: anchors no younger than the maturity cut;
    `mature_labels`: resolved labels observed by it; `backdated`: assertions committed over a day after their
    observed time, whether they count or not.
    """

    subjects: int = 0
    resolved: int = 0
    conflict: int = 0
    not_found: int = 0
    mature_anchors: int = 0
    mature_labels: int = 0
    assertions: int = 0
    backdated: int = 0

    def __add__(self, other: TypeCounts) -> TypeCounts:
        mine, theirs = asdict(self), asdict(other)
        return TypeCounts(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def ratios(self) -> dict[str, Fraction]:
        """Exact ratios; one over nothing is 0."""
        return {
            "coverage": _divide(self.resolved, self.subjects),
            "conflict_ratio": _divide(self.conflict, self.subjects),
            "maturity_ratio": _divide(self.resolved + self.conflict, self.subjects),
            "mature_anchor_ratio": _divide(self.mature_anchors, self.subjects),
            "mature_label_ratio": _divide(self.mature_labels, self.resolved),
        }


@dataclass(frozen=True)
class Shortfall:
    """One threshold that one type misses; `found` is the exact ratio."""

    label_type: str
    measure: str
    found: Fraction
    required: str

    def to_document(self) -> dict[str, Any]:
        """JSON-ready form; `exact` is the ratio as numerator/denominator."""
        return {
            "label_type": self.label_type,
            "measure": self.measure,
            "found": round_ratio(self.found),
            "exact": str(self.found),
            "required": self.required,
        }


def count_labels(
    resolved: pa.Table, assertions: pa.Table, anchor_ts: np.ndarray[Any, np.dtype[np.int64]], mature_before_us: int
) -> dict[str, TypeCounts]:
    """Counts of one target, per label type of `resolved` (one `CHOICE` column per type, aligned with `anchor_ts`).

    `assertions` are the target's distinct assertions of the run. Mature means a time ≤ `mature_before_us`, which is
    label_asof − maturity_days.
    """
    mature_anchors = int((anchor_ts <= mature_before_us).sum())
    backdated = pc.greater(pc.subtract(assertions.column(m.COMMITTED), assertions.column(m.OBSERVED)), DAY_US)
    counts: dict[str, TypeCounts] = {}
    for name in resolved.column_names:
        status = pc.struct_field(resolved.column(name), "status")
        observed = pc.struct_field(resolved.column(name), "observed_time").cast(pa.int64())
        of_type = pc.equal(assertions.column(m.LABEL_TYPE), name)
        settled, contradicted, absent = (count_true(pc.equal(status, s.value)) for s in m.Status)
        counts[name] = TypeCounts(
            resolved.num_rows,
            settled,
            contradicted,
            absent,
            mature_anchors,
            count_true(pc.less_equal(observed, mature_before_us)),
            count_true(of_type),
            count_true(pc.and_(of_type, backdated)),
        )
    return counts


def recount_labels(
    rows: pa.Table, types: Sequence[str], anchor_ts: np.ndarray[Any, np.dtype[np.int64]], mature_until_us: int
) -> dict[str, TypeCounts]:
    """The counts of each type as finished rows of a dataset tell them; of assertions they tell nothing."""
    mature_anchors = int((anchor_ts <= mature_until_us).sum())
    counts: dict[str, TypeCounts] = {}
    for name in types:
        columns = m.name_label_columns(name)
        status, observed = rows.column(columns[1]), rows.column(columns[3])
        settled, contradicted, absent = (count_true(pc.equal(status, s.value)) for s in m.Status)
        mature = count_true(pc.less_equal(observed.cast(pa.int64()), mature_until_us))
        counts[name] = TypeCounts(rows.num_rows, settled, contradicted, absent, mature_anchors, mature)
    return counts


def add_counts(parts: Sequence[Mapping[str, TypeCounts]]) -> dict[str, TypeCounts]:
    """Counts of all targets, types ascending."""
    names = sorted({name for part in parts for name in part})
    return {name: sum((part[name] for part in parts if name in part), TypeCounts()) for name in names}


def find_shortfalls(counts: Mapping[str, TypeCounts], policy: CoveragePolicy) -> list[Shortfall]:
    """Every threshold missed, by type ascending; none means ready for training. Compares exact fractions."""
    missed: list[Shortfall] = []
    for name in sorted(counts):
        ratios = counts[name].ratios
        least = policy.find_least(name)
        if ratios["coverage"] < to_fraction(least):
            missed.append(Shortfall(name, "coverage", ratios["coverage"], f"at least {least}"))
        if ratios["conflict_ratio"] > to_fraction(policy.max_conflict_ratio):
            most = f"at most {policy.max_conflict_ratio}"
            missed.append(Shortfall(name, "conflict_ratio", ratios["conflict_ratio"], most))
        if ratios["mature_anchor_ratio"] < to_fraction(policy.min_mature_anchor_ratio):
            missed.append(
                Shortfall(
                    name,
                    "mature_anchor_ratio",
                    ratios["mature_anchor_ratio"],
                    f"at least {policy.min_mature_anchor_ratio}",
                )
            )
    return missed


def refuse_shortfalls(missed: Sequence[Shortfall]) -> list[Refusal]:
    """COVERAGE_POLICY_VIOLATION naming type, measure, value and threshold, if anything is missed."""
    if not missed:
        return []
    first = missed[0]
    message = (
        f"{first.measure} of {first.label_type} is {round_ratio(first.found)} "
        f"({first.found}); the coverage policy requires {first.required}"
    )
    return [refuse("COVERAGE_POLICY_VIOLATION", message, faults=[shortfall.to_document() for shortfall in missed])]


def round_ratio(ratio: Fraction) -> float:
    """A ratio for display: 6 decimals, half-even."""
    return float(round(ratio, 6))


def _divide(part: int, whole: int) -> Fraction:
    return Fraction(part, whole) if whole else Fraction(0)
