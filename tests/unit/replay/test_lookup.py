"""Looking records up by text: whatever spelling JSON allows, inside the ranges alone, every copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.positions import Range
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.replay.index import read_index
from ofs_spark.replay.lookup import FoundRecord, find_records
from tests.worlds.model import RUN, TOPIC, Row, World, envelope, intent, profile, row, segment, slice_
from tests.worlds.sabotage import flip_byte
from tests.worlds.writer import Layout, Written, write_world

TS = "2026-02-10T10:00:00Z"


def spelled(offset: int, text: str) -> Row:
    """A record whose card is written as it stands."""
    return Row(offset, f"e{offset}", TS, envelope(f"e{offset}", "card_payment", TS, f'{{"card":{text}}}'))


SPELLINGS = (
    '"A"',
    '"\\u0041"',
    '"x"',
    "1",
    '"1"',
    "1.0",
    "1e0",
    "10",
    '"wörld"',
    '"w\\u00f6rld"',
    '"a\\/b"',
    '{"in":"A"}',
)


def write(folder: Path, rows: tuple[Row, ...], layout: Layout | None = None) -> Written:
    basis = slice_(min(r.offset for r in rows), max(r.offset for r in rows))
    return write_world(World((segment(*rows),), intent(basis), profile()), folder, layout or Layout())


def look(written: Written, *texts: str, first: int = 0, end: int = 100) -> list[FoundRecord]:
    objects = LocalObjects(str(written.root))
    segments = read_index(objects, RUN).segments
    return find_records(objects, segments, [Range(TOPIC, 0, "kafka_offset", first, end)], texts)


@pytest.mark.parametrize(
    ("text", "offsets"),
    [
        ("A", [0, 1, 11]),
        ("wörld", [8, 9]),
        ("a/b", [10]),
        ("1.0", [5, 6]),
        ("e7", [7]),
    ],
)
def test_a_text_is_found_however_it_is_spelled(text: str, offsets: list[int], tmp_path: Path) -> None:
    written = write(tmp_path, tuple(spelled(n, text) for n, text in enumerate(SPELLINGS)), Layout(rows_per_segment=5))
    assert [one.order for one in look(written, text)] == offsets


def test_whole_numbers_are_found_by_their_digits(tmp_path: Path) -> None:
    written = write(tmp_path, tuple(spelled(n, text) for n, text in enumerate(SPELLINGS)))
    assert {3, 4} <= {one.order for one in look(written, "1")}


def test_by_id_no_envelope_is_searched(tmp_path: Path) -> None:
    written = write(tmp_path, (spelled(0, '"e2"'), spelled(1, '"x"'), spelled(2, '"y"')))
    objects = LocalObjects(str(written.root))
    segments, ranges = read_index(objects, RUN).segments, [Range(TOPIC, 0, "kafka_offset", 0, 3)]
    assert [one.order for one in find_records(objects, segments, ranges, ["e2"])] == [0, 2]
    assert [one.order for one in find_records(objects, segments, ranges, ["e2"], by_id=True)] == [2]


def test_only_the_ranges_and_every_copy_in_order(tmp_path: Path) -> None:
    rows = tuple(row(n, f"e{n}", TS, {"card": "A"}) for n in (3, 1, 2, 2, 0))
    written = write(tmp_path, rows)
    found = look(written, "A", first=1, end=3)
    assert [(one.offset, one.order, one.event_id) for one in found] == [("1", 1, "e1"), ("2", 2, "e2"), ("2", 2, "e2")]
    assert look(written, "B") == []


@pytest.mark.parametrize("times", ["text", "timestamp"])
def test_what_a_record_says(times: str, tmp_path: Path) -> None:
    made = row(7, "e7", TS, {"card": "A"}, published_at_utc="2026-02-10T10:00:05Z")
    (found,) = look(write(tmp_path, (made,), Layout(times=times)), "A")
    assert (found.topic, found.partition, found.offset_kind, found.order) == (TOPIC, 0, "kafka_offset", 7)
    assert (found.event_id, found.event_type, found.platform_run_id) == ("e7", "card_payment", RUN)
    assert found.ts_text == (TS if times == "text" else "2026-02-10T10:00:00.000000Z")
    assert (found.ts_us or 0) + 5_000_000 == found.published_us
    assert found.payload_hash == made.hash
    assert found.envelope is not None
    assert found.envelope["payload"] == {"card": "A"}


def test_an_envelope_that_nobody_can_read_is_found_without_one(tmp_path: Path) -> None:
    broken = Row(1, "e1", TS, '{"payload":{"card":"A"}')
    no_payload = Row(2, "e2", TS, '{"card":"A"}')
    constant = Row(3, "e3", TS, '{"payload":{"card":"A","x":NaN}}', payload_hash="0" * 64)
    found = look(write(tmp_path, (broken, no_payload, constant)), "A")
    assert [(one.order, one.envelope) for one in found] == [(1, None), (2, None), (3, None)]


def test_bytes_that_are_not_the_index_are_refused(tmp_path: Path) -> None:
    written = write(tmp_path, (row(0, "e0", TS, {"card": "A"}),))
    flip_byte(written.segments[0])
    with pytest.raises(Refusal, match="ARCHIVE_SEGMENT_CORRUPT"):
        look(written, "A")


def test_a_text_that_only_two_neighbours_make_is_not_found(tmp_path: Path) -> None:
    """Envelopes are searched where they lie end to end."""
    written = write(tmp_path, tuple(spelled(n, '"A"') for n in range(3)))
    assert look(written, '}{"event_id"') == []
    assert len(look(written, "A")) == 3
