"""A key of more rows than a worker holds is refused with numbers; so is a scratch disk that takes no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import FileIO
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.features import flow, pieces
from ofs_spark.features.by_key import ByKey
from ofs_spark.features.pieces import Pieces
from ofs_spark.features.routing import EVENTS
from ofs_spark.features.split_keys import SplitKey, describe_split_keys
from ofs_spark.foundation.columnar.dataflow import Chunk, encode_chunk
from ofs_spark.foundation.columnar.notes import read_notes
from ofs_spark.foundation.errors import Refusal
from ofs_spark.pins.profile.compile import compile_profile
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import add_anchor_flag
from tests.worlds.model import profile, window

SECOND = 1_000_000


class Counted:
    """A dataset's writer that counts the rows of each piece."""

    takes_refused: ClassVar[bool] = False

    def __init__(self) -> None:
        self.rows: list[int] = []

    def send(self, _target: int, found: Pieces) -> Iterator[Chunk]:
        self.rows += [piece.table.num_rows for piece in found]
        yield from ()


def counting(*windows: dict[str, Any]) -> Program:
    """A profile that counts a card's events; without a window, those since its first one."""
    feature = {"name": "count", "aggregate": "count"} if windows else {"name": "since", "aggregate": "time_since_first"}
    group = {
        "name": "card", "version": "v1", "key": ["payload.card"], "knowledge": "event_time",
        "windows": list(windows), "features": [feature],
    }  # fmt: skip
    return compile_profile(profile(group), "world", "v1").program


def compute(program: Program, rows: int, apart: int, run_bytes: int = 1 << 30) -> list[int]:
    """Rows of the pieces of one key, whose events are so many µs apart."""
    return run(program, rows, apart, run_bytes)[0]


def run(program: Program, rows: int, apart: int, run_bytes: int = 1 << 30) -> tuple[list[int], list[SplitKey]]:
    """Those, and what is written down of them."""
    (step,), counted = flow.plan_key_steps(program), Counted()
    ts = np.arange(rows) * apart
    columns: dict[str, Any] = {
        r.EVENT_ID: [f"e{i}" for i in range(rows)], r.EVENT_TYPE: pa.array(["x"] * rows).dictionary_encode(),
        r.TS: ts, r.PARTITION_ORDINAL: np.zeros(rows, np.int32), r.SEQ: np.arange(rows), r.ARRIVAL: ts,
        r.OFFSET: [str(i) for i in range(rows)],
        r.FLAGS: np.full(rows, add_anchor_flag(r.IN_SCOPE | r.flag_source(0))),
        r.name_read_column(0): ["c"] * rows, r.name_status_column(0): np.full(rows, r.PRESENT, np.uint8),
    }  # fmt: skip
    table = pa.table(columns).select(list(step.inputs))
    chunks = iter([encode_chunk(EVENTS, table.slice(0, rows // 2)), encode_chunk(EVENTS, table.slice(rows // 2))])
    notes = [json.loads(bytes(chunk.body)) for chunk in ByKey(program, step, counted, run_bytes, 8)(0, chunks)]
    return counted.rows, read_notes(notes, SplitKey)


def refused(*asked: Any, **named: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        compute(*asked, **named)
    return caught.value


def test_a_key_with_windows_is_cut_until_its_times_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    windowed = counting(window("3s"))
    assert compute(windowed, 40, SECOND) == [8] * 5
    monkeypatch.setattr(pieces, "MOST_KEY_ROWS", 39)
    refusal = refused(windowed, 40, SECOND)
    assert (refusal.code, refusal.details) == ("RESOURCE_EXCEEDED", {"rows": 40, "found": 40, "allowed": 39})


@pytest.mark.parametrize("run_bytes", [1, 1 << 30])
def test_a_split_key_is_written_down_with_exact_counts(run_bytes: int) -> None:
    # Windows of 3 s: before each of four pieces stand the two events of less than 3 s ago.
    pieces, told = run(counting(window("3s")), 40, SECOND, run_bytes)
    assert told == [SplitKey(("card",), 40, len(pieces), 4 * 2)]
    assert describe_split_keys([told[0], SplitKey(("card",), 50, 2, 1)]) == {
        "split_keys": [
            {"key": ["card"], "rows": 50, "pieces": 2, "looked_back": 1},
            {"key": ["card"], "rows": 40, "pieces": 5, "looked_back": 8},
        ]
    }


@pytest.mark.parametrize(("program", "rows"), [(counting(window("3s")), 8), (counting(), 40)])
def test_a_key_of_one_piece_is_not_written_down(program: Program, rows: int) -> None:
    assert run(program, rows, SECOND)[1] == []


def test_what_one_instant_reaches_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    windowed = counting(window("3s"))
    monkeypatch.setattr(pieces, "MOST_HELD", 20)
    assert sum(compute(windowed, 40, SECOND)) == 40
    refusal = refused(windowed, 40, SECOND // 100)
    assert refusal.code == "RESOURCE_EXCEEDED"
    assert refusal.details["rows"] == 40
    assert refusal.details["found"] > refusal.details["allowed"] == 20


def test_a_key_without_a_window_is_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = counting()
    assert compute(endless, 40, SECOND) == [40]
    monkeypatch.setattr(pieces, "MOST_HELD", 39)
    assert refused(endless, 40, SECOND).details == {"rows": 40, "found": 40, "allowed": 39}


def test_scratch_that_takes_no_more_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compute(counting(window("3s")), 40, SECOND, run_bytes=1) == [8] * 5
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: FileIO("/dev/full", "r+"))
    refusal = refused(counting(window("3s")), 40, SECOND, run_bytes=1)
    assert refusal.code == "ENVIRONMENT_UNFIT"
    assert "where 0 bytes of one target's sorted rows stand: No space left on device" in refusal.message
