"""The first step of the build job: staged event rows and label files enter the exchange by event id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.features.ports import Attachment
from ofs_spark.features.routing import EVENTS, split_chunks
from ofs_spark.foundation.columnar.arrays import combine_chunks
from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES
from ofs_spark.foundation.columnar.dataflow import Body, Chunk
from ofs_spark.foundation.columnar.hashing import route_texts
from ofs_spark.foundation.columnar.notes import Fault, encode_note
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.labels import model as m
from ofs_spark.labels.assertions import fetch_assertions, select_relevant
from ofs_spark.labels.fingerprint import route_identities
from ofs_spark.replay import rows as r
from ofs_spark.replay.staged import Staged, StagedFile, read_rows, read_staged

LABELS = "label"
LABEL_IDENTITIES = "label_identity"


def encode_task(file: Staged | m.ExtractFile) -> bytes:
    """The task that loads a staged file of event rows, or a file of the label extract."""
    return json.dumps({"staged" if isinstance(file, Staged) else "labels": asdict(file)}).encode()


def encode_attachment_task(file: StagedFile) -> bytes:
    """The task that loads a staged file of rows that are attached to events."""
    return json.dumps({"attached": asdict(file)}).encode()


@dataclass(frozen=True)
class Load:
    """Reads one task's file and routes its rows by event id (label identities by assertion id).

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
                yield from self._send_events(Staged(**task["staged"]))
            elif self.attachment is not None and "attached" in task:
                rows = read_staged(self.objects, StagedFile(**task["attached"]))
                yield from self._route(self.attachment.kind, rows, r.EVENT_ID)
            else:
                yield from self._send_labels(m.ExtractFile(**task["labels"]))
        except Refusal as refusal:
            yield encode_note(Fault.from_refusal(refusal))

    def _send_events(self, task: Staged) -> Iterator[Chunk]:
        yield from self._route(EVENTS, read_rows(self.objects, task), r.EVENT_ID)

    def _send_labels(self, file: m.ExtractFile) -> Iterator[Chunk]:
        assertions = fetch_assertions(self.objects, file, self.label_key, self.int96_is_utc, self.most_decoded)
        yield from self._route(LABELS, select_relevant(assertions, self.platform_run_id, self.label_types), m.EVENT_ID)
        known = assertions.select([m.IDENTITY])
        targets = route_identities(combine_chunks(known.column(m.IDENTITY)), self.width)
        yield from split_chunks(LABEL_IDENTITIES, known, targets, np.arange(known.num_rows), self.width)

    def _route(self, kind: str, table: pa.Table, key: str) -> Iterator[Chunk]:
        target = route_texts(combine_chunks(table.column(key)), self.width)
        yield from split_chunks(kind, table, target, np.arange(table.num_rows), self.width)
