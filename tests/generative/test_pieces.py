"""A target in one piece, in pieces, and streamed from sorted runs on disk: every value and fault is the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ofs_spark.features import flow
from ofs_spark.features.by_key import ByKey
from ofs_spark.features.faults import merge_faults
from ofs_spark.features.group_rows import KeyedTable
from ofs_spark.features.pieces import Pieces
from ofs_spark.features.routing import EVENTS
from ofs_spark.foundation.columnar.dataflow import DRIVER, Chunk, Step, encode_chunk
from ofs_spark.foundation.columnar.measure import MeasuredWork
from ofs_spark.foundation.columnar.notes import Fault, read_notes
from ofs_spark.foundation.positions import Range
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.pins.profile.compile import compile_profile
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import add_anchor_flag
from tests.worlds.generate import worlds
from tests.worlds.model import World, profile, window
from tests.worlds.running import SMALL, Outcome, build, policy_with, verify
from tests.worlds.writer import Written, write_world

QUIET = list(HealthCheck)
SECOND = 1_000_000
VALUES = {"i": "int", "d38": "decimal(38,2)", "x": "double", "s": "string", "b": "bool"}
AGGREGATES = [
    *[(name, "i") for name in ("count", "sum", "mean", "stddev_pop", "stddev_samp", "min", "max", "first", "last")],
    *[(name, "d38") for name in ("sum", "mean", "max")], ("min", "x"), ("last", "x"), ("count_distinct", "i"),
    *[(name, "s") for name in ("min", "max", "first", "last", "count_distinct")], ("first", "b"),
    ("rate", None), ("time_since_first", None), ("time_since_previous", None), ("count", None),
]  # fmt: skip


def group(knowledge: str, missing: str = "null") -> dict[str, Any]:
    """A group of every aggregate over windows of 3 and 10 seconds, and a ratio of two."""
    named = [
        {"name": f"f{at}", "aggregate": name, **({} if value is None else {"value": value})}
        | ({"where": {"path": "payload.s", "eq": "x"}} if name == "rate" else {})
        | ({"delay": "2s"} if at % 5 == 4 else {})
        for at, (name, value) in enumerate(AGGREGATES)
    ]
    return {
        "name": knowledge, "version": "v1", "key": ["payload.card", "payload.shop"], "knowledge": knowledge,
        "windows": [window("3s"), window("10s")], "features": named,
        "values": {name: {"path": f"payload.{name}", "type": type_, "missing": missing} for name, type_ in VALUES.items()},
        "derived": [{"name": "share", "ratio": ["f1_3s", "f1_10s"]}],
    }  # fmt: skip


def compiled(*groups: dict[str, Any]) -> Program:
    return compile_profile(profile(*groups), "world", "v1").program


BOTH = compiled(group("as_observed"), group("event_time"))
STRICT = compiled(group("as_observed", missing="fail"))


class Kept:
    """A dataset's writer that keeps what it is given, if all of it comes."""

    takes_refused: ClassVar[bool] = False

    def __init__(self) -> None:
        self.pieces: list[KeyedTable] = []
        self.anchors: list[int] = []

    def send(self, _target: int, pieces: Pieces) -> Iterator[Chunk]:
        self.anchors = [*pieces.anchors.tolist(), pieces.loose]
        yield from ()
        held = list(pieces)
        self.pieces = held


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Up to 60 events of few keys and few instants: tied, late, in several partitions, some without an arrival or a key."""
    program, count = BOTH, draw(st.integers(1, 60))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    ts = chance.integers(0, draw(st.sampled_from([3, 40])), count) * SECOND
    ordinal = chance.integers(0, draw(st.integers(1, 3)), count).astype(np.int32)
    arrival = ts + np.where(chance.random(count) < 0.3, chance.integers(0, 30 * SECOND, count), 0)
    arrival = np.where(draw(st.booleans()) & (chance.random(count) < 0.05), r.NO_ARRIVAL, arrival)
    order = np.lexsort((arrival, ordinal))  # arrivals never fall inside a partition
    seq = np.empty(count, np.int64)
    seq[order] = np.arange(count)
    flags = np.full(count, r.IN_SCOPE | r.flag_source(0) | r.flag_source(1))
    flags = np.where(chance.random(count) < 0.2, r.IN_SCOPE, flags)
    anchors = chance.random(count) < 0.7
    flags = np.where(anchors, [add_anchor_flag(int(one)) for one in flags], flags)
    columns: dict[str, Any] = {
        r.EVENT_ID: [f"e{i}" for i in chance.permutation(count)],
        r.EVENT_TYPE: pa.array(["x"] * count).dictionary_encode(), r.TS: ts, r.PARTITION_ORDINAL: ordinal, r.SEQ: seq,
        r.OFFSET: [str(one) for one in seq], r.ARRIVAL: arrival, r.FLAGS: flags.astype(np.int64),
    }  # fmt: skip
    for index, read in enumerate(program.reads):
        columns[r.name_read_column(index)], columns[r.name_status_column(index)] = drawn_values(
            chance, read.path[-1], count, draw
        )
    for index in range(len(program.conditions)):
        columns[r.name_condition_column(index)] = chance.random(count) < 0.5
    return pa.table(columns)


def drawn_values(chance: np.random.Generator, name: str, count: int, draw: st.DrawFn) -> tuple[Any, Any]:
    """A declared field of each event, and its status."""
    missing = chance.random(count) < draw(st.sampled_from([0.0, 0.1]))
    small = chance.integers(-3, 4, count)
    made: dict[str, Any] = {
        "card": [f"c{i % 2}" for i in small], "shop": ["a"] * count, "s": [f"é{i}" for i in small],
        "i": small, "x": small / 7, "b": small > 0,
        "d38": [str(int(i) * 10 ** draw(st.sampled_from([5, 36, 37]))) for i in small],
    }  # fmt: skip
    present = np.where(missing, r.MISSING, r.PRESENT).astype(np.uint8)
    if isinstance(made[name], np.ndarray):  # a number or a flag that is not there stands as 0
        return pa.array(np.where(missing, made[name].dtype.type(0), made[name])), present
    return pa.array(
        [None if gone else one for one, gone in zip(made[name], missing, strict=True)], pa.string()
    ), present


def computed(program: Program, table: pa.Table, sizes: tuple[int, int], chunks: int) -> tuple[Any, ...]:
    """Rows, features, codes and faults of a target that comes in so many chunks."""
    (step,), kept = flow.plan_key_steps(program), Kept()
    names = [name for name in step.inputs if name in table.column_names]
    each = -(-table.num_rows // chunks)
    parts = [table.select(names).slice(at, each) for at in range(0, table.num_rows, each)]
    bodies = [encode_chunk(EVENTS, part) for part in parts]
    notes = [
        json.loads(bytes(chunk.body))
        for chunk in ByKey(program, step, kept, *sizes)(0, iter(bodies))
        if chunk.target == DRIVER
    ]
    basis = [Range("t", at, "kafka_offset", 0, 10**6) for at in range(3)]
    faults = sorted(str(one.to_document()) for one in merge_faults(read_notes(notes, Fault), basis))
    if not kept.pieces:
        return None, None, faults, kept.anchors
    whole = pa.concat_tables([piece.table for piece in kept.pieces])
    return whole.to_pylist(), np.concatenate([piece.code for piece in kept.pieces]).tolist(), faults, kept.anchors


def agree(table: pa.Table, piece_rows: int, chunks: int) -> None:
    for program in (BOTH, STRICT):
        expected = computed(program, table, (1 << 30, 1 << 30), 1)
        for sizes in ((1 << 30, piece_rows), (1, 1 << 30), (1, piece_rows)):
            assert computed(program, table, sizes, chunks) == expected


@settings(max_examples=60, suppress_health_check=QUIET, deadline=None)
@given(tables(), st.integers(1, 12), st.integers(1, 7))
def test_pieces_and_runs_change_nothing(table: pa.Table, piece_rows: int, chunks: int) -> None:
    agree(table, piece_rows, chunks)


@pytest.mark.nightly
@settings(max_examples=2_000, suppress_health_check=QUIET, deadline=None)
@given(tables(), st.integers(1, 12), st.integers(1, 7))
def test_many_pieces_and_runs_change_nothing(table: pa.Table, piece_rows: int, chunks: int) -> None:
    agree(table, piece_rows, chunks)


class SplitEngine(EmbeddedEngine):
    """Runs every key's step over runs of one chunk and pieces of two rows."""

    def run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        return super().run(tasks, [_split(step) for step in steps])


