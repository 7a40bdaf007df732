"""One group over one target: windows are found once per (length, delay), every feature is read off them exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from ofs_spark.features.kernel.aggregates import KERNELS
from ofs_spark.features.kernel.exact import (
    Double,
    Exact,
    Kept,
    Quotient,
    Result,
    Whole,
    divide,
    make_quotient,
    subtract,
)
from ofs_spark.features.kernel.group_windows import GroupWindows
from ofs_spark.features.kernel.model import GroupRows
from ofs_spark.features.kernel.words import as_words, choose
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.errors import InternalError
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import name_decimal
from ofs_spark.pins.profile.model import Group, Operand, Operation

_OPERATIONS: Mapping[Operation, Callable[[Exact, Exact], pa.Array]] = {"ratio": divide, "difference": subtract}


def compute_group(group: Group, rows: GroupRows, late_only: bool = False, skip: int = 0) -> list[pa.Array]:
    """One array per feature, then per derived column, over all rows but the first `skip`; only anchors' entries count.

    FEATURE_NUMERIC_OVERFLOW where an exact sum needs more than 38 digits. `late_only`: see find_windows.
    """
    windows, columns = GroupWindows(group, rows, late_only), list[pa.Array]()
    operands = {one.index for d in group.derived for one in (d.left, d.right) if one.source == "feature"}
    kept: dict[int, Exact] = {}  # of all others nothing is held but the column
    for index, feature in enumerate(group.features):
        result = KERNELS[feature.aggregate](windows, feature).drop_first(skip)
        if index in operands:
            kept[index] = _make_exact(result, rows.anchor[skip:])
        if feature.exact and isinstance(result, Quotient):
            columns.append(_make_decimals(result, windows.read_values(feature).scale))
        else:
            columns.append(result.round())
    for derived in group.derived:
        left, right = (
            kept[one.index] if one.source == "feature" else _read_value(one, rows).drop_first(skip)
            for one in (derived.left, derived.right)
        )
        columns.append(_OPERATIONS[derived.op](left, right))
    return columns


def _make_exact(result: Result, anchor: Array) -> Exact:
    if isinstance(result, Kept):
        raise InternalError("a text or a boolean is no operand")
    return make_quotient(result.data, 1, anchor) if isinstance(result, Whole) else result


def _read_value(operand: Operand, rows: GroupRows) -> Exact:
    value = rows.values[operand.index]
    present = value.present & rows.source
    return (
        Double(value.data, present) if value.kind == "double" else make_quotient(value.data, 10**value.scale, present)
    )


def _make_decimals(exact: Quotient, scale: int) -> pa.Array:
    """The unscaled numerators as decimals of that scale: their two least words are its bytes."""
    whole = np.ascontiguousarray(as_words(choose(exact.present, exact.numerator), 2)[:, :2])
    valid = pa.py_buffer(np.packbits(exact.present, bitorder="little"))
    return pa.Array.from_buffers(to_arrow_type(name_decimal(scale)), len(whole), [valid, pa.py_buffer(whole)])
