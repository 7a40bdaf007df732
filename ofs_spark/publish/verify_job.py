"""Re-reading a table: every file's bytes, rows, schema and leaf digests, recomputed by workers and added up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step, make_note
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects
from ofs_spark.publish import verify
from ofs_spark.publish.model import FileEntry


@dataclass(frozen=True)
class VerifyFile:
    """The work of one file: a `checked` note with its counts, or a `refusal` note."""

    objects: Objects
    checks: verify.Checks

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """One note."""
        entry = FileEntry.from_document(json.loads(bytes(next(chunks))))
        try:
            yield make_note("checked", **verify.verify_file(self._body(entry), entry, self.checks).document())
        except Refusal as refusal:
            yield make_note("refusal", code=refusal.code, message=refusal.message, details=refusal.details)

    def _body(self, entry: FileEntry) -> bytes:
        try:
            return self.objects.read(entry.path)
        except ObjectMissing:
            raise refuse("MATERIALIZATION_CORRUPT", f"{entry.path} is missing", ref=entry.path) from None


def verify_table(
    engine: Engine, objects: Objects, entries: Sequence[FileEntry], checks: verify.Checks
) -> verify.FileCheck:
    """What all files say together; refuses with the first file's fault, files by path."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    tasks = [json.dumps(entry.document()).encode() for entry in ordered]
    notes = engine.run(tasks, [Step("verify", VerifyFile(objects, checks), 0)])
    refused = sorted((one for one in notes if one["note"] == "refusal"), key=lambda one: str(one["details"].get("ref")))
    if refused:
        raise refuse(refused[0]["code"], refused[0]["message"], **refused[0]["details"])
    return verify.add_checks([one for one in notes if one["note"] == "checked"])
