"""The work on documents grows with their size and no faster: counted in steps of the interpreter, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.positions import Range, Slice, resolve_basis, select_sources
from ofs_spark.intent.validate import find_intent_faults, read_intent
from ofs_spark.replay.completeness import stitch
from ofs_spark.replay.index import Segment, SegmentIndex, select_segments
from ofs_spark.replay.receipt import compose_replay_receipt
from ofs_spark.replay.scan.spec import DeclaredGap, ScanTask, SegmentFile
from ofs_spark.replay.segment_groups import plan_scan
from tests.spec.intents import BASE, raw
from tests.worlds.model import RUN

SMALL, LARGE = 60, 480
GROWTH = LARGE / SMALL
TOLERATED = 1.4
"""A step of n log n grows by a fifth more than n here; one of n² by eight times."""


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many instructions of Python run inside: the same on every machine."""
    steps = [0]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps[0] += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)


def count(work: Callable[[], Any]) -> int:
    with counted() as steps:
        work()
    return steps[0]


def indexed(size: int, kind: str, gaps: bool) -> SegmentIndex:
    """`size` linked segments of four offsets, each with a gap after it where asked for."""
    sparse = kind == "kinesis_sequence"
    segments = []
    for n in range(size):
        first, last = 8 * n, 8 * n + 3
        file = SegmentFile(f"{n:06d}", 1, "0" * 64, first, last, 4)
        declared = (DeclaredGap(last + 1, last + 4, n % 2 == 0),) if gaps else ()
        start = sparse and not n
        segments.append(
            Segment("t", 0, kind, file, None if start else first - 5, start, True, declared, {"path": file.path})
        )
    return SegmentIndex(RUN, "0" * 64, tuple(segments))


def sliced(size: int, kind: str) -> tuple[Range, ...]:
    """A slice of two offsets in every segment."""
    return resolve_basis([Slice("t", 0, kind, str(8 * n + 1), str(8 * n + 2)) for n in range(size)])


def summarise(task: ScanTask, broken: bool) -> dict[str, Any]:
    reached = [one.ordinal for one in task.ranges]
    entries = [{"ordinal": n, "positions": 2, "first_seq": 0, "last_seq": 1} for n in reached]
    holes = [{"ordinal": n, "count": int(broken), "sample": [["1", "1"]] * broken} for n in reached]
    counts = ("delivered", "positions", "position_duplicates", "mismatches", "out_of_run_scope", "invalid", "valid")
    return {
        "partition_ordinal": task.partition_ordinal, "segment_group": task.segment_group, "faults": [], "reasons": {},
        "reached": reached, "ranges": entries, "missing": holes, "unattested": [], "counts": dict.fromkeys(counts, 2),
        "samples": {"mismatch": [], "invalid": []}, "max_arrival": None,
    }  # fmt: skip


def prove(size: int, kind: str, broken: bool = False) -> None:
    index, basis = indexed(size, kind, kind == "kafka_offset"), sliced(size, kind)
    tasks = plan_scan(index, basis)
    assert len(tasks) == len(select_segments(index, basis)) == size
    stitch(index, basis, [summarise(task, broken) for task in tasks], training=True)


def receive(size: int) -> None:
    index, basis = indexed(size, "kafka_offset", True), sliced(size, "kafka_offset")
    found = stitch(index, basis, [summarise(task, False) for task in plan_scan(index, basis)], training=True)
    compose_replay_receipt("a" * 32, "b" * 64, index, basis, select_sources(basis), found, None, "published_at_utc")


def ask(size: int, **changes: str) -> dict[str, Any]:
    one = dict(BASE["replay_basis"][0])
    own = [{**one, "start_offset": str(8 * n), "end_offset": str(8 * n + 3), **changes} for n in range(size)]
    return {**BASE, "replay_basis": own}


WORK: dict[str, Callable[[int], Any]] = {
    "a dense index and its gaps": lambda size: prove(size, "kafka_offset"),
    "a dense index whose every slice has a hole": lambda size: prove(size, "kafka_offset", broken=True),
    "a sparse index": lambda size: prove(size, "kinesis_sequence"),
    "the replay receipt": receive,
    "an intent of many slices": lambda size: read_intent(raw(ask(size))),
    "an intent whose every slice breaks the schema": lambda size: find_intent_faults(ask(size, start_offset="x")),
    "an intent whose every slice ends before it starts": lambda size: find_intent_faults(ask(size, end_offset="0")),
    "an intent of both kinds of faults": lambda size: find_intent_faults(
        {
            **BASE,
            "replay_basis": ask(size, start_offset="x")["replay_basis"] + ask(size, end_offset="0")["replay_basis"],
        }
    ),
    "unknown members": lambda size: find_faults({**BASE, **{f"k{n}": 1 for n in range(size)}}, BASE["schema_version"]),
    "a list of many names": lambda size: read_intent(raw({**BASE, "scenario_run_ids": [f"s{n}" for n in range(size)]})),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_work_grows_with_the_document(work: Callable[[int], Any]) -> None:
    work(3)  # loads what is loaded once
    nothing, small, large = count(lambda: work(1)), count(lambda: work(SMALL)), count(lambda: work(LARGE))
    assert (large - nothing) <= TOLERATED * GROWTH * (small - nothing)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("the replay receipt", 9_000),
        ("an intent of many slices", 2_500),
        ("a dense index whose every slice has a hole", 4_400),
    ],
)
def test_a_slice_costs_few_instructions(name: str, most: int) -> None:
    """Some ten million instructions of Python take a second: 30,000 slices take seconds, not a minute."""
    work = WORK[name]
    work(3)
    assert count(lambda: work(201)) - count(lambda: work(1)) <= 200 * most
