"""What a step reports survives the way to the driver, and is read there by its type."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from ofs_spark.features.by_event import EventsNote, LabelsNote
from ofs_spark.foundation.columnar.dataflow import DRIVER
from ofs_spark.foundation.columnar.notes import EventPlace, Fault, Note, encode_note, read_notes
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.labels.coverage import TypeCounts
from ofs_spark.publish.digest import LeafDigest
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.verify import FileCheck
from ofs_spark.replay.dedupe import EventAccount, FirstEvent
from ofs_spark.replay.parts import Part, ScannedFile
from ofs_spark.replay.scan_job import SummaryNote

LEAF = LeafDigest("b0", 2, ("aa", "bb"))
RECORDS: list[Note] = [
    SummaryNote(
        {"partition_ordinal": 0, "faults": []}, ScannedFile("s/0.arrow", "aa", 3, 99, 8, (Part(2, 3, 99, "bb"),), True)
    ),
    SummaryNote({"partition_ordinal": 1, "faults": []}, None),
    EventsNote(EventAccount({"rows": 2}, {"invalid": [{"seq": 1, "offset": "ä"}]}), 1, (FirstEvent(0, 5, 9),)),
    LabelsNote({"fraud": TypeCounts(3, 1, 1, 1)}),
    FileEntry("t/part.parquet", 2, 10, "aa", 1, 2, {"a": 0}, (LEAF,)),
    FileCheck(2, 0, {"fraud": TypeCounts(2, 1)}, {"f": 1}, {"a": 0}, (LEAF,)),
    Fault("LABEL_SCOPE_INVALID", "clash", {"label_assertion_ids": ["a"]}),
    Fault("FEATURE_VALUE_INVALID", "must be int", subject="g.v", count=2, first=EventPlace(0, 4, "17", "e4")),
]


def sent(*records: Note) -> list[dict[str, object]]:
    return [json.loads(bytes(encode_note(record).body)) for record in records]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_the_same_at_both_ends(record: Note) -> None:
    assert encode_note(record).target == DRIVER
    assert read_notes(sent(record), type(record)) == [record]


def test_only_the_notes_of_the_type_are_read_in_the_order_they_came() -> None:
    notes = sent(*RECORDS)
    assert read_notes(notes, SummaryNote) == RECORDS[:2]
    assert read_notes(notes, Fault) == RECORDS[-2:]
    assert read_notes([], Fault) == []


def test_every_kind_has_one_type() -> None:
    kinds = {type(record): record.kind for record in RECORDS}
    assert sorted(kinds.values()) == ["checked", "events", "fault", "file", "labels", "summary"]


def test_a_plain_record_needs_no_more_than_its_fields() -> None:
    @dataclass(frozen=True)
    class Seen(Note):
        kind = "seen"
        rows: int

    assert sent(Seen(3)) == [{"note": "seen", "rows": 3}]
    assert read_notes([{"note": "seen", "rows": 3}, {"note": "other"}], Seen) == [Seen(3)]


def test_a_caught_refusal_is_raised_again_with_its_code_and_details() -> None:
    caught = refuse("LABEL_STORE_UNAVAILABLE", "labels.parquet is missing", ref="labels.parquet")
    (fault,) = read_notes(sent(Fault.from_refusal(caught)), Fault)
    again = fault.make_refusal()
    assert isinstance(again, Refusal)
    assert (again.code, again.message, again.details) == (caught.code, caught.message, caught.details)
