"""The scan job: one task per segment group reads, proves and stages typed rows; the driver stitches the summaries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step, make_note
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.positions import Range
from ofs_spark.replay.completeness import Completeness, stitch
from ofs_spark.replay.index import SegmentIndex, plan_scan
from ofs_spark.replay.scan.segment import scan_task
from ofs_spark.replay.scan.spec import ScanSpec, ScanTask


@dataclass(frozen=True)
class Staged:
    """One file of typed rows: ref, sha256, rows, and the running arrival its partition brings along."""

    ref: str
    sha256: str
    rows: int
    arrival_before: int


@dataclass(frozen=True)
class ScanSegmentGroup:
    """The work of one task: its summary as a note, its rows as a staged file in `folder`."""

    objects: Objects
    spec: ScanSpec
    folder: str

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """One `summary` note."""
        task = ScanTask.from_bytes(bytes(next(chunks)))
        summary, rows = scan_task(task, self.objects, self.spec)
        staged: dict[str, Any] | None = None
        if rows.num_rows:
            body = _stored(rows)
            ref = f"{self.folder}/{task.partition_ordinal:05d}-{task.segment_group:08d}.arrow"
            self.objects.put_if_absent(ref, body)
            staged = {"ref": ref, "sha256": hashlib.sha256(body).hexdigest(), "rows": rows.num_rows}
        yield make_note("summary", summary=summary, staged=staged)


def scan_basis(
    engine: Engine,
    objects: Objects,
    index: SegmentIndex,
    basis: Sequence[Range],
    spec: ScanSpec,
    folder: str,
    training: bool,
) -> tuple[Completeness, list[Staged]]:
    """What the archive proves of the basis, and the staged rows. Nothing is refused here: `Completeness.faults` says it."""
    tasks = [task.body() for task in plan_scan(index, basis)]
    notes = engine.run(tasks, [Step("scan", ScanSegmentGroup(objects, spec, folder), 0)])
    completeness = stitch(index, basis, [one["summary"] for one in notes], training)
    staged = [_staged(one["staged"], one["summary"], completeness) for one in notes if one["staged"]]
    return completeness, sorted(staged, key=lambda file: file.ref)


def _staged(file: Mapping[str, Any], summary: Mapping[str, Any], completeness: Completeness) -> Staged:
    return Staged(**file, arrival_before=completeness.carry_in[summary["partition_ordinal"], summary["segment_group"]])


def _stored(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())
