"""The kernel of every aggregate, by its name in `pins/profile/aggregates.py`: what a feature is before it is rounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from ofs_spark.features.kernel import places
from ofs_spark.features.kernel.distinct import count_distinct
from ofs_spark.features.kernel.exact import Double, Kept, Quotient, Result, Whole, make_quotient
from ofs_spark.features.kernel.group_windows import GroupWindows
from ofs_spark.features.kernel.rounding import round_root
from ofs_spark.features.kernel.totals import count_rows
from ofs_spark.features.kernel.words import choose, multiply, repeat_integer, subtract
from ofs_spark.foundation.clock import SECOND_US
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.errors import InternalError
from ofs_spark.pins.profile.model import Feature


def compute_count(g: GroupWindows, feature: Feature) -> Whole:
    """Rows that count; of a value, those that have one."""
    return Whole(g.count_rows(feature))


def compute_count_distinct(g: GroupWindows, feature: Feature) -> Whole:
    """Different values."""
    codes, counted = g.encode_values(feature), g.select_rows(feature)
    return Whole(count_distinct(g.find_windows(feature), codes, counted, g.count_rows(feature)))


def compute_sum(g: GroupWindows, feature: Feature) -> Quotient:
    """Sum; of no values null, or 0 with `empty: zero`."""
    anchor = g.rows.anchor
    present = anchor if feature.empty_zero else anchor & (g.count_rows(feature) > 0)
    return make_quotient(g.sum_values(feature), 10 ** g.read_values(feature).scale, present)


def compute_mean(g: GroupWindows, feature: Feature) -> Quotient:
    """Sum ÷ count."""
    n = g.count_rows(feature)
    tens = repeat_integer(10 ** g.read_values(feature).scale, len(n))
    return make_quotient(g.sum_values(feature), multiply(n, tens), g.rows.anchor & (n > 0))


def compute_stddev_pop(g: GroupWindows, feature: Feature) -> Double:
    """Root of (n · Σ x² − (Σ x)²) ÷ n²."""
    n = g.count_rows(feature)
    return _compute_root(g, feature, n, g.rows.anchor & (n >= 1))


def compute_stddev_samp(g: GroupWindows, feature: Feature) -> Double:
    """Root of (n · Σ x² − (Σ x)²) ÷ (n · (n − 1)); of one value null."""
    n = g.count_rows(feature)
    return _compute_root(g, feature, n - 1, g.rows.anchor & (n >= 2))


def compute_min(g: GroupWindows, feature: Feature) -> Result:
    """The least value."""
    data = _order_values(g, feature)
    return _take_values(g, feature, places.find_least(g.find_windows(feature), data, g.select_rows(feature)))


def compute_max(g: GroupWindows, feature: Feature) -> Result:
    """The greatest value."""
    data = _order_values(g, feature)
    turned = -data if data.dtype == np.float64 else ~data  # ~x orders as −x does and cannot overflow
    return _take_values(g, feature, places.find_least(g.find_windows(feature), turned, g.select_rows(feature)))


def compute_first(g: GroupWindows, feature: Feature) -> Result:
    """The oldest value in total order."""
    return _take_values(g, feature, places.find_oldest(g.find_windows(feature), g.select_rows(feature)))


def compute_last(g: GroupWindows, feature: Feature) -> Result:
    """The newest value in total order."""
    return _take_values(g, feature, places.find_newest(g.find_windows(feature), g.select_rows(feature)))


def compute_rate(g: GroupWindows, feature: Feature) -> Quotient:
    """Rows that meet the condition ÷ all rows of the window; null where it is empty."""
    everything = count_rows(g.find_windows(feature), g.rows.source)
    return make_quotient(g.count_rows(feature), everything, g.rows.anchor & (everything > 0))


def compute_time_since_first(g: GroupWindows, feature: Feature) -> Quotient:
    """Seconds from the oldest row."""
    return _measure_time(g, places.find_oldest(g.find_windows(feature), g.select_rows(feature)))


def compute_time_since_previous(g: GroupWindows, feature: Feature) -> Quotient:
    """Seconds from the newest row other than the anchor."""
    w, counted = g.find_windows(feature), g.select_rows(feature)
    return _measure_time(g, places.find_newest(w, counted, other_than_anchor=True))


KERNELS: Mapping[str, Callable[[GroupWindows, Feature], Result]] = {
    "count": compute_count,
    "count_distinct": compute_count_distinct,
    "sum": compute_sum,
    "mean": compute_mean,
    "stddev_pop": compute_stddev_pop,
    "stddev_samp": compute_stddev_samp,
    "min": compute_min,
    "max": compute_max,
    "first": compute_first,
    "last": compute_last,
    "rate": compute_rate,
    "time_since_first": compute_time_since_first,
    "time_since_previous": compute_time_since_previous,
}
"""Aggregate → what computes it for one feature, over all rows of the group; only anchors' entries mean anything."""


def _compute_root(g: GroupWindows, feature: Feature, freedom: Array, present: Array) -> Double:
    """Root of (n · Σ x² − (Σ x)²) ÷ (n · freedom), rounded once."""
    n, total, squares = g.count_rows(feature), g.sum_values(feature), g.sum_values(feature, 2)
    scatter = subtract(multiply(n, squares), multiply(total, total))
    return Double(round_root(scatter, multiply(n, freedom), g.read_values(feature).scale, present), present)


def _order_values(g: GroupWindows, feature: Feature) -> Array:
    """64-bit numbers that order as the values do: themselves, or codes of wide decimals."""
    data = g.read_values(feature).data
    return g.encode_values(feature) if data.ndim == 2 else data


def _take_values(g: GroupWindows, feature: Feature, row: Array) -> Result:
    """The values of the chosen rows; null where there is none (−1)."""
    value, found = g.read_values(feature), (row >= 0) & g.rows.anchor
    data = choose(found, value.data[row]) if len(row) else value.data
    match value.kind:
        case "double":
            return Double(data, found)
        case "bool":
            return Kept(pa.array(data.astype(np.bool_), mask=~found))
        case "string":
            if value.dictionary is None:
                raise InternalError("text values come with their dictionary")
            return Kept(value.dictionary.take(pa.array(data.astype(np.int64), mask=~found)))
    return make_quotient(data, 10**value.scale, found)


def _measure_time(g: GroupWindows, row: Array) -> Quotient:
    """Seconds from the chosen rows to their anchors."""
    found, ts = (row >= 0) & g.rows.anchor, g.rows.ts
    return make_quotient(np.where(found, ts - ts[row], 0) if len(row) else ts, SECOND_US, found)
