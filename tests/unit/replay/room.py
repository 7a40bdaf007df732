"""The replay room alone: a world on disk, scanned, stitched and deduped without any engine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.ports import ObjectMissing, Put, Tail
from ofs_spark.foundation.positions import Range, Slice, resolve_basis
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r
from ofs_spark.replay.accounts import ReplayTotals, close_accounts
from ofs_spark.replay.anchors import AnchorRule, RowFilter
from ofs_spark.replay.completeness import Completeness, stitch
from ofs_spark.replay.dedupe import EventAccount, find_first_events, find_truncation_bound, pick_winners
from ofs_spark.replay.index import SegmentIndex, prove_index
from ofs_spark.replay.scan.segment import scan_task
from ofs_spark.replay.scan.spec import ScanSpec, ScanTask
from ofs_spark.replay.segment_groups import plan_scan
from tests.worlds.model import RUN, World
from tests.worlds.writer import Layout, Written, write_world

AS_DRAWN = Layout()
NOTHING = Program("world", "v1", (), (), (), (), ())


@dataclass(frozen=True)
class Folder:
    """The objects of one folder, for reading."""

    root: Path

    def read(self, ref: str, _most: int | None = None, /) -> bytes:
        try:
            return (self.root / ref).read_bytes()
        except FileNotFoundError:
            raise ObjectMissing(ref) from None

    def read_tail(self, ref: str, most: int, /) -> Tail:
        raise NotImplementedError

    def read_range(self, ref: str, start: int, most: int, /) -> bytes:
        raise NotImplementedError

    def digest(self, ref: str, /) -> str:
        raise NotImplementedError

    def exists(self, ref: str) -> bool:
        return (self.root / ref).exists()

    def list_below(self, ref: str) -> list[str]:
        raise NotImplementedError

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        raise NotImplementedError

    def put_unsynced(self, ref: str, body: bytes) -> Put:
        raise NotImplementedError

    def replace(self, ref: str, body: bytes) -> None:
        raise NotImplementedError

    def swap(self, ref: str, seen: bytes, body: bytes) -> bool:
        raise NotImplementedError

    def relative(self, ref: str) -> str:
        return ref

    def locate(self, ref: str) -> str:
        return str(self.root / ref)


@dataclass(frozen=True)
class Replayed:
    """What the room found: the winners' typed rows in (part, seq) order, and its account."""

    table: pa.Table
    completeness: Completeness
    facts: ReplayTotals | None
    bound: int | None
    basis: tuple[Range, ...]
    index: SegmentIndex

    @property
    def codes(self) -> set[str]:
        found = (*self.completeness.faults, *(self.facts.faults if self.facts else ()))
        return {fault.code for fault in found}


def basis_of(world: World) -> tuple[Range, ...]:
    return resolve_basis([Slice(**one) for one in world.intent["replay_basis"]])


def spec_of(world: World, program: Program = NOTHING) -> ScanSpec:
    filters, scope = world.intent.get("filters") or {}, world.intent.get("join_scope") or {}
    inputs = ("label_types", "label_coverage_policy", "event_types")
    rows = tuple(RowFilter(n, tuple(map(constant, v))) for n, v in filters.items() if n not in inputs)
    span = (world.intent.get("output") or {}).get("anchor_time") or {}
    first, end = (parse_instant(span[name]) if name in span else None for name in ("from", "to"))
    types, anchors = filters.get("event_types"), scope.get("anchor_event_types")
    return ScanSpec(
        RUN, program, tuple(world.intent.get("scenario_run_ids") or ()), None if types is None else tuple(types),
        AnchorRule(None if anchors is None else tuple(anchors), rows, first, end),
        arrival=world.policy.get("arrival", "published_at_utc"),
    )  # fmt: skip


def constant(value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return ("bool", json.dumps(value))
    return ("string", value) if isinstance(value, str) else ("number", str(value))


def scanned(world: World, root: Path, layout: Layout = AS_DRAWN, program: Program = NOTHING) -> tuple[Written, Any]:
    """The world written out, and (index, tasks, results of every task)."""
    written = write_world(world, root, layout)
    index = prove_index(json.loads(written.index.read_text()), RUN)
    tasks = plan_scan(index, basis_of(world))
    spec = spec_of(world, program)
    return written, (
        index,
        tasks,
        [scan_task(ScanTask.from_bytes(t.to_bytes()), Folder(written.root), spec) for t in tasks],
    )


def replayed(
    world: World, root: Path, training: bool, layout: Layout = AS_DRAWN, program: Program = NOTHING
) -> Replayed:
    _, (index, tasks, results) = scanned(world, root, layout, program)
    return account(world, index, tasks, results, training)


def account(
    world: World,
    index: SegmentIndex,
    tasks: Iterable[ScanTask],
    results: Iterable[tuple[Any, pa.Table]],
    training: bool,
) -> Replayed:
    basis, results = basis_of(world), list(results)
    summaries = [json.loads(json.dumps(summary)) for summary, _ in results]
    completeness = stitch(index, basis, reversed(summaries), training)
    if any(summary["faults"] for summary in summaries):
        return Replayed(pa.table({}), completeness, None, None, basis, index)
    if not results:
        return Replayed(
            pa.table({}), completeness, close_accounts(completeness, basis, [], training), None, basis, index
        )
    table = pa.concat_tables([carried(t, rows, completeness) for t, (_, rows) in zip(tasks, results, strict=True)])
    found = pick_winners(table)
    facts = close_accounts(
        completeness, basis, [EventAccount(**json.loads(json.dumps(asdict(found.account))))], training
    )
    bound = find_truncation_bound(find_first_events(table, found.rows, completeness.slices))
    return Replayed(table.take(pa.array(found.rows)), completeness, facts, bound, basis, index)


def carried(task: ScanTask, rows: pa.Table, completeness: Completeness) -> pa.Table:
    before = completeness.carry_in[(task.partition_ordinal, task.segment_group)]
    arrival = np.maximum(rows.column(r.ARRIVAL).to_numpy(), before)
    return rows.set_column(rows.schema.get_field_index(r.ARRIVAL), r.ARRIVAL, pa.array(arrival))
