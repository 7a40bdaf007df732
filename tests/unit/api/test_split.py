"""Parts by time: half-open, with a gap that belongs to neither, and labels that were known in time."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ofs_spark.api.dataset import Dataset
from ofs_spark.api.times import read_gap, read_instant
from ofs_spark.publish.rows import Period
from tests.unit.api.make import FRAUD, make_dataset, moment, row

CUT = "2026-01-02T12:00:00Z"
TIMES = ("11:59:59.999999", "12:00:00", "12:59:59.999999", "13:00:00", "13:00:00.000001")


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset([row(f"e{place}", time, "LEGIT_CONFIRMED") for place, time in enumerate(TIMES)])


def events(part: Dataset) -> list[str]:
    return list(part.arrow().column("event_id").to_pylist())


def test_a_row_at_the_cut_is_not_trained_on_and_one_at_the_end_of_the_gap_is_tested_on(dataset: Dataset) -> None:
    train, test = split = dataset.split(train_until=CUT, gap="1h")
    assert (events(train), events(split.between), events(test)) == (["e0"], ["e1", "e2"], ["e3", "e4"])
    assert (len(train), len(split.between), len(test), len(dataset)) == (1, 2, 2, 5)
    assert (split.train, split.test) == (train, test)


def test_without_a_gap_the_parts_are_the_whole(dataset: Dataset) -> None:
    train, test = split = dataset.split(train_until=CUT)
    assert (events(train), events(test), len(split.between)) == (["e0"], ["e1", "e2", "e3", "e4"], 0)


@pytest.mark.parametrize(
    "cut",
    [
        datetime(2026, 1, 2, 12, tzinfo=UTC),
        datetime(2026, 1, 2, 14, tzinfo=timezone(timedelta(hours=2))),
        "2026-01-02T12:00:00.000000+00:00",
    ],
)
@pytest.mark.parametrize("gap", ["60m", "1h", "3600s", timedelta(hours=1)])
def test_one_instant_and_one_gap_may_be_written_in_several_ways(
    cut: str | datetime, gap: str | timedelta, dataset: Dataset
) -> None:
    train, test = dataset.split(train_until=cut, gap=gap)
    assert (events(train), events(test)) == (["e0"], ["e3", "e4"])


@pytest.mark.parametrize(
    ("cut", "gap", "says"),
    [
        ("2026-01-02 12:00", "1h", "no RFC 3339|not an RFC 3339"),
        (datetime(2026, 1, 2, 12), "1h", "zone"),  # noqa: DTZ001  # without a zone on purpose
        (CUT, "1 hour", "whole number and s, m, h or d"),
        (CUT, "1.5h", "whole number"),
        (CUT, "-1h", "whole number"),
        (CUT, timedelta(seconds=-1), "ends before it begins"),
        (CUT, 3600, "whole number"),
        ("2026-01-02T11:59:59.999999Z", "0s", r"no row lies before .*11:59:59\.999999Z: rows lie from"),
        (CUT, "3601s", r"no row lies at 2026-01-02T13:00:01\.000000Z or later"),
        ("9999-12-31T00:00:00Z", timedelta.max, "beyond the year 9999"),
    ],
)
def test_what_gives_no_two_parts_is_said(cut: Any, gap: Any, says: str, dataset: Dataset) -> None:
    with pytest.raises(ValueError, match=says):
        dataset.split(train_until=cut, gap=gap)


def test_a_dataset_without_rows_has_no_parts() -> None:
    with pytest.raises(ValueError, match="has no rows has no parts"):
        make_dataset([]).split(train_until=CUT)


def test_a_part_is_split_inside_its_own_period(dataset: Dataset) -> None:
    _, later = dataset.split(train_until=CUT)
    middle, last = later.split(train_until="2026-01-02T13:00:00Z")
    assert (events(middle), events(last)) == (["e1", "e2"], ["e3", "e4"])
    first, second = middle.split(train_until="2026-01-02T12:30:00Z")
    assert (events(first), events(second)) == (["e1"], ["e2"])
    with pytest.raises(ValueError, match=r"rows lie from 2026-01-02T12:00:00\.000000Z to 2026-01-02T12:59:59\.999999Z"):
        middle.split(train_until=CUT)
    with pytest.raises(ValueError, match="has no rows"):
        dataset.split(train_until=CUT).between.split(train_until=CUT)


def test_purging_drops_what_was_not_known_when_the_test_begins() -> None:
    rows = [
        row("known", "10:00:00", "FRAUD_CONFIRMED", "12:59:59.999999"),
        row("late", "10:00:01", "FRAUD_CONFIRMED", "13:00:00"),
        row("never", "10:00:02"),
        row("after", "14:00:00", "LEGIT_CONFIRMED", "23:00:00"),
    ]
    dataset = make_dataset(rows)
    for purge, left, dropped in ((False, [1, 1], 1), (True, [1], 2)):
        train, test = dataset.split(train_until=CUT, gap="1h", purge=purge)
        learned = train.X_y(FRAUD, positive=["FRAUD_CONFIRMED"])
        assert (learned.y.tolist(), learned.dropped) == (left, dropped)
        judged = test.X_y(FRAUD, positive=["FRAUD_CONFIRMED"])
        assert (judged.y.tolist(), judged.dropped) == ([0], 0)
    inner, _ = dataset.split(train_until=CUT, gap="1h", purge=True).train.split(train_until="2026-01-02T10:00:01Z")
    assert inner.X_y(FRAUD, positive=["FRAUD_CONFIRMED"]).dropped == 0
    with pytest.raises(ValueError, match="or later"):
        make_dataset(rows[:1]).split(train_until=CUT)


def test_a_period_keeps_its_bounds_and_passes_over_files_that_are_outside(dataset: Dataset) -> None:
    period = Period(moment("12:00:00"), moment("13:00:00"))
    assert period.narrow() == period
    assert period.narrow(moment("11:00:00"), moment("12:30:00")) == Period(moment("12:00:00"), moment("12:30:00"))
    (entry,) = dataset._loaded.stored.entries
    assert period.may_hold(entry)
    assert not Period(until=entry.ts_min).may_hold(entry)
    assert Period(until=entry.ts_min + 1).may_hold(entry)
    assert Period(since=entry.ts_max).may_hold(entry)
    assert not Period(since=entry.ts_max + 1).may_hold(entry)


def test_instants_and_gaps_are_microseconds() -> None:
    assert read_instant("1970-01-01T00:00:00.000001Z") == 1
    assert (read_gap("7d"), read_gap(timedelta(microseconds=3))) == (7 * 86_400_000_000, 3)


def test_parts_travel_to_other_processes(dataset: Dataset) -> None:
    split = pickle.loads(pickle.dumps(dataset.split(train_until=CUT, gap="1h")))
    assert (events(split.train), events(split.test), events(split.between)) == (["e0"], ["e3", "e4"], ["e1", "e2"])
