"""What a file lacks is told before anything is written, with the nearest name; a file that cannot be read is wrong use."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.ends import WrongArgument
from tests.unit.intake.worlds import LABELS, run_import, write_lines, write_text

AT = "2026-02-10T10:00:00Z"


def refused(folder: Path, events: Path, **stated: Any) -> str:
    """Why an import is wrong use, which has then left nothing behind."""
    with pytest.raises(WrongArgument) as caught:
        run_import(folder / "new" / "world", events, **stated)
    assert not (folder / "new").exists()
    return str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_told_with_the_nearest_name(kind: str, tmp_path: Path) -> None:
    rows = [{"id": "a", "at": AT, "Customer_ID": "c"}]
    path = tmp_path / f"e.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "csv":
        write_text(path, f"id,at,Customer_ID\na,{AT},c\n")
    else:
        write_lines(path, rows)
    said = refused(tmp_path, path, key=["customer_id"])
    assert said.startswith("--key customer_id: there is no such column; the nearest is Customer_ID in ")
    assert refused(tmp_path, path, time="zzz").startswith(
        "--time zzz: there is no such column; there are id, at, Customer_ID in"
    )


def test_every_missing_column_is_told_at_once(tmp_path: Path) -> None:
    path = write_text(tmp_path / "e.csv", f"id,at,card\na,{AT},c\n")
    assert refused(tmp_path, path, key=["crad"], time="att") == (
        "--key crad: there is no such column; the nearest is card; "
        f"--time att: there is no such column; the nearest is at in {path}"
    )


def test_a_missing_label_column_is_told_before_events_are_read(tmp_path: Path) -> None:
    events = write_text(tmp_path / "e.csv", f"id,at\na,{AT}\n")
    labels = write_text(tmp_path / "l.csv", "id,verdicts,seen\n")
    said = refused(tmp_path, events, labels=labels, **LABELS)
    assert said.startswith("--label-value verdict: there is no such column; the nearest is verdicts")


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("e.csv", b"", "is empty"),
        ("e.jsonl", b"", "is empty"),
        ("e.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("e.csv", b"\n", "is empty: its first line must name the columns"),
        ("e.csv", b"id,at\n", "has no event that can be taken: no row"),
        ("e.csv", b"id,at\na,x\nb,y\n", "all of it is rejected, 2 rows: line 2: at is no RFC 3339 time"),
        ("e.csv", b"id,at,at\n", "column at stands there twice"),
        ("e.csv", b"id,at,\xff\n", "the first line is not UTF-8"),
        ("e.csv", b'"id\n', "the first line is no header: it is not quoted as CSV is"),
        ("e.csv", b"id,at\ra,b\r", "the first line is no header: lines end in CR alone; LF or CRLF is required"),
        ("e.csv", b"sep=;\nid;at\n", "is a spreadsheet's mark of a separator, and no header: remove that line"),
        ("e.csv", b"id,at,,\n", 'column "" stands there twice: columns 3 and 4'),
        ("e.csv", b"id, at\n", '--time at: there is no such column; the nearest is " at" in'),
        ("e.csv", b"PAR1\x15", "is a Parquet file: its name must end in .parquet or .pq"),
        ("e.jsonl", b"PK\x03\x04x", "is a ZIP archive or a spreadsheet: write what it holds as CSV"),
        ("e.csv", gzip.compress(b"id,at\n", mtime=0), "is compressed: its name must end in .gz, after the suffix"),
        ("e.csv", "id,at\n".encode("utf-16"), "is UTF-16 or no text"),
        ("e.jsonl", "{}\n".encode("utf-16"), "is UTF-16 or no text"),
        (
            "e.jsonl",
            b"[]\nx\n",
            "has no object with a member in its first 1,000 lines: line 1 is no JSON object; one a line",
        ),
        ("e.json", b'[\n{"id": "a"}]', "has no object with a member in its first 1,000 lines: line 1 is no JSON"),
        ("e.jsonl", b"{}\n\n", "has no object with a member in its first 1,000 lines; one a line is required"),
        ("e.tsv", b"id\tat\n", "where they are text; values between tabs are .csv, and --separator tab"),
        ("e.parquet", b"PAR1", "is no Parquet file"),
        ("e.parquet", b"", "is no Parquet file"),
        ("e.csv.gz", b"id,at\n", "cannot read"),
        ("e.csv.gz", gzip.compress(b"id,at\n" + b"a,2026-02-10T10:00:00Z\n" * 9_000, mtime=0)[:-20], "cannot read"),
        ("e.txt", b"id,at\n", "its name ends in none of .csv"),
        ("e.parquet.gz", b"id,at\n", "its name ends in none of"),
    ],
)
def test_a_file_without_events_is_wrong_use(name: str, body: bytes, says: str, tmp_path: Path) -> None:
    assert says in refused(tmp_path, write_text(tmp_path / name, body))


def test_a_parquet_file_whose_columns_share_a_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([AT]), pa.array([AT])], ["id", "at", "at"])
    pq.write_table(table, tmp_path / "e.parquet")
    assert "column at stands there twice" in refused(tmp_path, tmp_path / "e.parquet")


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path, tmp_path / "nowhere.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "Is a directory" in refused(tmp_path, tmp_path / "folder.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is no regular file" in refused(tmp_path, tmp_path / "pipe.csv")
    assert "is no name of a file" in refused(tmp_path, tmp_path / "a\0.csv")


def test_ten_thousand_columns(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(10_000)]
    head, row = ",".join(["id", "at", *names]), ",".join(["a", AT, *("1" for _ in names)])
    path = write_text(tmp_path / "e.csv", f"{head}\n" + f"{row}\n" * 300)
    made = run_import(tmp_path / "world", path, key=["c9999"])
    assert made.answer["events"] == 300
    assert len(made.payloads()[0]) == 10_002
    assert refused(tmp_path, path, key=["c10000"]).startswith(
        "--key c10000: there is no such column; the nearest is c1000"
    )


@pytest.mark.parametrize(("word", "mark"), [("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("pipe", "|")])
def test_values_are_separated_as_is_said(word: str, mark: str, tmp_path: Path) -> None:
    rows = ["id,at,note,amount", f'a,{AT},"one{mark}two",1.50', f"b,{AT},,2"]
    path = write_text(tmp_path / "e.csv", "\n".join(row.replace(",", mark) for row in rows) + "\n")
    for stated in (word, mark):
        found = run_import(tmp_path / f"world-{stated == word}", path, separator=stated)
        assert found.payloads() == [
            {"id": "a", "at": AT, "note": f"one{mark}two", "amount": "1.50"},
            {"id": "b", "at": AT, "note": None, "amount": "2"},
        ]


def test_labels_may_be_separated_in_their_own_way(tmp_path: Path) -> None:
    events = write_text(tmp_path / "e.csv", f"id;at\na;{AT}\n")
    labels = write_text(tmp_path / "l.csv", f"id,verdict,seen\na,FRAUD_CONFIRMED,{AT}\n")
    stated = {"labels": labels, **LABELS, "separator": "semicolon"}
    assert refused(tmp_path, events, **stated) == (
        f"{labels}: its first line is one column, id,verdict,seen: --label-separator comma reads it as several"
    )
    assert run_import(tmp_path / "world", events, **stated, label_separator="comma").answer["labels"] == 1
    both = write_text(tmp_path / "b.csv", f"id;verdict;seen\na;FRAUD_CONFIRMED;{AT}\n")
    assert run_import(tmp_path / "both", events, **{**stated, "labels": both}).answer["labels"] == 1
    assert refused(tmp_path, events, **stated, label_separator=".").startswith("--label-separator .: one of comma")


def test_the_separator_of_a_file_that_has_another_is_told(tmp_path: Path) -> None:
    path = write_text(tmp_path / "e.csv", f"id;at\na;{AT}\n")
    assert refused(tmp_path, path) == (
        f"{path}: its first line is one column, id;at: --separator semicolon reads it as several"
    )
    assert refused(tmp_path, path, separator="colon") == (
        "--separator colon: one of comma, semicolon, tab, pipe is required"
    )
