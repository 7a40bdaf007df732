"""Times by the contract's rules: RFC 3339 text with Z or +00:00, at most six fractional digits. Nothing is converted."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.intake.rows import MISSING, NO_TIME, NO_ZONE, OTHER_ZONE, TOO_FINE, Times

_PLAIN = (
    r"^(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-[0-9]{2}-[0-9]{2}"
    r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+00:00)$"
)
"""What Arrow reads as the contract does, where the date exists; everything else is read one by one."""
_SHAPE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?\s*(?P<zone>[Zz]|UTC|[+-][0-9]{2}:?[0-9]{2})?"
)
_MICROS = pa.timestamp("us", "UTC")
_FACTORS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_FIRST, _END = -62_135_596_800_000_000, 253_402_300_800_000_000


def read_times(values: list[Any]) -> Times:
    """The instants that texts state."""
    bad: dict[int, str] = {}
    try:
        texts = pa.array([one if type(one) is str else None for one in values], pa.string())
    except UnicodeEncodeError:
        return _read_each(values)
    plain = pc.fill_null(pc.match_substring_regex(texts, _PLAIN), False)
    try:
        read = pc.cast(pc.if_else(plain, texts, None), _MICROS)
    except pa.ArrowInvalid:  # a day or an hour that does not exist
        return _read_each(values)
    micros = np.array(pc.fill_null(read.cast(pa.int64()), 0))
    for row in np.flatnonzero(~np.asarray(plain)).tolist():
        micros[row], reason = _read_one(values[row])
        if reason:
            bad[row] = reason
    return Times(micros, bad)


def _read_each(values: list[Any]) -> Times:
    found = [_read_one(one) for one in values]
    bad = {row: reason for row, (_, reason) in enumerate(found) if reason}
    return Times(np.array([micros for micros, _ in found], np.int64), bad)


def _read_one(value: Any) -> tuple[int, str]:
    """(µs, "") or (0, why it is no instant)."""
    if value is None or value == "":
        return 0, MISSING
    try:
        return parse_instant(value), ""
    except (ValueError, TypeError):
        return 0, _describe_odd(value)


def _describe_odd(value: Any) -> str:
    """Why a text that is no instant of the contract is none."""
    found = _SHAPE.fullmatch(value) if type(value) is str else None
    if found is None:
        return NO_TIME
    if found["zone"] is None:
        return NO_ZONE
    if found["zone"] not in ("Z", "+00:00") or value[10] != "T":
        return NO_TIME if found["zone"] in ("Z", "z", "UTC", "+00:00", "+0000") else OTHER_ZONE
    finer = found[1] is not None and found[1][7:].strip("0") != ""
    return TOO_FINE if finer else NO_TIME


def read_timestamps(column: pa.Array) -> Times:
    """The instants of a timestamp column that is adjusted to UTC, whatever its unit."""
    values = np.asarray(pc.fill_null(column.cast(pa.int64()), 0))
    missing = np.asarray(column.is_null())
    if column.type.unit == "ns":
        fine = values % 1000 != 0
        micros: Array = values // 1000
        outside = np.zeros(len(values), np.bool_)
    else:
        factor, fine = _FACTORS[column.type.unit], np.zeros(len(values), np.bool_)
        outside = (values < _FIRST // factor) | (values >= _END // factor)
        micros = np.where(outside, 0, values) * factor
    reasons = ((outside, NO_TIME), (fine, TOO_FINE), (missing, MISSING))
    return Times(micros, {row: reason for rows, reason in reasons for row in np.flatnonzero(rows).tolist()})


def format_times(micros: Array) -> pa.Array:
    """µs since the epoch as RFC 3339 text with six fractional digits and Z."""
    return write_timestamps(pa.array(micros).cast(_MICROS))


def write_timestamps(column: pa.Array) -> pa.Array:
    """Timestamps of any unit as RFC 3339 text, with all digits of the unit; Z where the column is adjusted to UTC."""
    bare = pc.cast(column.cast(pa.timestamp(column.type.unit)), pa.string())
    texts = pc.binary_replace_slice(bare, 10, 11, "T")
    return texts if column.type.tz is None else pc.binary_join_element_wise(texts, "Z", "")
