"""Instants: UTC or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.clock import (
    FixedClock,
    SystemClock,
    format_datetime,
    format_instant,
    parse_instant,
    to_micros,
)

DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00+00:00", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1970-01-01T00:00:00.1Z", 100_000),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.000001000Z", 1),
        ("2024-02-29T00:00:00Z", 19_782 * DAY),
        ("0001-01-01T00:00:00Z", -719_162 * DAY),
        ("9999-12-31T23:59:59.999999Z", 2_932_897 * DAY - 1),
    ],
)
def test_instants(text: str, micros: int) -> None:
    assert parse_instant(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        *("2026-02-10T10:00:00", "2026-02-10T10:00:00+01:00", "2026-02-10T10:00:00-00:00", "2026-02-10 10:00:00Z"),
        *("2026-02-10t10:00:00z", "2026-02-10T10:00Z", "2026-02-10", "2026-02-10T10:00:00.Z", "2026-02-10T10:00:00Z\n"),
        *("2026-02-10T10:00:00.0000001Z", "2026-02-10T10:00:00,5Z", " 2026-02-10T10:00:00Z", "", "now", "1770000000"),
        *("2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-02-10T24:00:00Z", "2026-06-30T23:59:60Z"),
        *(
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "٢٠٢٦-02-10T10:00:00Z",
            "2026-02-10T10:00:00." + "0" * 99 + "Z",
        ),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_instant(text)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])))
def test_written_instants_read_back(moment: datetime) -> None:
    try:
        text = format_datetime(moment)
    except OverflowError:  # an instant whose UTC year lies outside the calendar
        return
    assert format_instant(parse_instant(text)) == text
    assert parse_instant(text) == to_micros(moment)
    assert to_micros(moment) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_a_naive_datetime_is_no_instant() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        format_datetime(datetime.fromisoformat("2026-02-10T00:00:00"))
    with pytest.raises(ValueError, match="without a zone"):
        to_micros(datetime.fromisoformat("2026-02-10T00:00:00"))


def test_clocks() -> None:
    system = SystemClock()
    assert system.now().utcoffset() == timedelta(0)
    assert system.monotonic() <= system.monotonic()
    fixed = FixedClock(datetime(2026, 2, 10, tzinfo=UTC))
    fixed.advance(1.5)
    assert (format_datetime(fixed.now()), fixed.monotonic()) == ("2026-02-10T00:00:01.500000Z", 1.5)
    with pytest.raises(ValueError, match="backwards"):
        fixed.advance(-1)
