"""What a segment's columns may be: judged by Parquet's own schema, whatever the writer's library noted beside it."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.policy import load_policy
from ofs_spark.replay import rows as r
from ofs_spark.replay.scan.archive import read_segment
from tests.unit.replay.test_segment import Single, fault, parquet, scan_bytes, segment_file, table
from tests.worlds.running import policy_with

TEXTS = ("platform_run_id", "scenario_run_id", "event_id", "event_type", "payload_hash", "envelope")
TIMES = ("ts_utc", "archived_at_utc")


def retyped(name: str, values: pa.Array) -> pa.Table:
    content = table()
    return content.set_column(content.schema.get_field_index(name), name, values)


def told(content: pa.Table) -> dict[str, Any]:
    (one,) = scan_bytes(parquet(content))[0]["faults"]
    assert one["code"] == "ARCHIVE_SCHEMA_UNSUPPORTED"
    return dict(one["details"]["faults"][0])


def as_extension(body: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.json_(pa.string()), body.cast(pa.string()))


WRITTEN = {
    "plain": lambda body: body,
    "large": lambda body: body.cast(pa.large_string()),
    "a view": lambda body: body.cast(pa.string_view()),
    "dictionary-coded": lambda body: body.cast(pa.string()).dictionary_encode(),
    "coded large": lambda body: pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), body.cast(pa.large_string())),
    "annotated as JSON": as_extension,
}


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "not noted"])
@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("name", [*TEXTS, *TIMES, "seed", "scenario_id"])
def test_text_is_text_however_it_was_written(name: str, written: Any, noted: bool) -> None:
    sink, content = io.BytesIO(), retyped(name, written(table().column(name).combine_chunks()))
    pq.write_table(content, sink, store_schema=noted)
    assert read(sink.getvalue()).equals(read(parquet(table())))


def read(body: bytes, int96_is_utc: bool = False) -> pa.Table:
    return read_segment(Single(body), segment_file(body), int96_is_utc)  # type: ignore[arg-type]  # only read() is used


def as_enum(body: bytes, name: bytes) -> bytes:
    """The file with one text column annotated as ENUM: Arrow's writer has no such type, so its footer is edited."""
    before, after = name + b"\x25\x00\x4c\x1c\x00\x00", name + b"\x25\x08\x4c\x4c\x00\x00"
    assert body.count(before) == 1
    return body.replace(before, after)


@pytest.mark.parametrize("name", [b"event_type", b"ts_utc", b"topic", b"offset_kind"])
def test_an_enum_is_text(name: bytes) -> None:
    body = parquet(table())
    enum = as_enum(body, name)
    leaves = pq.ParquetFile(pa.BufferReader(enum)).schema
    assert [leaves.column(i).logical_type.type for i in range(len(leaves))].count("ENUM") == 1
    assert read(enum).equals(read(body))


@pytest.mark.parametrize("note", ["", "garbage", "////"])
def test_the_writer_s_own_note_is_not_looked_at(note: str) -> None:
    sink = io.BytesIO()
    pq.write_table(table().replace_schema_metadata({"ARROW:schema": note}), sink, store_schema=False)
    assert read(sink.getvalue()).equals(read(parquet(table())))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "+05:30", "America/New_York"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("name", TIMES)
def test_instants_of_every_unit_and_shown_zone_are_the_same(name: str, unit: str, zone: str) -> None:
    moment = datetime(2026, 2, 10, 10, tzinfo=UTC)
    body = parquet(retyped(name, pa.array([moment], pa.timestamp(unit, zone))))
    summary, rows = scan_bytes(body)
    plain, expected = scan_bytes(parquet(table()))
    assert (summary["faults"], summary["counts"]) == ([], plain["counts"])
    assert rows.equals(expected)


@pytest.mark.parametrize("value", [1, 1_770_717_600_000_000_001, -1, 2**63 - 1, -(2**63)])
def test_nanoseconds_that_are_no_whole_microsecond_are_that_record_s_fault(value: int) -> None:
    summary, _ = scan_bytes(parquet(retyped("ts_utc", pa.array([value], pa.timestamp("ns", "UTC")))))
    assert (summary["faults"], summary["counts"]["invalid"]) == ([], 1)
    assert "ts_utc" in summary["samples"]["invalid"][0]["reason"]


@pytest.mark.parametrize("unit", ["ms", "us"])
@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**62])
def test_instants_beyond_the_calendar_are_that_record_s_fault(value: int, unit: str) -> None:
    summary, _ = scan_bytes(parquet(retyped("ts_utc", pa.array([value], pa.timestamp(unit, "UTC")))))
    assert (summary["faults"], summary["counts"]["invalid"]) == ([], 1)


def int96(micros: list[int | None], unit: str = "us") -> bytes:
    sink, content = io.BytesIO(), retyped("ts_utc", pa.array(micros, pa.timestamp(unit)))
    pq.write_table(content, sink, use_deprecated_int96_timestamps=True)
    return sink.getvalue()


@pytest.mark.parametrize("micros", [0, 1_770_717_600_000_001, -62_135_596_800_000_000, 253_402_300_799_999_999])
def test_int96_is_an_instant_only_where_policy_says_so(micros: int) -> None:
    code, message = fault(scan_bytes(int96([micros]))[0])
    assert code == "ARCHIVE_SCHEMA_UNSUPPORTED"
    assert "ts_utc is INT96" in message
    summary, rows = scan_bytes(int96([micros]), int96_is_utc=True)
    assert (summary["faults"], rows.column(r.TS).to_pylist()) == ([], [micros])


