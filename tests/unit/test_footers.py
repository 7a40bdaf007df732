"""Files judged by their footers: what is told is what their reader tells, and good files are not read."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.columnar import footers
from ofs_spark.foundation.columnar.footers import find_footer_faults
from ofs_spark.foundation.columnar.stored_columns import measure_footer
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Objects, Tail
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.labels.assertions import fetch_assertions
from ofs_spark.labels.extract_file import find_file_faults
from ofs_spark.labels.model import ExtractFile
from ofs_spark.replay.scan.archive import find_segment_faults, read_segment
from ofs_spark.replay.scan.spec import SegmentFile
from tests.unit.labels.extracts import KEY, rows_table
from tests.unit.replay.test_segment import table as segment_table
from tests.worlds.model import label

DAY = "2026-02-20T00:00:00Z"


@dataclass
class Watched(MemoryObjects):
    """A store that says which refs were read whole and which only at their end, and fails where it is told to."""

    whole: list[str] = field(default_factory=list)
    tails: list[str] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)

    def _meet(self, ref: str) -> None:
        if ref in self.failing:
            raise self.failing[ref]

    def read(self, ref: str, most: int = sys.maxsize) -> bytes:
        self.whole.append(ref)
        self._meet(ref)
        return super().read(ref, most)

    def read_tail(self, ref: str, most: int) -> Tail:
        self.tails.append(ref)
        self._meet(ref)
        return super().read_tail(ref, most)


@dataclass(frozen=True)
class Room:
    """One room's files: a good table, a file's entry, what footers show, and what the reader of the rows says."""

    table: pa.Table
    optional: str
    state: Callable[[str, bytes, int], Any]
    look: Callable[[Objects, list[Any]], list[Refusal]]
    read: Callable[[Objects, Any], object]


def state_segment(ref: str, body: bytes, rows: int) -> SegmentFile:
    return SegmentFile(ref, len(body), hashlib.sha256(body).hexdigest(), 0, 0, rows)


def state_extract_file(ref: str, body: bytes, rows: int) -> ExtractFile:
    return ExtractFile(ref, len(body), hashlib.sha256(body).hexdigest(), rows)


ROOMS = {
    "segments": Room(
        segment_table().append_column("published_at_utc", pa.array([DAY])),
        "published_at_utc",
        state_segment,
        lambda objects, files: find_segment_faults(objects, files, int96_is_utc=False),
        read_segment,
    ),
    "extract": Room(
        rows_table([label(1, "e0", "FRAUD_CONFIRMED", DAY)]),
        "assertion_ref",
        state_extract_file,
        lambda objects, files: find_file_faults(objects, files, int96_is_utc=False),
        lambda objects, file: fetch_assertions(objects, file, KEY),
    ),
}


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest) -> Room:
    return ROOMS[request.param]


def encode(content: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(content, sink, **options)
    return sink.getvalue()


def retyped(content: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return content.set_column(content.schema.get_field_index(name), name, values)


def flipped(body: bytes, place: int, bit: int = 1) -> bytes:
    return body[:place] + bytes([body[place] ^ bit]) + body[place + 1 :]


def describe(refusals: list[Refusal]) -> list[tuple[Any, ...]]:
    return [(one.code, one.message, one.details) for one in refusals]


def refusal_of(read: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        read()
    return refused.value


def without_magic(body: bytes) -> bytes:
    return body[:-4] + b"PAR2"


STORED: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _body: None,
    "empty": lambda _body: b"",
    "cut off": lambda body: body[:-20],
    "longer": lambda body: body + b"x",
    "its footer flipped": lambda body: flipped(body, len(body) - measure_footer(body)),
    "its footer's length flipped": lambda body: flipped(body, len(body) - 6),
    "no magic": without_magic,
    "other columns in as many bytes": lambda body: body.replace(b"event_id", b"event_iD"),
}


@pytest.mark.parametrize("damage", STORED.values(), ids=STORED)
def test_other_bytes_are_told_as_what_they_are(damage: Callable[[bytes], bytes | None], room: Room) -> None:
    """Never as the schema that they would be."""
    body = encode(room.table)
    found = damage(body)
    objects, file = MemoryObjects({} if found is None else {"f": found}), room.state("f", body, 1)
    told = room.look(objects, [file])
    assert [one.code for one in told] in (["ARCHIVE_SEGMENT_CORRUPT"], ["LABEL_STORE_UNAVAILABLE"])
    assert "faults" not in told[0].details
    assert describe(told) == describe([refusal_of(lambda: room.read(objects, file))])


INDEXED: dict[str, Callable[[pa.Table], bytes]] = {
    "a column missing": lambda content: encode(content.drop_columns(["event_id"])),
    "a column of another type": lambda content: encode(retyped(content, "event_id", pa.array([7]))),
    "columns of other types": lambda content: encode(
        retyped(retyped(content, "event_id", pa.array([7])), "payload_hash", pa.array([b"x"]))
    ),
    "a column of bytes": lambda content: encode(retyped(content, "event_id", pa.array([b"e0"], pa.binary()))),
    "a column of lists": lambda content: encode(retyped(content, "event_id", pa.array([["e0"]]))),
    "a column twice": lambda content: encode(content.append_column("event_id", pa.array(["e0"]))),
    "another type, of unknown values": lambda content: encode(
        retyped(content, "event_id", pa.array([7])), write_statistics=False
    ),
    "another number of rows": lambda content: encode(pa.concat_tables([content, content])),
    "no rows": lambda content: encode(content.slice(0, 0)),
    "no Parquet": lambda _content: b"these bytes are no Parquet file at all",
    "a footer longer than the file": lambda _content: b"PAR1\xff\xff\xff\x7fPAR1",
    "less than a tail": lambda _content: b"PAR1",
}


@pytest.mark.parametrize("make", INDEXED.values(), ids=INDEXED)
def test_proven_bytes_are_told_as_their_reader_tells_them(make: Callable[[pa.Table], bytes], room: Room) -> None:
    body = make(room.table)
    objects, file = MemoryObjects({"f": body}), room.state("f", body, 1)
    assert describe(room.look(objects, [file])) == describe([refusal_of(lambda: room.read(objects, file))])


GOOD: dict[str, Callable[[Room], bytes]] = {
    "as written": lambda room: encode(room.table),
    "more columns": lambda room: encode(room.table.append_column("more", pa.array([[1]]))),
    "an empty column of no type": lambda room: encode(retyped(room.table, room.optional, pa.nulls(1))),
    "a footer longer than the first look": lambda room: encode(
        room.table.append_column("more", pa.array(["x"])).replace_schema_metadata({"note": "n" * 100_000})
    ),
    "an absent column": lambda room: encode(room.table.drop_columns([room.optional])),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_a_good_file_is_not_read(make: Callable[[Room], bytes], room: Room) -> None:
    body = make(room)
    objects, file = Watched({"f": body}), room.state("f", body, 1)
    room.read(objects, file)
    objects.whole.clear()
    assert room.look(objects, [file]) == []
    assert (objects.whole, set(objects.tails)) == ([], {"f"})


def test_a_doubt_that_the_bytes_do_not_bear_out_is_not_told(room: Room) -> None:
    """Whether a column of another type is empty is known when it is read."""
    body = encode(retyped(room.table, room.optional, pa.nulls(1, pa.float64())))
    objects, file = Watched({"f": body}), room.state("f", body, 1)
    assert room.look(objects, [file]) == []
    assert objects.whole == ["f"]


def test_no_flipped_bit_of_a_footer_is_told_as_a_schema_or_ends_the_process(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bit of each byte. Nor does one that was indexed so make the look and the reader disagree."""
    body = encode(retyped(room.table, "event_id", pa.array([7])))
    places = range(len(body) - measure_footer(body), len(body))
    bodies = {str(place): flipped(body, place, 1 << place % 8) for place in places}
    objects = MemoryObjects(bodies)
    monkeypatch.setattr(footers, "MOST_LISTED", len(bodies))
    told = room.look(objects, [room.state(ref, body, 1) for ref in bodies])
    assert {one.code for one in told} <= {"ARCHIVE_SEGMENT_CORRUPT", "LABEL_STORE_UNAVAILABLE"}
    assert len(told) > len(bodies) // 2
    assert all("faults" not in one.details for one in told)
    stated = {ref: room.state(ref, bodies[ref], 1) for ref in list(bodies)[::97]}
    found = {one.message for one in room.look(objects, list(stated.values()))}
    assert found <= {refusal_of(partial(room.read, objects, file)).message for file in stated.values()}


