"""Re-reading a table: every file's bytes, rows, schema and leaf digests, recomputed by workers and added up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step
from ofs_spark.foundation.columnar.notes import Fault, encode_note, read_notes
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.publish import verify
from ofs_spark.publish.file_list import read_table_file
from ofs_spark.publish.model import FileEntry


@dataclass(frozen=True)
class VerifyFile:
    """The work of one file: its `FileCheck`, or a `Fault`."""

    objects: Objects
    checks: verify.Checks

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """One note."""
        entry = FileEntry.from_document(json.loads(bytes(next(chunks))))
        try:
            yield encode_note(verify.verify_file(read_table_file(self.objects, entry), entry, self.checks))
        except Refusal as refusal:
            yield encode_note(Fault.from_refusal(refusal))


def verify_table(
    engine: Engine, objects: Objects, entries: Sequence[FileEntry], checks: verify.Checks
) -> verify.FileCheck:
    """What all files say together; refuses with the first file's fault, files by path."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    tasks = [json.dumps(entry.to_document()).encode() for entry in ordered]
    notes = engine.run(tasks, [Step("verify", VerifyFile(objects, checks), 0)])
    refused = sorted(read_notes(notes, Fault), key=lambda fault: str(fault.details.get("ref")))
    if refused:
        raise refused[0].make_refusal()
    return verify.add_checks(read_notes(notes, verify.FileCheck))