def test_int96_that_is_null_or_no_whole_microsecond_is_that_record_s_fault() -> None:
    for body in (int96([None]), int96([1_770_717_600_000_000_001], "ns")):
        summary, _ = scan_bytes(body, int96_is_utc=True)
        assert (summary["faults"], summary["counts"]["invalid"]) == ([], 1)


def test_policy_says_whether_int96_counts_and_is_silent_by_default(tmp_path: Any) -> None:
    assert load_policy(None).archive_int96 == "refuse"
    said = load_policy(policy_with(tmp_path, {"replay": {"archive_int96": "utc"}}))
    assert said.archive_int96 == "utc"
    assert said.run_config_digest != load_policy(None).run_config_digest


ORIGIN = pa.array([{"topic": "t", "partition": 0, "offset": 0, "offset_kind": "kafka_offset"}])
OTHERS = {
    "missing": (table().drop_columns(["payload_hash"]), "payload_hash", "missing"),
    "twice": (table().append_column("event_id", pa.array(["e0"])), "event_id", "there 2 times"),
    "local time": (
        retyped("ts_utc", pa.array([0], pa.timestamp("us"))),
        "ts_utc",
        "INT64 (TIMESTAMP, not adjusted to UTC)",
    ),
    "bare integers": (retyped("ts_utc", pa.array([0])), "ts_utc", "INT64"),
    "a date": (retyped("archived_at_utc", pa.array([0], pa.date32())), "archived_at_utc", "INT32 (DATE)"),
    "a number": (retyped("event_id", pa.array([1])), "event_id", "INT64"),
    "bytes": (retyped("envelope", pa.array([b"{}"])), "envelope", "BYTE_ARRAY"),
    "fixed bytes": (retyped("payload_hash", pa.array([b"ab"], pa.binary(2))), "payload_hash", "FIXED_LEN_BYTE_ARRAY"),
    "a list": (retyped("event_type", pa.array([["x"]])), "event_type", "list<element: large_string>"),
    "a float seed": (retyped("seed", pa.array([1.0])), "seed", "DOUBLE"),
    "origin as text": (retyped("origin_offset", pa.array(["0"])), "origin_offset", "BYTE_ARRAY (STRING)"),
    "an offset as number": (retyped("origin_offset", ORIGIN), "origin_offset.offset", "INT64"),
    "no topic": (retyped("origin_offset", pa.array([{"offset": "0"}])), "origin_offset.topic", "missing"),
}


@pytest.mark.parametrize(("content", "column", "found"), OTHERS.values(), ids=OTHERS)
def test_another_schema_is_told_by_file_column_found_and_required(content: pa.Table, column: str, found: str) -> None:
    named = told(content)
    assert (named["file"], named["column"], named["found"]) == ("seg.parquet", column, found)
    assert named["required"]


@pytest.mark.parametrize(
    "type_", [pa.int32(), pa.null(), pa.float64(), pa.binary(), pa.list_(pa.string()), pa.timestamp("us")]
)
@pytest.mark.parametrize("name", ["scenario_run_id", "scenario_id", "published_at_utc"])
def test_a_column_without_a_single_value_may_have_any_type(name: str, type_: pa.DataType) -> None:
    rest = table().drop_columns([name] if name in table().column_names else [])
    typed, plain = (rest.append_column(name, pa.nulls(1, of)) for of in (type_, pa.string()))
    assert read(parquet(typed)).equals(read(parquet(plain)))
    assert scan_bytes(parquet(typed))[0]["faults"] == []


def test_a_required_column_without_a_single_value_is_every_record_s_fault() -> None:
    for type_ in (pa.string(), pa.int64(), pa.null()):
        summary, _ = scan_bytes(parquet(retyped("event_type", pa.nulls(1, type_))))
        assert (summary["faults"], summary["counts"]["invalid"]) == ([], 1)


def test_extra_columns_are_ignored_even_those_named_like_a_member() -> None:
    wider = table().append_column("origin_offset.topic", pa.array([7])).append_column("other", pa.array([[{"a": 1}]]))
    assert read(parquet(wider)).equals(read(parquet(table())))


def test_a_column_s_name_that_is_not_utf8_is_no_parquet() -> None:
    body = parquet(table().append_column("zzzz", pa.array([7]))).replace(b"zzzz", b"\xff\xfe\xff\xfe")
    assert fault(scan_bytes(body)[0])[0] == "ARCHIVE_SEGMENT_CORRUPT"


DECODED = ("platform_run_id", "scenario_run_id", "event_id", "event_type", "payload_hash", "envelope", *TIMES)


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("name", DECODED)
def test_undecodable_bytes_are_that_record_s_fault_wherever_they_stand(name: str, copies: int) -> None:
    body = parquet(pa.concat_tables([retyped(name, pa.array([b"\xff\x00"]).view(pa.string()))] * copies))
    for scenarios in ((), ("x",)):
        summary, rows = scan_bytes(body, record_count=copies, scenario_run_ids=scenarios)
        assert (summary["faults"], summary["counts"]["invalid"]) == ([], 1), scenarios
        assert not rows.num_rows or set(rows.column(r.FLAGS).to_pylist()) == {r.UNREADABLE}


@pytest.mark.parametrize("name", ["topic", "offset", "offset_kind"])
def test_undecodable_bytes_in_a_position_make_the_file_uncheckable(name: str) -> None:
    origin = table().column("origin_offset").combine_chunks()
    fields = dict(zip((field.name for field in origin.type), origin.flatten(), strict=True))
    fields[name] = pa.array([b"\xff"]).view(pa.string())
    spoiled = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    code, message = fault(scan_bytes(parquet(retyped("origin_offset", spoiled)))[0])
    assert code == "REPLAY_UNCHECKABLE"
    assert "xff" in message
