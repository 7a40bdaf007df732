"""Times of label columns as int64 µs since the epoch: exact, UTC only, nothing converted or truncated."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_FORM = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6}0*)?(Z|\+00:00)$"
_SECONDS = len("2026-02-10T13:07:00")
_UTC = ("UTC", "Etc/UTC", "Z", "+00:00")
_YEAR_1, _YEAR_10000 = -62_135_596_800_000_000, 253_402_300_800_000_000
REQUIRED = "an RFC 3339 time in UTC (Z or +00:00) with at most 6 fractional digits, years 0001 to 9999"


def is_instant(type_: pa.DataType) -> bool:
    """Whether an Arrow type is a timestamp in µs with zone UTC."""
    return bool(pa.types.is_timestamp(type_) and type_.unit == "us" and type_.tz in _UTC)


def micros(column: pa.Array) -> pa.Array:
    """int64 µs of every row; null where the value is null or not an exact UTC time of years 0001 to 9999.

    Reads string columns (RFC 3339, `Z` or `+00:00`, more than 6 fractional digits only if zeros) and `is_instant` ones.
    """
    if is_instant(column.type):
        return _within_years(column.cast(pa.int64()))
    encoded = column.dictionary_encode()
    return _within_years(_parsed(encoded.dictionary).take(encoded.indices))


def _parsed(texts: pa.Array) -> pa.Array:
    wellformed = pc.if_else(pc.match_substring_regex(texts, _FORM), texts, pa.scalar(None, pa.string()))
    seconds = _seconds(pc.utf8_slice_codeunits(wellformed, 0, _SECONDS))
    rest = pc.utf8_slice_codeunits(wellformed, _SECONDS)
    digits = pc.replace_substring_regex(rest, r"^\.?(\d{0,6})\d*(Z|\+00:00)$", r"\1")
    fraction = pc.utf8_rpad(digits, 6, "0").cast(pa.int64())
    return pc.add(pc.multiply(seconds, 1_000_000), fraction)


def _seconds(texts: pa.Array) -> pa.Array:
    """Seconds since the epoch; null for texts that are no time of the calendar (a 30th of February, a leap second)."""
    try:
        return texts.cast(pa.timestamp("s")).cast(pa.int64())
    except pa.ArrowInvalid:
        if len(texts) == 1:
            return pa.nulls(1, pa.int64())
        half = len(texts) // 2
        return pa.concat_arrays([_seconds(texts.slice(0, half)), _seconds(texts.slice(half))])


def _within_years(values: pa.Array) -> pa.Array:
    inside = pc.and_(pc.greater_equal(values, _YEAR_1), pc.less(values, _YEAR_10000))
    return pc.if_else(inside, values, pa.scalar(None, pa.int64()))
