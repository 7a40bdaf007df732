"""The leakage invariant, judged over finished rows: nothing in them was observed after the cut-off."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.errors import refuse
from ofs_spark.labels.model import label_columns


def leaks(rows: pa.Table, types: tuple[str, ...], cutoff_us: int) -> int:
    """Labels of finished rows that were observed after the cut-off (label as-of; under KNOW_NOW the marker's)."""
    cutoff = pa.scalar(cutoff_us, pa.int64()).cast(pa.timestamp("us", "UTC"))
    late = (pc.greater(rows.column(label_columns(name)[3]), cutoff) for name in types)
    return sum(int(pc.sum(mask, min_count=0).as_py()) for mask in late)


def require_no_leak(count: int, cutoff_utc: str) -> None:
    """LEAKAGE_POLICY_VIOLATION if any finished row holds a label observed after the cut-off."""
    if count:
        told = f"{count} labels of finished rows were observed after the cut-off {cutoff_utc}; none may be"
        raise refuse("LEAKAGE_POLICY_VIOLATION", told, count=count, cutoff=cutoff_utc)
