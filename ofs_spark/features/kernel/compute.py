"""One group over one target: windows are found once per (length, delay), every feature is read off them exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
from ofs_spark.foundation.errors import InternalError
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import name_decimal
from ofs_spark.pins.profile.model import Group, Operand, Operation

_OPERATIONS: Mapping[Operation, Callable[[Exact, Exact], pa.Array]] = {"ratio": divide, "difference": subtract}


def compute_group(group: Group, rows: GroupRows, late_only: bool = False) -> list[pa.Array]:
    """One array per feature, then per derived column, over all rows; only anchors' entries mean anything.

    FEATURE_NUMERIC_OVERFLOW where an exact sum needs more than 38 digits. `late_only`: see find_windows.
    """
    windows = GroupWindows(group, rows, late_only)
    results = [KERNELS[feature.aggregate](windows, feature) for feature in group.features]
    columns = [
        _make_decimals(result, windows.read_values(feature).scale)
        if feature.exact and isinstance(result, Quotient)
        else result.round()
        for feature, result in zip(group.features, results, strict=True)
    ]
    for derived in group.derived:
        left, right = (_read_operand(operand, results, rows) for operand in (derived.left, derived.right))
        columns.append(_OPERATIONS[derived.op](left, right))
    return columns


def _read_operand(operand: Operand, results: Sequence[Result], rows: GroupRows) -> Exact:
    if operand.source == "feature":
        result = results[operand.index]
        if isinstance(result, Kept):
            raise InternalError("a text or a boolean is no operand")
        return make_quotient(result.data, 1, rows.anchor) if isinstance(result, Whole) else result
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
