"""Rows of each format become events by one law: ids, times, types, keys, payloads; what is none is rejected by its line."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.intake import rows as r
from ofs_spark.intake import segments as module
from tests.unit.intake.worlds import EVENTS, run_import, write_lines, write_text

AT = "2026-02-10T10:00:00Z"
HEAD = "id,at,customer,amount\n"


def import_csv(folder: Path, body: str | bytes, **stated: Any) -> Any:
    text = body if isinstance(body, bytes) else (HEAD + body).encode()
    return run_import(folder / "world", write_text(folder / "events.csv", text), **stated)


def test_envelopes_are_canonical_and_hashed_as_the_archive_hashes_them(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f'a"b,{AT},"é ""x"" 😀",1.50\n')
    (row,) = made.archived()
    envelope = json.loads(row["envelope"])
    assert row["envelope"] == json.dumps(envelope, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert row["payload_hash"] == hashlib.sha256(row["envelope"].encode()).hexdigest()
    assert envelope["payload"] == {"id": 'a"b', "at": AT, "customer": 'é "x" 😀', "amount": "1.50"}
    assert (envelope["event_id"], envelope["event_type"], envelope["ts_utc"]) == (
        'a"b',
        "payment",
        "2026-02-10T10:00:00.000000Z",
    )
    assert {name: envelope[name] for name in ("platform_run_id", "scenario_run_id")} == {
        name: row[name] for name in ("platform_run_id", "scenario_run_id")
    }


def test_the_run_is_named_by_the_greatest_event_time(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f"a,{AT},c,1\nb,2026-03-01T23:59:59.999999Z,c,1\nc,{AT},c,1\n")
    assert made.answer["platform_run_id"] == "platform_20260301T235959Z"
    assert made.intent["label_basis"]["label_asof_utc"] == "2026-03-01T23:59:59.999999Z"
    assert made.intent["join_scope"]["label_types"] == []


def test_a_quoted_line_break_counts_as_the_file_counts_it(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f'a,{AT},"two\nlines",1\n\nb,never,c,1\nc,{AT},"x\r\ny",1\nd,,c,1\n')
    assert [one["customer"] for one in made.payloads()] == ["two\nlines", "x\r\ny"]
    assert made.rejected == [(5, "at", r.NO_TIME), (8, "at", r.MISSING)]


def test_crlf_and_a_byte_order_mark_are_no_part_of_any_value(tmp_path: Path) -> None:
    body = b"\xef\xbb\xbf" + (HEAD + f"a,{AT},c,1\n").replace("\n", "\r\n").encode()
    made = import_csv(tmp_path, body)
    assert made.payloads() == [{"id": "a", "at": AT, "customer": "c", "amount": "1"}]


def test_empty_values_are_missing_quoted_or_not(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f'a,{AT},,""\n,{AT},c,1\n"",{AT},c,1\n')
    assert made.payloads() == [{"id": "a", "at": AT, "customer": None, "amount": None}]
    assert made.rejected == [(3, "id", r.MISSING), (4, "id", r.MISSING)]


def test_rows_of_another_width_and_broken_quotes_are_rejected_and_reading_goes_on(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f'a,{AT},c\nb,{AT},c,1,2\nc,{AT},"c"x,1\nd,{AT},c,1\ne,{AT},"never closed,1\n')
    assert made.rejected == [(2, None, r.TOO_FEW), (3, None, r.TOO_MANY), (4, None, r.NO_CSV), (6, None, r.NO_CSV)]
    assert [row["event_id"] for row in made.archived()] == ["d"]


def test_undecodable_bytes_reject_their_row_by_column(tmp_path: Path) -> None:
    rows = [b"a\xff", b"b"]
    body = (
        HEAD.encode()
        + b"".join(one + f",{AT},caf\xe9,1\n".encode("latin-1") for one in rows)
        + f"c,{AT},x,1\n".encode()
    )
    made = import_csv(tmp_path, body)
    assert made.rejected == [(2, "id", r.NOT_UTF8), (3, "customer", r.NOT_UTF8)]


def test_a_line_that_is_too_long_is_never_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(r, "MOST_LINE", 100)
    made = import_csv(tmp_path, f"a,{AT},{'x' * 250},1\nb,{AT},c,1\n")
    assert made.rejected == [(2, None, r.TOO_LONG)]
    lines = write_text(
        tmp_path / "e.jsonl",
        json.dumps({"id": "a", "at": AT, "x": "y" * 250}) + "\n" + json.dumps({"id": "b", "at": AT}),
    )
    assert run_import(tmp_path / "two", lines).rejected == [(1, None, r.TOO_LONG)]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_blocks_of_any_size_give_the_same_rows(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "".join(f"{number},{'x' if number % 3 == 0 else AT},c{number % 2},{number}.5\n" for number in range(8))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole = import_csv(tmp_path / "a", body)
    monkeypatch.setattr(r, "MOST_ROWS", size)
    cut = import_csv(tmp_path / "b", body)
    assert cut.archived() == whole.archived()
    assert cut.rejected == whole.rejected
    assert cut.profile == whole.profile


def test_json_lines_keep_their_objects(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": 7,
            "at": AT,
            "n": 12.5,
            "big": 10**30,
            "who": {"card.id": "x", "deep": [1, None, True]},
            "half": "\ud800",
        },
        {"id": "8", "at": AT},
    ]
    made = run_import(tmp_path / "world", write_lines(tmp_path / "e.jsonl", rows))
    assert [row["event_id"] for row in made.archived()] == ["7", "8"]
    assert made.payloads() == rows


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (b"{", None, r.NO_JSON),
        (b'{"id":"a"} {}', None, r.NO_JSON),
        (b"\xc2\xa0{}", None, r.NO_JSON),
        (b"[1]", None, r.NO_OBJECT),
        (b'"x"', None, r.NO_OBJECT),
        (b'{"id":"a","at":"\xff"}', None, r.NOT_UTF8),
        (b'{"id":"a","id":"b"}', None, r.DOUBLED),
        (b'{"id":"a","x":{"y":1,"y":2}}', None, r.DOUBLED),
        (b'{"id":"a","x":"\\u003a","x":":"}', None, r.DOUBLED),
        (b'{"id":"a","y":"\\u003A","x" :1,"x":2}', None, r.DOUBLED),
        (b'{"id":"a","x":NaN}', None, r.NOT_FINITE),
        (b'{"id":"a","x":-Infinity}', None, r.NOT_FINITE),
        (b'{"id":"a","x":1e999}', None, r.INEXACT),
        (b'{"id":"a","x":0.12345678901234567890123}', None, r.INEXACT),
        (b'{"id":"a","x":1e9999999999999999999999}', None, r.INEXACT),
        (b'{"id":"a","x":' + b"[" * 63 + b"]" * 63 + b"}", None, r.TOO_DEEP),
        (b'{"id":"a","x":' + b"[" * 900 + b"]" * 900 + b"}", None, r.TOO_DEEP),
        (b'{"id":"a","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, r.TOO_DEEP),
        (b'{"id":"a","x":' + b"9" * 5_000 + b"}", None, r.NO_JSON),
        (b'{"id":1.5,"at":"2026-02-10T10:00:00Z"}', "id", r.NO_NAME),
        (b'{"id":true,"at":"2026-02-10T10:00:00Z"}', "id", r.NO_NAME),
        (b'{"id":"","at":"2026-02-10T10:00:00Z"}', "id", r.MISSING),
        (b'{"at":"2026-02-10T10:00:00Z"}', "id", r.MISSING),
        (b'{"id":"\\ud800","at":"2026-02-10T10:00:00Z"}', "id", r.HALF_PAIR),
        (b'{"id":"a","at":1770000000}', "at", r.NO_TIME),
        (b'{"id":"a","at":"2026-02-10T10:00:00Z","who":{"a":1}}', "who", r.NO_SCALAR),
        (b'{"id":"a","at":"2026-02-10T10:00:00Z","who":"\\udc00"}', "who", r.HALF_PAIR),
    ],
)
def test_a_line_that_is_no_event_is_rejected(line: bytes, column: str | None, reason: str, tmp_path: Path) -> None:
    good = json.dumps({"id": "good", "at": AT, "who": "x"}).encode()
    made = run_import(
        tmp_path / "world", write_text(tmp_path / "e.jsonl", b"\n" + good + b"\n" + line + b"\n"), key=["who"]
    )
    assert made.rejected == [(3, column, reason)]
    assert made.answer["reasons"] == [
        {"file": str(tmp_path / "e.jsonl"), "column": column, "reason": reason, "rows": 1, "first_line": 3}
    ]


def test_exponents_that_a_float_has_exactly_are_taken(tmp_path: Path) -> None:
    path = write_text(tmp_path / "e.jsonl", f'{{"id":"a","at":"{AT}","x":1E3,"y":-0.0,"z":2.50}}')
    assert '"x":1000.0,"y":-0.0,"z":2.5' in run_import(tmp_path / "world", path).archived()[0]["envelope"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.booleans())
def test_an_object_is_taken_as_it_is_and_written_as_the_archive_writes_it(
    row: dict[str, Any], ascii_only: bool
) -> None:
    found = r.parse_object(json.dumps(row, ensure_ascii=ascii_only, separators=(" ,", " : ")))
    assert found == row
    assert r.write_object(found) == json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", "%s", "é"]), JSON, min_size=1, max_size=3), max_size=4))
def test_rows_that_share_their_names_are_written_as_each_alone(rows: list[dict[str, Any]]) -> None:
    expected = [json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True) for row in rows]
    assert r.write_objects(rows) == expected
    shared = [dict(reversed(row.items())) if at % 2 else row for at, row in enumerate(rows[:1] * 3)]
    assert r.write_objects(shared) == expected[:1] * len(shared)


def test_a_member_that_stands_twice_costs_its_own_row_alone(tmp_path: Path) -> None:
    """In a block with others, at its end, and where the text hides it."""
    rows = [f'{{"id":"e{n}","at":"{AT}","x":{{"a":1}}}}' for n in range(r.MOST_ROWS + 3)]
    twice = {
        0: '{"id":"d","id":"d"}',
        7: '{"id":"d","x":{"a":":","a":1}}',
        r.MOST_ROWS - 1: '{"id":"d","x":[{"a":1,"a":1}]}',
        r.MOST_ROWS + 2: f'{{"id":"d","at":"{AT}","x":"\\u003a","x":1}}',
    }
    for at, text in twice.items():
        rows[at] = text
    made = run_import(tmp_path / "world", write_text(tmp_path / "e.jsonl", "\n".join(rows)))
    assert made.rejected == [(at + 1, None, r.DOUBLED) for at in twice]
    assert made.answer["events"] == len(rows) - len(twice)


def test_sixty_three_levels_are_taken(tmp_path: Path) -> None:
    path = write_text(tmp_path / "e.jsonl", f'{{"id":"a","at":"{AT}","x":{"[" * 62}{"]" * 62}}}')
    assert run_import(tmp_path / "world", path).answer["events"] == 1


def make_table(**columns: Any) -> pa.Table:
    n = len(next(iter(columns.values())))
    return pa.table(
        {"id": [f"e{row}" for row in range(n)], "at": pa.array([0] * n, pa.timestamp("ms", "UTC")), **columns}
    )


def import_table(folder: Path, table: pa.Table, **stated: Any) -> Any:
    pq.write_table(table, folder / "events.parquet")
    return run_import(folder / "world", folder / "events.parquet", **stated)


def test_parquet_columns_are_the_json_values_that_are_exactly_theirs(tmp_path: Path) -> None:
    day = dt.date(2026, 2, 10)
    made = import_table(
        tmp_path,
        make_table(
            whole=pa.array([2**63], pa.uint64()),
            real=[0.1],
            small=pa.array([0.1], pa.float32()),
            exact=pa.array([Decimal("12345678901234567.80")], pa.decimal128(20, 2)),
            tiny=pa.array([Decimal("0.000000001")], pa.decimal128(10, 9)),
            coded=pa.array(["x"]).dictionary_encode(),
            flag=[True],
            day=pa.array([day]),
            clock=pa.array([3_600_000_001], pa.time64("us")),
            stamp=pa.array([1], pa.timestamp("ns", "UTC")),
            naive=pa.array([1_500], pa.timestamp("ms")),
            nothing=pa.nulls(1),
            who=pa.array([{"a": [Decimal("1.50")], "b": None, "when": day}]),
            pairs=pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        ),
    )
    (payload,) = made.payloads()
    assert payload == {
        "id": "e0",
        "at": "1970-01-01T00:00:00.000Z",
        "whole": 2**63,
        "real": 0.1,
        "small": 0.10000000149011612,
        "exact": "12345678901234567.80",
        "tiny": "0.000000001",
        "coded": "x",
        "flag": True,
        "day": "2026-02-10",
        "clock": "01:00:00.000001",
        "stamp": "1970-01-01T00:00:00.000000001Z",
        "naive": "1970-01-01T00:00:01.500",
        "nothing": None,
        "who": {"a": ["1.50"], "b": None, "when": "2026-02-10"},
        "pairs": [["k", 1]],
    }


def test_parquet_rows_that_json_cannot_hold_are_rejected_by_number(tmp_path: Path) -> None:
    nan, infinite = float("nan"), float("inf")
    table = make_table(x=[1.0, nan, 2.0, infinite, None], who=[{"y": one} for one in (1.0, 2.0, nan, 3.0, 4.0)])
    made = import_table(tmp_path, table)
    assert made.rejected == [(2, "x", r.NOT_FINITE), (3, "who", r.NOT_FINITE), (4, "x", r.NOT_FINITE)]
    assert [row["event_id"] for row in made.archived()] == ["e0", "e4"]


def test_parquet_text_that_is_not_utf8_is_rejected(tmp_path: Path) -> None:
    texts = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ab", b"\xff"]).buffers())
    made = import_table(tmp_path, make_table(x=texts))
    assert made.rejected == [(2, "x", r.NOT_UTF8)]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([b"x"]), "binary"),
        (pa.array([1], pa.duration("s")), "duration"),
        (pa.array([[b"x"]]), "list<element: binary>"),
    ],
)
def test_parquet_columns_without_a_json_value_are_told_at_once(column: pa.Array, kind: str, tmp_path: Path) -> None:
    if kind == "duration":
        column, kind = pa.array([{"x": b"y"}]), "struct<x: binary>"
    with pytest.raises(WrongArgument, match=f"column x is {kind}"):
        import_table(tmp_path, make_table(x=column))
    assert not (tmp_path / "world").exists()


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.int64(), pa.date32()])
def test_parquet_times_that_are_no_instants_are_told_at_once(kind: pa.DataType, tmp_path: Path) -> None:
    with pytest.raises(
        WrongArgument, match=r"column x is .*; timestamps adjusted to UTC, or RFC 3339 text, are required"
    ):
        import_table(
            tmp_path,
            make_table(x=pa.array([1], pa.int32()).cast(kind) if kind == pa.date32() else pa.array([1], kind)),
            time="x",
        )


def test_parquet_times_may_be_text(tmp_path: Path) -> None:
    made = import_table(tmp_path, make_table(x=pa.array([AT, "x"]).dictionary_encode()), time="x")
    assert made.rejected == [(2, "x", r.NO_TIME)]


def test_ids_are_hashed_from_what_is_declared(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f"a,{AT},c,1\na,{AT},d,1\n,{AT},,1\n", id=None, id_from=["id", "customer"])
    first = digest({"recipe": "ofs.import.event_id.v1", "values": ["a", "c"]})[:32]
    ids = [row["event_id"] for row in made.archived()]
    assert ids[0] == first
    assert ids[0] != ids[1]
    assert made.rejected == [(4, "id", r.MISSING)]


def test_types_come_from_a_column(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f"a,{AT},x,1\nb,{AT},y,1\nc,{AT},,1\n", type="customer", type_is=None)
    assert [row["event_type"] for row in made.archived()] == ["x", "y"]
    assert made.rejected == [(4, "customer", r.MISSING)]


def test_offsets_count_the_events_that_are_taken(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f"a,{AT},c,1\nb,x,c,1\nc,{AT},c,1\n")
    assert [row["origin_offset"]["offset"] for row in made.archived()] == ["0", "1"]
    (entry,) = made.index["segments"]
    assert (entry["first_offset"], entry["last_offset"], entry["record_count"], entry["offset_kind"]) == (
        "0",
        "1",
        2,
        "file_line",
    )


def test_arrivals_give_the_order_of_delivery_and_are_no_part_of_the_event(tmp_path: Path) -> None:
    head = "id,at,arrived\n"
    late, early = "2026-02-10T12:00:00Z", "2026-02-10T11:00:00Z"
    body = head + f"a,{AT},{late}\nb,{AT},{early}\nc,{AT},{late}\nd,{AT},\n"
    made = import_csv(tmp_path, body.encode(), arrival="arrived")
    rows = made.archived()
    assert [(row["event_id"], row["origin_offset"]["offset"]) for row in rows] == [("b", "0"), ("a", "1"), ("c", "2")]
    assert [row["published_at_utc"].isoformat()[:19] + "Z" for row in rows] == [early, late, late]
    assert "arrived" not in made.payloads()[0]
    assert made.rejected == [(5, "arrived", r.MISSING)]
    assert (made.answer["knowledge"], made.answer["notes"]) == ("as_observed", [])
    assert "knowledge: as_observed" in made.profile


def test_unknown_arrivals_are_said_aloud(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f"a,{AT},c,1\n", key=["customer"])
    assert (made.answer["arrival"], made.answer["knowledge"]) == (None, "event_time")
    assert "arrival times are unknown" in made.answer["notes"][0]
    assert "knowledge: event_time" in made.profile
    assert "published_at_utc" not in made.archived()[0]


def test_events_are_dealt_to_partitions_by_a_value(tmp_path: Path) -> None:
    body = "".join(f"e{number},{AT},{f'c{number % 20}' if number % 21 else ''},1\n" for number in range(200))
    made = import_csv(tmp_path, body, partition_by="customer")
    rows = made.archived()
    held: dict[str, set[int]] = {}
    for row in rows:
        held.setdefault(json.loads(row["envelope"])["payload"]["customer"], set()).add(
            row["origin_offset"]["partition"]
        )
    assert all(len(one) == 1 for one in held.values())
    assert len(set.union(*held.values())) > 4
    for entry in made.index["segments"]:
        own = [row for row in rows if row["origin_offset"]["partition"] == entry["partition"]]
        assert [row["origin_offset"]["offset"] for row in own] == [str(one) for one in range(entry["record_count"])]
    assert len(made.intent["replay_basis"]) == len(made.index["segments"])


def test_offsets_may_be_those_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holes are declared, also between segments; what has no offset is rejected."""
    monkeypatch.setattr(module, "SEGMENT_ROWS", 2)
    monkeypatch.setattr(module.write_segments, "__defaults__", (2,))
    odd = ["", "-1", "01", "1.0", "x", "9223372036854775808"]
    rows = [("a", "7"), ("b", "3"), ("c", "7"), ("d", "20"), ("e", "9223372036854775807")]
    body = "id,at,offset\n" + "".join(f"{name},{AT},{offset}\n" for name, offset in rows)
    body += "".join(f"z,{AT},{one}\n" for one in odd)
    made = import_csv(tmp_path, body.encode(), offset="offset")
    assert [(row["event_id"], row["origin_offset"]["offset"]) for row in made.archived()] == [
        ("b", "3"), ("a", "7"), ("c", "7"), ("d", "20"), ("e", "9223372036854775807"),
    ]  # fmt: skip
    assert made.rejected == [(7, "offset", r.MISSING), *((line, "offset", r.NO_WHOLE) for line in range(8, 13))]
    spans = [(one["first_offset"], one["last_offset"], one["previous_last_offset"]) for one in made.index["segments"]]
    last = "9223372036854775807"
    assert spans == [("3", "7", None), ("7", "20", "7"), (last, last, "20")]
    gaps = [[(gap["start"], gap["end"]) for gap in one["gaps"]] for one in made.index["segments"]]
    assert gaps == [[("4", "6")], [("8", "19")], [("21", "9223372036854775806")]]
    assert "offset" not in made.payloads()[0]
    assert made.intent["replay_basis"][0]["offset_kind"] == "kafka_offset"


