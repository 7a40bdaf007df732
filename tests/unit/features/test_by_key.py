"""A key's step hands its finished rows on: past a refused rule only to a next key, never to the dataset's writer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa

from ofs_spark.features import flow
from ofs_spark.features.by_key import ByKey
from ofs_spark.features.group_rows import KeyedTable
from ofs_spark.features.pieces import Pieces
from ofs_spark.features.ports import Onward
from ofs_spark.features.routing import EVENTS
from ofs_spark.foundation.columnar.dataflow import DRIVER, Chunk, encode_chunk
from ofs_spark.foundation.columnar.notes import EventPlace, Fault, read_notes
from ofs_spark.pins.profile.compile import compile_profile
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import add_anchor_flag
from tests.worlds.model import profile

VALUE = {"path": "payload.a", "type": "int", "missing": "fail"}
GROUP = {
    "name": "g", "version": "v1", "key": ["payload.card"], "values": {"a": VALUE},
    "features": [{"name": "n", "aggregate": "count"}],
}  # fmt: skip
PROGRAM = compile_profile(profile(GROUP), "world", "v1").program
(STEP,) = flow.plan_key_steps(PROGRAM)


class Kept:
    """A dataset's writer that keeps what it is given."""

    takes_refused: ClassVar[bool] = False

    def __init__(self) -> None:
        self.seen: list[tuple[int, KeyedTable]] = []

    def send(self, target: int, pieces: Pieces) -> Iterator[Chunk]:
        for piece in pieces:
            self.seen.append((target, piece))
            yield Chunk(0, b"sent")


class KeptOfMiddle(Kept):
    """The same of a key that is not the last one."""

    takes_refused: ClassVar[bool] = True


def events(cards: list[str | None], values: list[int]) -> pa.Table:
    """Events a second apart, all anchors and sources; a value of 0 stands for a missing one."""
    count, (part,), (value,) = len(cards), PROGRAM.keys[0].parts, PROGRAM.groups[0].values
    return pa.table(
        {
            r.EVENT_ID: [f"e{i}" for i in range(count)], r.EVENT_TYPE: ["x"] * count,
            r.TS: pa.array(np.arange(count) * 1_000_000), r.PARTITION_ORDINAL: pa.array(np.zeros(count, np.int32)),
            r.SEQ: pa.array(np.arange(count)), r.OFFSET: [str(i) for i in range(count)],
            r.ARRIVAL: pa.array(np.full(count, r.NO_ARRIVAL)),
            r.FLAGS: pa.array(np.full(count, add_anchor_flag(r.IN_SCOPE | r.flag_source(0)))),
            r.name_read_column(part): pa.array(cards, pa.string()),
            r.name_status_column(part): pa.array([r.PRESENT if card else r.MISSING for card in cards], pa.uint8()),
            r.name_read_column(value.read): pa.array(values, pa.int64()),
            r.name_status_column(value.read): pa.array([r.PRESENT if v else r.MISSING for v in values], pa.uint8()),
        }
    )  # fmt: skip


def run(onward: Onward, table: pa.Table) -> tuple[list[Fault], list[int]]:
    """The faults that the step reports for target 3, and the targets of what else it emits."""
    chunks = list(ByKey(PROGRAM, STEP, onward)(3, iter([encode_chunk(EVENTS, table)])))
    notes = [json.loads(bytes(chunk.body)) for chunk in chunks if chunk.target == DRIVER]
    return read_notes(notes, Fault), [chunk.target for chunk in chunks if chunk.target != DRIVER]


def test_the_writer_is_given_the_finished_rows_in_layout_order() -> None:
    writer = Kept()
    assert run(writer, events(["b", None, "a", "b"], [1, 1, 1, 1])) == ([], [0])
    ((target, keyed),) = writer.seen
    assert (target, keyed.keyed) == (3, 3)
    assert keyed.table.column(r.EVENT_ID).to_pylist() == ["e2", "e0", "e3", "e1"]
    assert keyed.table.column("g__n").to_pylist() == [1, 1, 2, None]


def test_a_refused_rule_keeps_rows_from_the_writer_and_not_from_a_next_key() -> None:
    table = events(["b", "a", "a"], [1, 0, 0])
    message = "payload.a must be int, missing: fail"
    fault = Fault("FEATURE_VALUE_INVALID", message, subject="g.a", count=2, first=EventPlace(0, 1, "1", "e1"))
    for onward, sent in ((Kept(), []), (KeptOfMiddle(), [0])):
        assert run(onward, table) == ([fault], sent)
        assert len(onward.seen) == len(sent)