def _split(step: Step) -> Step:
    if not isinstance(step.work, MeasuredWork) or not isinstance(step.work.work, ByKey):
        return step
    return replace(step, work=replace(step.work, work=replace(step.work.work, run_bytes=1, piece_rows=2)))


def told(outcome: Outcome) -> Any:
    """What a build came to: its table, or its refusal."""
    if outcome.answer is None:
        return str(outcome.refusal), outcome.refusal and outcome.refusal.details
    table = outcome.manifest["materialization"]
    layout = {name: value for name, value in table["layout"].items() if name != "split_keys"}
    return table["content_digest"], layout, outcome.rows


def find_split_keys(written: Written, outcome: Outcome) -> list[dict[str, Any]]:
    """What a manifest that holds says of keys in several pieces."""
    if outcome.answer is None:
        return []
    assert verify(written, outcome) == []
    found: list[dict[str, Any]] = outcome.manifest["materialization"]["layout"].get("split_keys", [])
    return found


@settings(max_examples=25, suppress_health_check=QUIET, deadline=None)
@given(worlds())
def test_generated_worlds_are_the_same_in_pieces(world: World) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outcomes, splits = [], []
        for name, engine in (("whole", EmbeddedEngine), ("pieces", SplitEngine)):
            written = write_world(world, Path(folder, name))
            outcome = build(written, engine, policy=policy_with(Path(folder, name, "policy"), SMALL))
            outcomes.append(told(outcome))
            splits.append(find_split_keys(written, outcome))
        assert outcomes[0] == outcomes[1]
        assert splits[0] == []
        assert all(one["rows"] > 2 and one["pieces"] > 1 and one["looked_back"] >= 0 for one in splits[1])
