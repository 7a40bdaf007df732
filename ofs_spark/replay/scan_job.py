"""The scan job: one task per segment group reads, proves and stages typed rows; the driver stitches the summaries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pyarrow as pa

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step
from ofs_spark.foundation.columnar.notes import Note, encode_note, read_notes
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge, Put
from ofs_spark.foundation.positions import Range
from ofs_spark.foundation.refs import OwnedRef, name_staged_rows
from ofs_spark.replay.completeness import COMPLETE, Completeness, stitch
from ofs_spark.replay.index import SegmentIndex
from ofs_spark.replay.scan.segment import Document, scan_task
from ofs_spark.replay.scan.spec import ScanSpec, ScanTask
from ofs_spark.replay.segment_groups import plan_scan


@dataclass(frozen=True)
class StagedFile:
    """One file of typed rows: ref, sha256, rows, and its length."""

    ref: str
    sha256: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Staged(StagedFile):
    """A staged file and the running arrival that its partition brings along."""

    arrival_before: int


@dataclass(frozen=True)
class SummaryNote(Note):
    """What one task of the scan found: `scan_task`'s summary, and the file of its rows if there are any."""

    kind: ClassVar[str] = "summary"
    summary: Document
    staged: StagedFile | None

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        staged = content["staged"]
        return cls(content["summary"], None if staged is None else StagedFile(**staged))


@dataclass(frozen=True)
class ScanSegmentGroup:
    """The work of one task: its summary as a note, its rows as a staged file in `folder`, named by its digest."""

    objects: Objects
    spec: ScanSpec
    folder: OwnedRef

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """One `SummaryNote`."""
        task = ScanTask.from_bytes(bytes(next(chunks)))
        summary, rows = scan_task(task, self.objects, self.spec)
        staged = None
        if rows.num_rows:
            staged = put_staged_rows(self.objects, self.folder, rows)
        yield encode_note(SummaryNote(summary, staged))


@dataclass(frozen=True)
class ProofNote(Note):
    """Whether a staged file is there, with the bytes that its name says."""

    kind: ClassVar[str] = "staged_proof"
    is_whole: bool


@dataclass(frozen=True)
class ProveStaged:
    """The work of proving one staged file."""

    objects: Objects

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """One `ProofNote`."""
        ref, sha256 = json.loads(bytes(next(chunks)))
        yield encode_note(ProofNote(_is_whole(self.objects, ref, sha256)))


@dataclass(frozen=True)
class Scan:
    """What is known of a basis, from a scan or from the record of one, and the files of its rows, by ref."""

    completeness: Completeness
    staged: Sequence[Staged]

    @property
    def is_proven(self) -> bool:
        """Whether it is complete, and refuses nothing."""
        return self.completeness.status == COMPLETE and not self.completeness.faults


def prove_staged(engine: Engine, objects: Objects, staged: Sequence[StagedFile]) -> bool:
    """Whether every staged file is there and whole; workers read them."""
    tasks = [json.dumps([file.ref, file.sha256]).encode() for file in staged]
    proofs = read_notes(engine.run(tasks, [Step("prove", ProveStaged(objects), 0)]), ProofNote)
    return len(proofs) == len(tasks) and all(one.is_whole for one in proofs)


def scan_basis(
    engine: Engine,
    objects: Objects,
    index: SegmentIndex,
    basis: Sequence[Range],
    spec: ScanSpec,
    folder: OwnedRef,
    training: bool,
) -> Scan:
    """What the archive proves of the basis, and the staged rows. Nothing is refused here: `Completeness.faults` says it."""
    tasks = [task.to_bytes() for task in plan_scan(index, basis)]
    notes = read_notes(engine.run(tasks, [Step("scan", ScanSegmentGroup(objects, spec, folder), 0)]), SummaryNote)
    completeness = stitch(index, basis, [one.summary for one in notes], training)
    staged = [_carry_arrival(one.staged, one.summary, completeness) for one in notes if one.staged]
    return Scan(completeness, sorted(staged, key=lambda file: file.ref))


def _carry_arrival(file: StagedFile, summary: Document, completeness: Completeness) -> Staged:
    before = completeness.carry_in[summary["partition_ordinal"], summary["segment_group"]]
    return Staged(file.ref, file.sha256, file.rows, file.bytes, before)


def put_staged_rows(objects: Objects, folder: OwnedRef, rows: pa.Table) -> StagedFile:
    """Writes rows as a staged file. What stands there with other bytes was damaged, for its name is its digest: it is mended."""
    body = _encode_rows(rows)
    sha256 = hashlib.sha256(body).hexdigest()
    ref = name_staged_rows(folder, sha256)
    if objects.put_if_absent(ref, body) is Put.EXISTS and not _is_whole(objects, ref, sha256):
        objects.replace(ref, body)
    return StagedFile(ref, sha256, rows.num_rows, len(body))


def read_staged_rows(objects: Objects, file: StagedFile) -> pa.Table:
    """The rows of a staged file. MATERIALIZATION_CORRUPT if its bytes are not the ones that were written."""
    try:
        body = objects.read(file.ref, file.bytes)
    except ObjectTooLarge:
        body = b""
    if hashlib.sha256(body).hexdigest() != file.sha256:
        raise refuse("MATERIALIZATION_CORRUPT", "staged rows are not the ones that were written", ref=file.ref)
    return pa.ipc.open_stream(body).read_all()


def _is_whole(objects: Objects, ref: str, sha256: str) -> bool:
    """Whether a staged file is there, as its name says. One that cannot be read is not."""
    try:
        return objects.digest(ref) == sha256
    except (ObjectMissing, Refusal, OSError):
        return False


def _encode_rows(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())
