"""Times are read exactly as the contract's own reader does, and told apart where they are none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.clock import format_instant, parse_instant
from ofs_spark.intake import rows as r
from ofs_spark.intake.times import format_times, read_times, read_timestamps, write_timestamps

FIRST, LAST = parse_instant("0001-01-01T00:00:00Z"), parse_instant("9999-12-31T23:59:59.999999Z")
DIGITS = st.text("0123456789", max_size=9)


def parse(text: str) -> int | None:
    try:
        return parse_instant(text)
    except ValueError:
        return None


@given(
    st.lists(
        st.builds(
            lambda date, time, fraction, zone: f"{date}T{time}{fraction}{zone}",
            st.sampled_from(
                ["2026-02-10", "2024-02-29", "2023-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "2026-13-01"]
            ),
            st.sampled_from(["00:00:00", "23:59:59", "24:00:00", "10:60:00", "23:59:60"]),
            st.one_of(st.just(""), st.just("."), DIGITS.map(lambda one: f".{one}")),
            st.sampled_from(["Z", "+00:00", "-00:00", "z", "", "+01:00", "Z ", "\n"]),
        ),
        max_size=5,
    )
)
def test_texts_are_read_as_the_contract_reads_them(texts: list[str]) -> None:
    found = read_times(list(texts))
    expected = [parse(one) for one in texts]
    assert [None if row in found.bad else value for row, value in enumerate(found.micros.tolist())] == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, r.MISSING),
        ("", r.MISSING),
        ("2026-02-10T10:00:00", r.NO_ZONE),
        ("2026-02-10 10:00:00", r.NO_ZONE),
        ("2026-02-10T10:00:00+01:00", r.OTHER_ZONE),
        ("2026-02-10T10:00:00-0500", r.OTHER_ZONE),
        ("2026-02-10T10:00:00.1234567Z", r.TOO_FINE),
        ("2026-02-30T10:00:00Z", r.NO_TIME),
        ("2026-02-10 10:00:00Z", r.NO_TIME),
        ("10/02/2026", r.NO_TIME),
        ("\ud800", r.NO_TIME),
        (1_770_000_000, r.NO_TIME),
        (True, r.NO_TIME),
    ],
)
def test_what_is_no_time_is_told_why(value: object, reason: str) -> None:
    found = read_times(["2026-02-10T10:00:00Z", value])
    assert dict(found.bad) == {1: reason}
    assert found.micros[0] == parse_instant("2026-02-10T10:00:00Z")


def test_zeros_beyond_the_microsecond_are_no_fault() -> None:
    assert read_times(["2026-02-10T10:00:00.123456000Z"]).micros.tolist() == [
        parse_instant("2026-02-10T10:00:00.123456Z")
    ]


@given(st.lists(st.integers(FIRST, LAST), max_size=5))
def test_instants_are_written_as_the_contract_writes_them(micros: list[int]) -> None:
    assert format_times(np.array(micros, np.int64)).to_pylist() == [format_instant(one) for one in micros]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)])
def test_timestamps_of_any_unit_are_exact(unit: str, factor: int) -> None:
    column = pa.array([1_770_000_000 * factor, None], pa.timestamp(unit, "Europe/Berlin"))
    found = read_timestamps(column)
    assert found.micros[0] == 1_770_000_000_000_000
    assert dict(found.bad) == {1: r.MISSING}


def test_nanoseconds_that_are_no_microsecond_are_refused() -> None:
    assert dict(read_timestamps(pa.array([1_001, 2_000], pa.timestamp("ns", "UTC"))).bad) == {0: r.TOO_FINE}


def test_timestamps_beyond_the_calendar_are_no_times() -> None:
    column = pa.array([FIRST // 1_000_000 - 1, LAST // 1_000_000 + 1, 2**62], pa.timestamp("s", "UTC"))
    assert dict(read_timestamps(column).bad) == {0: r.NO_TIME, 1: r.NO_TIME, 2: r.NO_TIME}


def test_a_timestamp_in_a_payload_keeps_its_digits_and_says_whether_it_is_utc() -> None:
    assert write_timestamps(pa.array([1_500], pa.timestamp("ms", "UTC"))).to_pylist() == ["1970-01-01T00:00:01.500Z"]
    assert write_timestamps(pa.array([1_500], pa.timestamp("ms"))).to_pylist() == ["1970-01-01T00:00:01.500"]
