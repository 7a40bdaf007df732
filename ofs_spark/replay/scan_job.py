"""The scan job: one task per segment group reads, proves and stages typed rows; the driver stitches the summaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step
from ofs_spark.foundation.columnar.notes import Note, encode_note, read_notes
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.positions import Range
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.replay.completeness import COMPLETE, Completeness, stitch
from ofs_spark.replay.index import SegmentIndex
from ofs_spark.replay.parts import Part, ScannedFile, Staged, stage_parts
from ofs_spark.replay.scan.segment import Document, scan_task
from ofs_spark.replay.scan.spec import ScanSpec, ScanTask
from ofs_spark.replay.segment_groups import plan_scan


@dataclass(frozen=True)
class SummaryNote(Note):
    """What one task of the scan found: `scan_task`'s summary, and the file of its rows if there are any."""

    kind: ClassVar[str] = "summary"
    summary: Document
    staged: ScannedFile | None

    def to_note(self) -> dict[str, Any]:
        """JSON-ready: the summary as it stands, which copying would make the dearest part of a scan of many ranges."""
        return {"summary": self.summary, "staged": None if self.staged is None else self.staged.to_document()}

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        staged = content["staged"]
        if staged is None:
            return cls(content["summary"], None)
        parts = tuple(Part(**one) for one in staged["parts"])
        return cls(content["summary"], ScannedFile(**{**staged, "parts": parts}))


@dataclass(frozen=True)
class ScanSegmentGroup:
    """The work of one task: its summary as a note, its rows as a staged file in `folder`, in parts of `shares`."""

    objects: Objects
    spec: ScanSpec
    folder: OwnedRef
    shares: int

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """One `SummaryNote`."""
        task = ScanTask.from_bytes(bytes(next(chunks)))
        summary, rows = scan_task(task, self.objects, self.spec)
        staged = None
        if rows.num_rows:
            staged = stage_parts(self.objects, self.folder, rows, self.shares)
        yield encode_note(SummaryNote(summary, staged))


@dataclass(frozen=True)
class Scan:
    """What is known of a basis, from a scan or from the record of one, and the files of its rows, by ref."""

    completeness: Completeness
    staged: Sequence[Staged]

    @property
    def is_proven(self) -> bool:
        """Whether it is complete, and refuses nothing."""
        return self.completeness.status == COMPLETE and not self.completeness.faults


def scan_basis(
    engine: Engine,
    objects: Objects,
    index: SegmentIndex,
    basis: Sequence[Range],
    spec: ScanSpec,
    folder: OwnedRef,
    training: bool,
    shares: int = 1,
) -> Scan:
    """What the archive proves of the basis, and the staged rows. Nothing is refused here: `Completeness.faults` says it.

    shares: of the event ids, by which each file is laid out; a power of two.
    """
    tasks = [task.to_bytes() for task in plan_scan(index, basis)]
    notes = read_notes(
        engine.run(tasks, [Step("scan", ScanSegmentGroup(objects, spec, folder, shares), 0)]), SummaryNote
    )
    completeness = stitch(index, basis, [one.summary for one in notes], training)
    staged = [_carry_arrival(one.staged, one.summary, completeness) for one in notes if one.staged]
    return Scan(completeness, sorted(staged, key=lambda file: file.ref))


def _carry_arrival(file: ScannedFile, summary: Document, completeness: Completeness) -> Staged:
    before = completeness.carry_in[summary["partition_ordinal"], summary["segment_group"]]
    return Staged(file.ref, file.sha256, file.rows, file.bytes, file.shares, file.parts, file.is_packed, before)
