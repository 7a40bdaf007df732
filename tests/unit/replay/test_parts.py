"""Staged rows in parts: each target reads its own rows, whatever the file was laid out for, and proves what it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
import pytest

from ofs_spark.features.load import MOST_PARTS, PIECES, Load, encode_tasks
from ofs_spark.foundation.columnar.dataflow import CODED, Body, gather_chunks
from ofs_spark.foundation.columnar.hashing import route_texts
from ofs_spark.foundation.columnar.ids import is_packed, unpack_ids
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.refs import name_staging
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.replay.parts import Part, Staged, read_pieces, read_rows, stage_parts
from ofs_spark.replay.staged import LOST_ROWS

FOLDER = name_staging("platform_20260101T000000Z", "a" * 64)
IDS = [*(f"event-{number}" for number in range(297)), "", "ä", "a" * 5000]
HEX = [f"{number * 2**100 + number:032x}" for number in range(300)]
"""Ids that a file of nothing else has packed."""
TYPES = ["a", "b", None] * (len(IDS) // 3)
BEFORE = 100
"""The running arrival that the file's partition brings along."""


def draw_rows(ids: list[str] = IDS, types: list[str | None] = TYPES) -> pa.Table:
    numbers = pa.array(range(len(ids)), pa.int64())
    columns = {"event_id": pa.array(ids), "event_type": pa.array(types).cast(CODED), "arrival": numbers}
    return pa.table({**columns, "seq": numbers})


def stage(objects: MemoryObjects, shares: int, rows: pa.Table) -> Staged:
    file = stage_parts(objects, FOLDER, rows, shares)
    return Staged.from_document({**asdict(file), "arrival_before": BEFORE})


def read_all(objects: MemoryObjects, files: list[Staged], width: int) -> list[dict[str, Any]]:
    """The rows of every target, by position; each is its target's own, and ids are packed where all files have them packed."""
    found: list[dict[str, Any]] = []
    for target, pieces in address(objects, files, width).items():
        table = read_pieces(objects, pieces, target, width)
        ids = table.column("event_id")
        assert is_packed(ids) == all(file.is_packed for file in files)
        assert {*route_texts(unpack_ids(ids), width)} <= {target}
        found += table.set_column(0, "event_id", unpack_ids(ids)).to_pylist()
    return sorted(found, key=lambda row: int(row["seq"]))


def address(objects: MemoryObjects, files: list[Staged], width: int) -> dict[int, pa.Table]:
    """By target the pieces that all tasks of a job send it."""
    load = Load(objects, "run", (), b"", width)
    sent: dict[int, list[Body]] = {}
    for number, task in enumerate(encode_tasks(files, [])):
        for chunk in load(number, iter([task])):
            sent.setdefault(chunk.target, []).append(chunk.body)
    return {target: gather_chunks(bodies)[PIECES] for target, bodies in sent.items()}


@pytest.mark.parametrize("most", [1, MOST_PARTS], ids=["a task a file", "one task"])
@pytest.mark.parametrize("shares", [1, 2, 8, 256])
@pytest.mark.parametrize("width", [1, 2, 8, 64, 512])
@pytest.mark.parametrize(
    ("ids", "packed"),
    [(IDS, [False, False]), (HEX, [True, True]), ([*HEX[:150], *IDS[150:]], [True, False])],
    ids=["texts", "hex", "hex in one file"],
)
def test_every_row_is_read_once_by_the_target_of_its_event(
    shares: int, width: int, ids: list[str], packed: list[bool], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ofs_spark.features.load.MOST_PARTS", most)
    objects, rows = MemoryObjects(), draw_rows(ids)
    files = [stage(objects, shares, half) for half in (rows.slice(0, 150), rows.slice(150))]
    assert [file.is_packed for file in files] == packed
    raised = [{**row, "arrival": max(BEFORE, row["arrival"])} for row in rows.to_pylist()]
    assert read_all(objects, files, width) == raised


def test_a_share_without_rows_has_no_part() -> None:
    objects = MemoryObjects()
    file = stage(objects, 256, draw_rows(["one"] * 3, ["a", "a", "b"]))
    (part,) = file.parts
    assert (part.rows, part.bytes) == (3, file.bytes)
    assert [*address(objects, [file], 8)] == [part.share % 8]


def test_rows_of_one_share_keep_their_order_and_are_read_whole() -> None:
    objects = MemoryObjects()
    file = stage(objects, 1, draw_rows())
    assert read_rows(objects, file).column("seq").to_pylist() == list(range(len(IDS)))


def damage(change: Callable[[bytes], bytes]) -> Callable[[MemoryObjects, Staged], None]:
    def spoil(objects: MemoryObjects, file: Staged) -> None:
        objects.bodies[file.ref] = change(objects.bodies[file.ref])

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        damage(lambda body: body[:40] + bytes([body[40] ^ 1]) + body[41:]),
        damage(lambda body: body[:-1]),
        damage(lambda body: body[1:]),
        damage(lambda _body: b""),
        lambda objects, file: objects.bodies.pop(file.ref),
    ],
    ids=["flipped", "cut", "moved", "empty", "gone"],
)
@pytest.mark.parametrize("shares", [1, 8])
def test_rows_that_are_not_the_written_ones_are_lost(
    spoil: Callable[[MemoryObjects, Staged], None], shares: int
) -> None:
    objects = MemoryObjects()
    file = stage(objects, shares, draw_rows())
    spoil(objects, file)
    with pytest.raises(Refusal) as refused:
        read_all(objects, [file], 8)
    assert (refused.value.code, refused.value.details["ref"]) == (LOST_ROWS, file.ref)


def test_a_task_addresses_some_thousand_parts() -> None:
    one = Part(0, 1, 8, "b" * 64)
    file = replace(stage(MemoryObjects(), 8, draw_rows()), parts=(one,) * (MOST_PARTS // 2))
    sizes = [len(task) for task in encode_tasks([file] * 5, [])]
    assert len(sizes) == 3
    assert sizes[0] == sizes[1] > sizes[2]
