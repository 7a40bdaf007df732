"""Which Arrow columns hold times, and what stands where there is none; reading them compiles loops (`instants.py`)."""

from __future__ import annotations

import pyarrow as pa

NO_INSTANT = -(2**63)
"""Stands where there is no time: a null, or a text that is none."""

REQUIRED = "an RFC 3339 time in UTC (Z or +00:00) with at most 6 fractional digits, years 0001 to 9999"
_UTC = ("UTC", "Etc/UTC", "Z", "+00:00")


def is_instant(type_: pa.DataType) -> bool:
    """Whether an Arrow type is a timestamp with zone UTC, of any unit."""
    return bool(pa.types.is_timestamp(type_) and type_.tz in _UTC)
