"""One group over one target: windows are found once per (length, delay), every feature is read off them exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.features.kernel import places
from ofs_spark.features.kernel.distinct import count_distinct, encode_values
from ofs_spark.features.kernel.exact import Double, Exact, Quotient, divide, make_quotient, subtract
from ofs_spark.features.kernel.model import GroupRows, Values
from ofs_spark.features.kernel.rounding import round_root
from ofs_spark.features.kernel.totals import count_rows, sum_values
from ofs_spark.features.kernel.windows import Deliveries, Windows, find_windows, order_deliveries
from ofs_spark.features.kernel.words import (
    as_words,
    choose,
    exceeds,
    multiply,
    repeat_integer,
)
from ofs_spark.features.kernel.words import subtract as subtract_integers
from ofs_spark.foundation.clock import SECOND_US
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.errors import InternalError, refuse
from ofs_spark.pins.profile.model import Derived, Feature, Group, Operand

_GREATEST = 10**38 - 1


def compute_group(group: Group, rows: GroupRows, late_only: bool = False) -> list[pa.Array]:
    """One array per feature, then per derived column, over all rows; only anchors' entries mean anything.

    FEATURE_NUMERIC_OVERFLOW where an exact sum needs more than 38 digits. `late_only`: see find_windows.
    """
    kernel = _Kernel(group, rows, late_only)
    features = [kernel.column(index) for index in range(len(group.features))]
    return features + [kernel.derived(derived) for derived in group.derived]


@dataclass
class _Kernel:
    """The group's rows with what was already computed over them: windows, counts and sums are shared by features."""

    group: Group
    rows: GroupRows
    late_only: bool = False
    _deliveries: list[Deliveries] = field(default_factory=list)
    _codes: dict[int | None, Array] = field(default_factory=dict)
    _windows: dict[tuple[int | None, int], Windows] = field(default_factory=dict)
    _counts: dict[tuple[Any, ...], Array] = field(default_factory=dict)
    _sums: dict[tuple[Any, ...], Array] = field(default_factory=dict)
    _exact: dict[int, Exact] = field(default_factory=dict)

    def column(self, index: int) -> pa.Array:
        """The finished column of one feature."""
        feature = self.group.features[index]
        if feature.aggregate in ("count", "count_distinct"):
            return pa.array(self.whole(feature))
        if feature.aggregate in ("min", "max", "first", "last") and self._kept_as_it_is(feature):
            return self._chosen(feature)
        exact = self.exact(index)
        if feature.exact and isinstance(exact, Quotient):
            return _decimals(exact, self._values(feature).scale)
        return exact.round()

    def derived(self, derived: Derived) -> pa.Array:
        """The finished column of one derived feature."""
        left, right = self._operand(derived.left), self._operand(derived.right)
        return divide(left, right) if derived.op == "ratio" else subtract(left, right)

    def exact(self, index: int) -> Exact:
        """A numeric feature before rounding."""
        if index not in self._exact:
            self._exact[index] = self._compute(self.group.features[index])
        return self._exact[index]

    def whole(self, feature: Feature) -> Array:
        """A count or count_distinct."""
        w = self.windows(feature)
        if feature.aggregate == "count":
            return self.counted(feature)
        return count_distinct(w, self.codes(feature), self._mask(feature), self.counted(feature))

    def codes(self, feature: Feature) -> Array:
        """A code per different value of the feature, made once for every window."""
        if feature.value not in self._codes:
            self._codes[feature.value] = encode_values(self._values(feature).data)
        return self._codes[feature.value]

    def windows(self, feature: Feature) -> Windows:
        """The feature's windows, found once for every length and delay."""
        at = (feature.window_us, feature.delay_us)
        if at not in self._windows:
            r = self.rows
            if not self._deliveries:
                self._deliveries.append(order_deliveries(r.key, r.ts, r.rank, r.anchor))
            include = self.group.include_anchor and feature.delay_us == 0
            self._windows[at] = find_windows(self._deliveries[0], *at, include, self.late_only)
        return self._windows[at]

    def counted(self, feature: Feature) -> Array:
        """Counted rows of each window: source events that meet `where` and, of a value, are not null."""
        value = feature.value
        if value is not None and not (self.rows.source & ~self.rows.values[value].present).any():
            value = None  # no row lacks it: its count is that of the rows
        key = (feature.window_us, feature.delay_us, value, feature.where)
        if key not in self._counts:
            self._counts[key] = count_rows(self.windows(feature), self._mask(feature))
        return self._counts[key]

    def total(self, feature: Feature, power: int = 1) -> Array:
        """Exact sum of the feature's value (or its square) over each window."""
        key = (feature.window_us, feature.delay_us, feature.value, feature.where, power)
        if key not in self._sums:
            total = sum_values(self.windows(feature), self._values(feature).data, self._mask(feature), power)
            if power == 1 and (exceeds(total, _GREATEST) & self.rows.anchor).any():
                raise refuse(
                    "FEATURE_NUMERIC_OVERFLOW",
                    f"a sum of {feature.column} needs more than 38 digits",
                    column=feature.column,
                )
            self._sums[key] = total
        return self._sums[key]

    def _compute(self, feature: Feature) -> Exact:
        anchor = self.rows.anchor
        match feature.aggregate:
            case "count" | "count_distinct":
                return make_quotient(self.whole(feature), 1, anchor)
            case "sum":
                present = anchor if feature.empty_zero else anchor & (self.counted(feature) > 0)
                return make_quotient(self.total(feature), 10 ** self._values(feature).scale, present)
            case "mean":
                n = self.counted(feature)
                return make_quotient(self.total(feature), multiply(n, self._tens(feature)), anchor & (n > 0))
            case "rate":
                everything = count_rows(self.windows(feature), self.rows.source)
                return make_quotient(self.counted(feature), everything, anchor & (everything > 0))
            case "stddev_pop" | "stddev_samp":
                return self._deviation(feature)
            case "min" | "max" | "first" | "last":
                return self._place_value(feature)
            case "time_since_first" | "time_since_previous":
                return self._time_since(feature)
        raise InternalError(f"no kernel for {feature.aggregate}")

    def _deviation(self, feature: Feature) -> Double:
        n = self.counted(feature)
        total, squares = self.total(feature), self.total(feature, 2)
        scatter = subtract_integers(multiply(n, squares), multiply(total, total))
        least = 1 if feature.aggregate == "stddev_pop" else 2
        present = self.rows.anchor & (n >= least)
        divisor = multiply(n, n if least == 1 else n - 1)
        return Double(round_root(scatter, divisor, self._values(feature).scale, present), present)

    def _place(self, feature: Feature) -> Array:
        w, value, mask = self.windows(feature), self._values(feature), self._mask(feature)
        if feature.aggregate in ("first", "last"):
            return places.find_oldest(w, mask) if feature.aggregate == "first" else places.find_newest(w, mask)
        data = value.data
        if data.ndim == 2:
            data = self.codes(feature)  # codes of wide decimals order as they do
        if feature.aggregate == "max":
            data = -data if data.dtype == np.float64 else ~data  # ~x orders as −x does and cannot overflow
        return places.find_least(w, data, mask)

    def _place_value(self, feature: Feature) -> Exact:
        row, value = self._place(feature), self._values(feature)
        found = (row >= 0) & self.rows.anchor
        data = choose(found, value.data[row]) if len(row) else value.data
        return Double(data, found) if value.kind == "double" else make_quotient(data, 10**value.scale, found)

    def _kept_as_it_is(self, feature: Feature) -> bool:
        return self._values(feature).kind in ("string", "bool")

    def _chosen(self, feature: Feature) -> pa.Array:
        row, value = self._place(feature), self._values(feature)
        found = (row >= 0) & self.rows.anchor
        data = np.where(found, value.data[row], 0) if len(row) else value.data
        if value.kind == "bool":
            return pa.array(data.astype(np.bool_), mask=~found)
        if value.dictionary is None:
            raise InternalError("text values come with their dictionary")
        return value.dictionary.take(pa.array(data.astype(np.int64), mask=~found))

    def _time_since(self, feature: Feature) -> Quotient:
        w, mask = self.windows(feature), self._mask(feature)
        first = feature.aggregate == "time_since_first"
        row = places.find_oldest(w, mask) if first else places.find_newest(w, mask, other_than_anchor=True)
        found = (row >= 0) & self.rows.anchor
        ts = self.rows.ts
        return make_quotient(np.where(found, ts - ts[row], 0) if len(row) else ts, SECOND_US, found)

    def _operand(self, operand: Operand) -> Exact:
        if operand.source == "feature":
            return self.exact(operand.index)
        value = self.rows.values[operand.index]
        present = value.present & self.rows.source
        if value.kind == "double":
            return Double(value.data, present)
        return make_quotient(value.data, 10**value.scale, present)

    def _mask(self, feature: Feature) -> Array:
        mask = self.rows.source
        if feature.value is not None:
            mask = mask & self.rows.values[feature.value].present
        return mask if feature.where is None else mask & self.rows.conditions[feature.where]

    def _values(self, feature: Feature) -> Values:
        if feature.value is None:
            raise InternalError(f"{feature.column} has no value")
        return self.rows.values[feature.value]

    def _tens(self, feature: Feature) -> Array:
        return repeat_integer(10 ** self._values(feature).scale, len(self.rows.key))


def _decimals(exact: Quotient, scale: int) -> pa.Array:
    """The unscaled numerators as decimal128(38, scale): their two least words are its bytes."""
    whole = np.ascontiguousarray(as_words(choose(exact.present, exact.numerator), 2)[:, :2])
    valid = pa.py_buffer(np.packbits(exact.present, bitorder="little"))
    return pa.Array.from_buffers(pa.decimal128(38, scale), len(whole), [valid, pa.py_buffer(whole)])
