"""A file of logged values is read block by block: the same bytes and rows, each block proven, few of them held."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.parity.logged_bytes import KEPT, FileBytes, find_logged
from ofs_spark.parity.logged_lines import read_lines
from ofs_spark.parity.logged_table import read_table

LIMIT = 1 << 30


def encode_table(rows: int, group: int, **options: Any) -> bytes:
    columns = {
        "event_id": [f"e{n:06d}" for n in range(rows)],
        "column": ["customer__mean_7d"] * rows,
        "value": [n / 7 for n in range(rows)],
        "logged_at_utc": ["2026-02-10T00:00:00Z"] * rows,
        "other": [f"not asked for {n}" * 4 for n in range(rows)],
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=group, **options)
    return sink.getvalue()


@pytest.mark.parametrize("block", [1, 7, 64, 1_000])
def test_bytes_are_those_of_the_file(block: int) -> None:
    rng = Random(block)
    body = bytes(rng.choice(b"ab\n") for _ in range(500))
    objects = MemoryObjects({"f": body})
    found = find_logged(objects, "f", block)
    assert (found.bytes, found.sha256, found.format) == (500, hashlib.sha256(body).hexdigest(), "json_lines")
    own = FileBytes(objects, found)
    assert bytes(own[place] for place in range(500)) == body
    for _ in range(200):
        start, end = rng.randrange(-3, 520), rng.randrange(520)
        assert own.cut(start, end) == body[max(start, 0) : end]
        place = rng.randrange(501)
        line = place if place in (0, 500) or body[place - 1] == 10 else body.find(b"\n", place) + 1 or 500
        assert (own.find_line(place), own.count_newlines(place)) == (line, body.count(b"\n", 0, place))
    assert own.seek(490) + len(own.read(4)) + len(own.read()) == own.tell() == 500
    with pytest.raises(IndexError):
        own[500]


@pytest.mark.parametrize("of", [1, 3, 8])
@pytest.mark.parametrize(
    "options", [{}, {"compression": "zstd"}, {"use_dictionary": False, "data_page_version": "2.0"}]
)
def test_a_table_read_by_parts_has_the_rows_of_the_whole(of: int, options: dict[str, Any]) -> None:
    body = encode_table(2_000, 300, **options)
    objects = MemoryObjects({"f": body})
    file = find_logged(objects, "f", 1_000)
    found: dict[int, tuple[str, float]] = {}
    for share in range(of):
        for rows, faults in read_table(FileBytes(objects, file), share, of, LIMIT):
            assert faults == []
            named = zip(rows.event_ids.to_pylist(), rows.numbers.to_pylist(), strict=True)
            found |= dict(zip(rows.line.tolist(), named, strict=True))
    assert found == {n + 1: (f"e{n:06d}", n / 7) for n in range(2_000)}


@pytest.mark.parametrize("is_table", [False, True])
@pytest.mark.parametrize("change", ["other bytes", "shorter", "gone"])
def test_a_file_that_changes_after_it_was_found_is_refused(is_table: bool, change: str, tmp_path: Path) -> None:
    line = json.dumps(
        {"event_id": "e", "column": "c", "value": 1, "logged_at_utc": "2026-02-10T00:00:00Z"}, separators=(",", ":")
    )
    body = encode_table(500, 100) if is_table else (line + "\n").encode() * 500
    objects = LocalObjects.at(tmp_path)
    objects.put_if_absent("f", body)
    found = FileBytes(objects, find_logged(objects, "f", 4_096))
    path = Path(objects.locate("f"))
    if change == "gone":
        path.unlink()
    else:
        middle = len(body) // 2
        path.write_bytes(body[:middle] if change == "shorter" else body[:100] + b"\0" * 9_000 + body[9_100:])
    pieces = read_table(found, 0, 1, LIMIT) if is_table else read_lines(found, 0, 1)
    with pytest.raises(Refusal, match="the file changed while it was read") as caught:
        list(pieces)
    assert caught.value.code == "PARITY_ANCHOR_INVALID"


class Weighing(MemoryObjects):
    """Counts the bytes that are read, and the largest reading."""

    total = largest = 0

    def read_range(self, ref: str, start: int, most: int) -> bytes:
        body = super().read_range(ref, start, most)
        Weighing.total, Weighing.largest = Weighing.total + len(body), max(Weighing.largest, len(body))
        return body


def test_a_share_of_a_table_reads_its_own_row_groups_and_holds_few_blocks() -> None:
    body = encode_table(40_000, 1_000, use_dictionary=False, compression="none")
    objects = Weighing({"f": body})
    file = find_logged(objects, "f", 16_384)
    assert Weighing.largest <= 16_384
    Weighing.total = 0
    one = FileBytes(objects, file)
    assert sum(len(rows.line) for rows, _ in read_table(one, 3, 40, LIMIT)) == 1_000
    assert Weighing.total < len(body) / 2
    assert len(one._kept) <= KEPT