def test_a_store_that_does_not_answer_says_nothing_of_its_files(room: Room) -> None:
    objects = Watched({"f": b"spoiled"}, failing={"f": TimeoutError("no answer")})
    assert room.look(objects, [room.state("f", encode(room.table), 1)]) == []


def test_what_the_store_refuses_is_told_as_it_says(room: Room) -> None:
    denied = refuse("REF_ACCESS_DENIED", "f: no", ref="f")
    assert room.look(Watched(failing={"f": denied}), [room.state("f", b"", 1)]) == [denied]
    (outside,) = room.look(MemoryObjects(), [room.state("../f", b"", 1)])
    assert outside.code == "REF_SCOPE_INVALID"


def test_every_bad_file_is_told_and_only_so_many_are_listed(room: Room) -> None:
    good, bad = encode(room.table), encode(retyped(room.table, "event_id", pa.array([7])))
    bodies = {f"{number:02}": bad if number % 2 else good for number in range(140)}
    told = room.look(MemoryObjects(bodies), [room.state(ref, body, 1) for ref, body in bodies.items()])
    assert [one.details["faults"][0]["file"] for one in told] == [ref for ref in bodies if int(ref) % 2][:50]
    assert [one.details.get("fault_count") for one in told] == [None] * 49 + [21]


