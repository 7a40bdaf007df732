"""The leakage invariant, judged over finished rows: nothing in them was observed after the cut-off."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import count_true
from ofs_spark.labels.model import name_label_columns
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import TIMESTAMP


def count_leaks(rows: pa.Table, types: tuple[str, ...], cutoff_us: int) -> int:
    """Labels of finished rows that were observed after the cut-off (label as-of; under KNOW_NOW the marker's)."""
    cutoff = pa.scalar(cutoff_us, pa.int64()).cast(to_arrow_type(TIMESTAMP))
    late = (pc.greater(rows.column(name_label_columns(name)[3]), cutoff) for name in types)
    return sum(map(count_true, late))
