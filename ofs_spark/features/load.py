"""The first step of the build job: labels enter the exchange by event id, and word of where a target's event rows are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.features.ports import Attachment
from ofs_spark.features.routing import split_chunks
from ofs_spark.foundation.columnar.arrays import combine_chunks
from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, encode_chunk
from ofs_spark.foundation.columnar.hashing import route_texts
from ofs_spark.foundation.columnar.notes import Fault, encode_note
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.labels import model as m
from ofs_spark.labels.assertions import fetch_assertions, select_relevant
from ofs_spark.labels.fingerprint import route_identities
from ofs_spark.replay import rows as r
from ofs_spark.replay.parts import Staged, address_parts
from ofs_spark.replay.staged import StagedFile, read_staged

LABELS = "label"
LABEL_IDENTITIES = "label_identity"
PIECES = "piece"
"""Kind of the chunks that say where a target's event rows are."""
MOST_PARTS = 8192
"""Parts that one task addresses: some megabytes of their descriptions."""


def encode_tasks(staged: Sequence[Staged], files: Sequence[m.ExtractFile]) -> list[bytes]:
    """The tasks that address the parts of staged files, some thousand each, and those that load the label extract's.

    Each says whether event ids are read as texts: they are of one type in all rows of a job.
    """
    unpacks = not all(one.is_packed for one in staged)
    groups: list[list[Staged]] = []
    held = MOST_PARTS
    for one in staged:
        held += len(one.parts)
        if held > MOST_PARTS:
            groups.append([])
            held = len(one.parts)
        groups[-1].append(one)
    tasks: list[dict[str, Any]] = [
        *({"staged": [one.to_document() for one in group], "unpacks": unpacks} for group in groups),
        *({"labels": asdict(one)} for one in files),
    ]
    return [json.dumps(task).encode() for task in tasks]


def encode_attachment_task(file: StagedFile) -> bytes:
    """The task that loads a staged file of rows that are attached to events."""
    return json.dumps({"attached": asdict(file)}).encode()


@dataclass(frozen=True)
class Load:
    """Reads one task's file and routes its rows by event id (label identities by assertion id); addresses staged parts.

    label_key: 16 bytes of the extract's digest, for the content hashes of its assertions. int96_is_utc: whether its
    INT96 columns are times. most_decoded: bytes that one file may decode to. attachment: what rows of other files are.
    """

    objects: Objects
    platform_run_id: str
    label_types: tuple[str, ...]
    label_key: bytes
    width: int
    int96_is_utc: bool = False
    most_decoded: int = MOST_DECODED_BYTES
    attachment: Attachment | None = None

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """Chunks of the exchange by event id; a `Fault` instead where a file is refused."""
        task: dict[str, Any] = json.loads(bytes(next(chunks)))
        try:
            if "staged" in task:
                files = [*map(Staged.from_document, task["staged"])]
                for target, pieces in address_parts(files, self.width, task["unpacks"]):
                    yield Chunk(target, encode_chunk(PIECES, pieces))
            elif self.attachment is not None and "attached" in task:
                rows = read_staged(self.objects, StagedFile(**task["attached"]))
                yield from self._route(self.attachment.kind, rows, r.EVENT_ID)
            else:
                yield from self._send_labels(m.ExtractFile(**task["labels"]))
        except Refusal as refusal:
            yield encode_note(Fault.from_refusal(refusal))

    def _send_labels(self, file: m.ExtractFile) -> Iterator[Chunk]:
        assertions = fetch_assertions(self.objects, file, self.label_key, self.int96_is_utc, self.most_decoded)
        yield from self._route(LABELS, select_relevant(assertions, self.platform_run_id, self.label_types), m.EVENT_ID)
        known = assertions.select([m.IDENTITY])
        targets = route_identities(combine_chunks(known.column(m.IDENTITY)), self.width)
        yield from split_chunks(LABEL_IDENTITIES, known, targets, np.arange(known.num_rows), self.width)

    def _route(self, kind: str, table: pa.Table, key: str) -> Iterator[Chunk]:
        target = route_texts(combine_chunks(table.column(key)), self.width)
        yield from split_chunks(kind, table, target, np.arange(table.num_rows), self.width)