def test_a_footer_beyond_the_bound_is_left_to_the_reader(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    body = encode(retyped(room.table, "event_id", pa.array([7])))
    objects, file = Watched({"f": body}), room.state("f", body, 1)
    monkeypatch.setattr(footers, "_FIRST_BYTES", 100)
    for most, found in ((measure_footer(body), 1), (measure_footer(body) - 1, 0)):
        monkeypatch.setattr(footers, "MOST_FOOTER_BYTES", most)
        assert len(room.look(objects, [file])) == found
    assert objects.tails == ["f"] * 3


def test_proofs_together_read_no_more_than_their_bound(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    body = encode(retyped(room.table, "event_id", pa.array([7])))
    objects = Watched(dict.fromkeys("abc", body))
    files = [room.state(ref, body, 1) for ref in "abcd"]
    monkeypatch.setattr(footers, "MOST_PROVEN_BYTES", 2 * len(body) + 1)
    assert len(room.look(objects, files)) == 3
    assert objects.whole == ["a", "b", "d"]  # the last one is missing, which costs nothing


def test_so_many_footers_are_looked_at_spread_over_all_files(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    body = encode(room.table)
    objects = Watched({str(number): body for number in range(10)})
    monkeypatch.setattr(footers, "MOST_FOOTERS", 4)
    assert room.look(objects, [room.state(ref, body, 1) for ref in objects.bodies]) == []
    assert sorted(objects.tails) == ["0", "2", "5", "7"]


def test_a_defect_of_a_rule_is_not_swallowed(room: Room) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    body = encode(room.table)
    rule = footers.FooterRule(lambda _file: ("f", len(body)), fail, fail)
    with pytest.raises(ZeroDivisionError):
        find_footer_faults(MemoryObjects({"f": body}), ["f"], rule)


def test_int96_times_are_judged_by_policy() -> None:
    content = retyped(ROOMS["segments"].table, "ts_utc", pa.array([0], pa.timestamp("us")))
    body = encode(content, use_deprecated_int96_timestamps=True)
    objects, file = MemoryObjects({"f": body}), state_segment("f", body, 1)
    assert find_segment_faults(objects, [file], int96_is_utc=True) == []
    assert "ts_utc is INT96" in find_segment_faults(objects, [file], int96_is_utc=False)[0].message
    assert find_segment_faults(objects, [replace(file, record_count=2)], int96_is_utc=True)[0].code == (
        "REPLAY_UNCHECKABLE"
    )
