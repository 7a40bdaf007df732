"""How work is spread: columnar chunks, steps over them, and the engine that runs the steps.

Rows travel between workers as *chunks*: one Arrow record batch, encoded once, addressed to one target. The engine
moves chunks, never rows, so an exchange costs a memory copy per column instead of a conversion per value
(docs/adr/0002). A step is a plain picklable callable that sees every chunk of its target and nothing else; it runs
the same under Spark and in the in-memory twin.

A step reports to the driver by *notes*: small JSON documents (a summary, a written file, a fault; `notes.py` has their
types). Notes pass through later steps untouched and are the only thing the driver receives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import pyarrow as pa

Body: TypeAlias = bytes | pa.Buffer

CODED = pa.dictionary(pa.int32(), pa.string())
"""Texts of few values travel as codes."""

DRIVER = -1
"""Target of a note: the driver."""


@dataclass(frozen=True)
class Chunk:
    """Bytes for one target: 0 ≤ target < width of the step that emitted it, or DRIVER for a note."""

    target: int
    body: Body


class Work(Protocol):
    """One target's share of a step. `chunks` come in no particular order; a target without chunks is not called."""

    def __call__(self, target: int, chunks: Iterator[Body], /) -> Iterator[Chunk]:
        """The chunks and notes that target `target` sends on."""
        ...


@dataclass(frozen=True)
class Step:
    """A work and the number of targets its output is spread over (0: it only writes notes)."""

    name: str
    work: Work
    width: int


def encode_chunk(kind: str, table: pa.Table | pa.RecordBatch) -> pa.Buffer:
    """A table as chunk bytes, tagged with the kind of rows it holds."""
    tagged = table.replace_schema_metadata({b"kind": kind.encode()})
    size = pa.MockOutputStream()
    _write(size, tagged)
    body = pa.allocate_buffer(size.size())  # sized first: a growing buffer costs ten times the copy
    _write(pa.FixedSizeBufferWriter(body), tagged)
    return body


def _write(sink: pa.NativeFile, table: pa.Table | pa.RecordBatch) -> None:
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)


def gather_chunks(chunks: Iterable[Body]) -> dict[str, pa.Table]:
    """Chunks put together again: kind → one table of all rows of that kind, in no particular order."""
    parts: dict[str, list[pa.Table]] = {}
    for body in chunks:
        table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
        parts.setdefault(table.schema.metadata[b"kind"].decode(), []).append(table)
    return {kind: pa.concat_tables(tables).combine_chunks() for kind, tables in parts.items()}
