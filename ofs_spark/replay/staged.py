"""Staged rows: tables that one job leaves for the next, as files named by their digest, written once and proven when read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import read_values
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step
from ofs_spark.foundation.columnar.notes import Note, encode_note, read_notes
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge, Put
from ofs_spark.foundation.refs import OwnedRef, name_staged_rows
from ofs_spark.replay import rows as r

LOST_ROWS = "MATERIALIZATION_CORRUPT"
"""Code of the refusal of a staged file that is gone, or is not the one that its name says."""


@dataclass(frozen=True)
class StagedFile:
    """One file of typed rows: ref, sha256, rows, and its length."""

    ref: str
    sha256: str
    rows: int
    bytes: int


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


def prove_staged(engine: Engine, objects: Objects, staged: Sequence[StagedFile]) -> bool:
    """Whether every staged file is there and whole; workers read them."""
    tasks = [json.dumps([file.ref, file.sha256]).encode() for file in staged]
    proofs = read_notes(engine.run(tasks, [Step("prove", ProveStaged(objects), 0)]), ProofNote)
    return len(proofs) == len(tasks) and all(one.is_whole for one in proofs)


def stage_rows(objects: Objects, folder: OwnedRef, rows: pa.Table) -> StagedFile:
    """Writes rows as a file of the folder."""
    body = _encode_rows(rows)
    return StagedFile(*put_staged(objects, folder, body), rows.num_rows, len(body))


def put_staged(objects: Objects, folder: OwnedRef, body: bytes) -> tuple[OwnedRef, str]:
    """Writes a body as a file of the folder: its ref, and the SHA-256 that names it.

    What stands there with other bytes was damaged: it is mended. No disk is waited for: whoever reads it proves it, and
    an attempt that finds it gone after a power cut reads the archive again.
    """
    sha256 = hashlib.sha256(body).hexdigest()
    ref = name_staged_rows(folder, sha256)
    if objects.put_unsynced(ref, body) is Put.EXISTS and not _is_whole(objects, ref, sha256):
        objects.replace(ref, body)
    return ref, sha256


def read_staged(objects: Objects, file: StagedFile, proven: bool = False) -> pa.Table:
    """The rows of a staged file. LOST_ROWS for other bytes than were written, or none; errors of the store.

    proven: whether another task of the same job proves it; then only its length is compared.
    """
    try:
        body = objects.read(file.ref, file.bytes)
    except (ObjectMissing, ObjectTooLarge):
        body = b""
    if len(body) != file.bytes or not (proven or hashlib.sha256(body).hexdigest() == file.sha256):
        raise refuse_lost(file.ref)
    return pa.ipc.open_stream(body).read_all()


def refuse_lost(ref: str) -> Refusal:
    """LOST_ROWS of a staged file."""
    return refuse(LOST_ROWS, "staged rows are not the ones that were written", ref=ref)


def raise_arrival(table: pa.Table, before: int) -> pa.Table:
    """Typed rows of a scan with the running arrival of their whole partition. before: what it brings along."""
    arrival = np.maximum(read_values(table, r.ARRIVAL), before)
    return table.set_column(table.schema.get_field_index(r.ARRIVAL), r.ARRIVAL, pa.array(arrival))


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
