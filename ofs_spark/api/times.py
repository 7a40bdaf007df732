"""Instants and spans of time as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta

from ofs_spark.foundation.clock import format_instant, parse_instant, to_micros
from ofs_spark.pins.profile.faults import Faults
from ofs_spark.pins.profile.values import parse_duration


def read_instant(stated: str | datetime) -> int:
    """Microseconds since the epoch. ValueError for a text that is no RFC 3339 time in UTC, and for a datetime without zone."""
    return to_micros(stated) if isinstance(stated, datetime) else parse_instant(stated)


def read_gap(stated: str | timedelta) -> int:
    """Microseconds of `7d`, `12h`, `30m`, `90s` or a timedelta; ValueError for anything else, and for less than nothing."""
    if isinstance(stated, timedelta):
        if stated < timedelta(0):
            raise ValueError(f"a gap of {stated} ends before it begins")
        return stated // timedelta(microseconds=1)
    faults = Faults()
    micros = parse_duration(stated, "", faults)
    if faults.found:
        raise ValueError(f"gap {faults.found[0].message}")
    return micros


def require_rows(span: tuple[int, int] | None, cut: int, start: int) -> None:
    """ValueError where no row of a span (least and greatest instant, µs) lies before `cut`, or none from `start` on."""
    if span is None:
        raise ValueError("a dataset, or a part of one, that has no rows has no parts")
    lie = f"rows lie from {format_instant(span[0])} to {format_instant(span[1])}"
    if span[0] >= cut:
        raise ValueError(f"no row lies before {_show(cut)}: {lie}")
    if span[1] < start:
        raise ValueError(f"no row lies at {_show(start)} or later: {lie}")


def _show(micros: int) -> str:
    """An instant, or that it is beyond the calendar."""
    try:
        return format_instant(micros)
    except OverflowError:
        return "an instant beyond the year 9999"