def test_offsets_with_more_holes_than_an_index_states_are_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_GAPS", 3)
    body = "id,at,offset,part\n" + "".join(f"e{number},{AT},{2 * (number // 2)},{number % 2}\n" for number in range(8))
    with pytest.raises(WrongArgument, match="leave more than 3 holes"):
        import_csv(tmp_path, body.encode(), offset="offset", partition="part")
    assert not (tmp_path / "world").exists()


def test_one_id_twice_is_archived_twice_for_the_build_to_judge(tmp_path: Path) -> None:
    made = import_csv(tmp_path, f"a,{AT},c,1\na,{AT},c,1\na,{AT},c,2\n")
    assert [row["event_id"] for row in made.archived()] == ["a", "a", "a"]
    assert len({row["payload_hash"] for row in made.archived()}) == 2


@pytest.mark.parametrize("suffix", ["csv.gz", "CSV.GZ"])
def test_text_may_be_compressed(suffix: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / f"events.{suffix}", gzip.compress((HEAD + f"a,{AT},c,1\n").encode()))
    assert run_import(tmp_path / "world", path).answer["events"] == 1


def test_a_column_without_a_name_is_kept_and_never_summed(tmp_path: Path) -> None:
    """As the index that pandas writes in front of a table."""
    made = import_csv(tmp_path, f",id,at\n0,a,{AT}\n1,b,{AT}\n".encode())
    assert [one[""] for one in made.payloads()] == ["0", "1"]
    assert "_sum" not in made.profile


def test_names_are_those_of_the_test_files() -> None:
    assert set(EVENTS) == {"id", "time", "type-is"}
