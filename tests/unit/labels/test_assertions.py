"""Every row of an extract is a label assertion of the contract, or the file is refused by field."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.labels import model as m
from ofs_spark.labels.assertions import fetch_assertions, find_conflicts, read_assertions, select_relevant
from ofs_spark.labels.extract_file import TEXTS, TIMES
from tests.unit.labels.extracts import KEY, entry, one, parquet, read, read_rows, rows_table
from tests.worlds.model import RUN, label

YEAR_10000 = 253_402_300_800_000_000
DAY = "2026-02-20T00:00:00Z"


def test_a_good_row_is_read_with_its_times_in_microseconds() -> None:
    (row,) = read_rows(one(effective_time="2026-02-20T00:00:00.000001Z", source_type="HUMAN", actor_id="a")).to_pylist()
    assert row[m.EFFECTIVE] - row[m.OBSERVED] == 1
    assert (row[m.ASSERTION_ID].hex(), row[m.EVENT_ID], row[m.LABEL_VALUE]) == (f"{1:032x}", "e0", "FRAUD_CONFIRMED")


def test_texts_and_timestamps_dictionaries_and_large_strings_say_the_same() -> None:
    plain = rows_table([one(), one(label_assertion_id="ff" * 16)])
    typed = plain
    for name in TIMES:
        moments = pc.strptime(plain.column(name), "%Y-%m-%dT%H:%M:%SZ", "us").cast(pa.timestamp("us", "UTC"))
        typed = typed.set_column(typed.column_names.index(name), name, moments)
    large = plain.cast(
        pa.schema(
            [(name, pa.large_string()) for name in plain.column_names if name not in TIMES]
            + [(name, pa.string()) for name in TIMES]
        )
    )
    coded = plain.set_column(3, "label_type", plain.column("label_type").dictionary_encode())
    for other in (typed, large, coded):
        assert read(other).equals(read(plain))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label_assertion_id", "xyz"),
        ("label_assertion_id", "AB" * 16),
        ("label_assertion_id", None),
        ("label_assertion_id", "ab" * 16 + "\n"),
        ("platform_run_id", ""),
        ("event_id", None),
        ("label_type", "fraud"),
        ("label_type", None),
        ("label_value", "CHARGEBACK"),
        ("label_value", None),
        ("source_type", "ROBOT"),
        ("actor_id", "HUMAN without one"),
        ("payload_hash", ""),
        ("effective_time", "2026-02-20T00:00:00"),
        ("observed_time", "2026-02-20T00:00:00.0000001Z"),
        ("observed_time", None),
        ("observed_time", "2026-02-30T00:00:00Z"),
        ("committed_at_utc", "0000-01-01T00:00:00Z"),
        ("committed_at_utc", "2026-02-20T01:00:00+01:00"),
    ],
)
def test_a_bad_field_is_refused_by_file_field_and_row(field: str, value: Any) -> None:
    bad = {"source_type": "HUMAN", "actor_id": None} if value == "HUMAN without one" else {field: value}
    with pytest.raises(Refusal) as refused:
        read_rows(one(), one(**bad))
    assert refused.value.code == "LABEL_SCOPE_INVALID"
    fault = refused.value.details["faults"][0]
    assert (fault["file"], fault["field"], fault["row"]) == ("labels/0.parquet", field, 1)


def test_all_faults_of_a_file_are_listed() -> None:
    with pytest.raises(Refusal) as refused:
        read_rows(one(label_type="x", observed_time="y"), one(source_type="z"), one(source_type="z"))
    faults = {fault["field"]: fault["rows"] for fault in refused.value.details["faults"]}
    assert faults == {"label_type": 1, "source_type": 2, "observed_time": 1}


def with_times(values: list[int | None], type_: pa.DataType) -> pa.Table:
    return rows_table([one()]).set_column(10, "effective_time", pa.array(values, type_))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda t: t.drop_columns(["event_id"]), "event_id"),
        (lambda t: t.drop_columns(["label_type"]), "label_type"),
        (lambda t: t.drop_columns(["observed_time"]), "observed_time"),
        (lambda t: t.append_column("event_id", t.column("event_id")), "event_id"),
        (lambda t: t.set_column(0, "label_assertion_id", pa.array([7])), "label_assertion_id"),
        (lambda t: t.set_column(2, "event_id", pa.array([b"e"])), "event_id"),
        (lambda t: t.set_column(6, "actor_id", pa.array([["a"]])), "actor_id"),
        (lambda t: t.set_column(10, "effective_time", pa.array([0], pa.timestamp("us"))), "effective_time"),
    ],
)
def test_an_extract_of_another_schema_is_unavailable_and_says_which_column(change: Any, field: str) -> None:
    with pytest.raises(Refusal, match="LABEL_STORE_UNAVAILABLE") as refused:
        read(change(rows_table([one()])))
    fault = refused.value.details["faults"][0]
    assert (fault["file"], fault["field"]) == ("labels/0.parquet", field)
    assert fault["found"]
    assert "BYTE_ARRAY" in fault["required"]


@pytest.mark.parametrize(
    "times",
    [
        with_times([2**60], pa.timestamp("us", "UTC")),
        with_times([YEAR_10000], pa.timestamp("us", "UTC")),
        with_times([2**60], pa.timestamp("ms", "UTC")),
        with_times([1], pa.timestamp("ns", "UTC")),
        with_times([None], pa.timestamp("us", "UTC")),
        with_times([None], pa.int32()),
    ],
)
def test_a_timestamp_that_is_no_whole_microsecond_of_the_calendar_is_its_row_s_fault(times: pa.Table) -> None:
    with pytest.raises(Refusal, match="LABEL_SCOPE_INVALID") as refused:
        read(times)
    assert refused.value.details["faults"][0]["field"] == "effective_time"


def test_extra_columns_are_ignored_and_optional_ones_may_be_absent_or_empty() -> None:
    plain = rows_table([one(actor_id=None, evidence_refs_json=None, assertion_ref=None)])
    bare = plain.drop_columns(["actor_id", "evidence_refs_json", "assertion_ref"])
    empty = bare.append_column("actor_id", pa.nulls(1, pa.int64())).append_column("assertion_ref", pa.nulls(1))
    extra = plain.append_column("other", pa.array([[1, 2]])).append_column("label_type.x", pa.array([7]))
    for other in (bare, empty, extra):
        assert read(other).equals(read(plain))


@pytest.mark.parametrize("field", [*TEXTS, *TIMES])
def test_bytes_that_are_not_utf8_are_their_row_s_fault(field: str) -> None:
    table = rows_table([one(), one()])
    body = pa.array([table.column(field)[0].as_py(), b"\xff\xfe"], pa.binary()).view(pa.string())
    with pytest.raises(Refusal, match="LABEL_SCOPE_INVALID") as refused:
        read(table.set_column(table.column_names.index(field), field, body))
    fault = next(fault for fault in refused.value.details["faults"] if fault["field"] == field)
    assert (fault["row"], fault["rows"], fault["required"]) == (1, 1, "text in UTF-8")
    assert "xff" in fault["found"]


def test_bytes_or_counts_that_the_manifest_does_not_state_are_unavailable() -> None:
    body = parquet(rows_table([one()]))
    flipped = bytes([*body[:40], body[40] ^ 1, *body[41:]])
    for sent, stated in ((flipped, entry(body, 1)), (b"", entry(body, 1)), (body, entry(body, 2))):
        with pytest.raises(Refusal, match="LABEL_STORE_UNAVAILABLE"):
            read_assertions(sent, stated, KEY)
    with pytest.raises(Refusal, match="LABEL_SCOPE_INVALID"):
        read_assertions(b"no parquet", entry(b"no parquet", 1), KEY)


def test_a_stored_file_is_read_by_its_entry_and_a_missing_one_is_unavailable() -> None:
    body = parquet(rows_table([one()]))
    stated = entry(body, 1)
    assert fetch_assertions(MemoryObjects({stated.ref: body}), stated, KEY).equals(read_rows(one()))
    with pytest.raises(Refusal, match="LABEL_STORE_UNAVAILABLE"):
        fetch_assertions(MemoryObjects(), stated, KEY)


def test_only_this_run_and_these_types_are_relevant() -> None:
    other = label(4, "e0", "PENDING", DAY, label_type="chargeback_status")
    table = read_rows(one(), one(platform_run_id="platform_20250101T000000Z"), other)
    assert select_relevant(table, RUN, ("fraud_disposition",)).num_rows == 1


def test_one_assertion_id_may_come_twice_but_says_one_thing() -> None:
    equal = [one(observed_time=DAY), one(observed_time="2026-02-20T00:00:00.000+00:00")]
    assert find_conflicts(read_rows(*equal)) == []
    for field, value in (
        ("actor_id", "a"),
        ("label_value", "LEGIT_CONFIRMED"),
        ("committed_at_utc", "2026-02-21T00:00:00Z"),
    ):
        assert find_conflicts(read_rows(one(), one(**{field: value}))) == [f"{1:032x}"]


def test_texts_that_only_join_alike_are_different_content() -> None:
    apart = read_rows(one(actor_id="a,b", evidence_refs_json="c"), one(actor_id="a", evidence_refs_json="b,c"))
    nulls = read_rows(one(actor_id=None), one(actor_id=""))
    assert len(find_conflicts(apart)) == len(find_conflicts(nulls)) == 1


def test_conflicts_are_sorted_and_bounded() -> None:
    rows = [label(n, "e", value, DAY) for n in range(30, 0, -1) for value in ("FRAUD_CONFIRMED", "LEGIT_CONFIRMED")]
    assert find_conflicts(read_rows(*rows), bound=3) == [f"{n:032x}" for n in (1, 2, 3)]


def test_any_number_of_types_and_values_is_judged_row_by_row() -> None:
    """A table of every type and every value would take gigabytes."""
    names = [f"x{number}" for number in range(30_000)]
    rows = rows_table([one(label_assertion_id=f"{at:032x}") for at in range(len(names))])
    for name in ("label_type", "label_value"):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(names))
    tracemalloc.start()
    with pytest.raises(Refusal) as refused:
        read(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {fault["field"]: fault["rows"] for fault in refused.value.details["faults"]} == {"label_type": len(names)}
    assert peak < 100 * 1024**2
