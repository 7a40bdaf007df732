"""A group's rows with what its features have in common: windows, counts and sums, each computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ofs_spark.features.kernel.distinct import encode_values
from ofs_spark.features.kernel.model import GroupRows, Values
from ofs_spark.features.kernel.totals import count_rows, sum_values
from ofs_spark.features.kernel.windows import Deliveries, Windows, find_windows, order_deliveries
from ofs_spark.features.kernel.words import exceeds
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.errors import InternalError, refuse
from ofs_spark.pins.columns import DIGITS
from ofs_spark.pins.profile.model import Feature, Group

_GREATEST = 10**DIGITS - 1


@dataclass
class GroupWindows:
    """What a kernel asks about one feature of the group, over all rows; only anchors' entries mean anything.

    `late_only`: see find_windows.
    """

    group: Group
    rows: GroupRows
    late_only: bool = False
    _deliveries: list[Deliveries] = field(default_factory=list)
    _codes: dict[int | None, Array] = field(default_factory=dict)
    _windows: dict[tuple[int | None, int], Windows] = field(default_factory=dict)
    _counts: dict[tuple[Any, ...], Array] = field(default_factory=dict)
    _sums: dict[tuple[Any, ...], Array] = field(default_factory=dict)

    def find_windows(self, feature: Feature) -> Windows:
        """The feature's windows, found once for every length and delay."""
        at = (feature.window_us, feature.delay_us)
        if at not in self._windows:
            r = self.rows
            if not self._deliveries:
                self._deliveries.append(order_deliveries(r.key, r.ts, r.rank, r.anchor))
            include = self.group.include_anchor and feature.delay_us == 0
            self._windows[at] = find_windows(self._deliveries[0], *at, include, self.late_only)
        return self._windows[at]

    def count_rows(self, feature: Feature) -> Array:
        """Counted rows of each window: source events that meet `where` and, of a value, are not null."""
        value = feature.value
        if value is not None and not (self.rows.source & ~self.rows.values[value].present).any():
            value = None  # no row lacks it: its count is that of the rows
        key = (feature.window_us, feature.delay_us, value, feature.where)
        if key not in self._counts:
            self._counts[key] = count_rows(self.find_windows(feature), self.select_rows(feature))
        return self._counts[key]

    def sum_values(self, feature: Feature, power: int = 1) -> Array:
        """Exact sum of the feature's value (or its square) over each window, in unscaled units.

        FEATURE_NUMERIC_OVERFLOW where a sum needs more than 38 digits.
        """
        key = (feature.window_us, feature.delay_us, feature.value, feature.where, power)
        if key not in self._sums:
            data, counted = self.read_values(feature).data, self.select_rows(feature)
            total = sum_values(self.find_windows(feature), data, counted, power)
            if power == 1 and (exceeds(total, _GREATEST) & self.rows.anchor).any():
                message = f"a sum of {feature.column} needs more than {DIGITS} digits"
                raise refuse("FEATURE_NUMERIC_OVERFLOW", message, column=feature.column)
            self._sums[key] = total
        return self._sums[key]

    def encode_values(self, feature: Feature) -> Array:
        """A code per different value of the feature, ordered as the values are; made once for every window."""
        if feature.value not in self._codes:
            self._codes[feature.value] = encode_values(self.read_values(feature).data)
        return self._codes[feature.value]

    def select_rows(self, feature: Feature) -> Array:
        """Mask of the rows that count wherever they are in a window."""
        mask = self.rows.source
        if feature.value is not None:
            mask = mask & self.rows.values[feature.value].present
        return mask if feature.where is None else mask & self.rows.conditions[feature.where]

    def read_values(self, feature: Feature) -> Values:
        """The feature's value."""
        if feature.value is None:
            raise InternalError(f"{feature.column} has no value")
        return self.rows.values[feature.value]
