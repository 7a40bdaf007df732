"""Values logged at decision time, read by workers: each keeps its share as staged rows, and says what is wrong with it.

A file is Parquet if it ends as one does, else JSON lines. A line that cannot be read refuses the file, with every such
line; a line that can be read and not be compared is counted under its reason and named. Nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step
from ofs_spark.foundation.columnar.notes import Fault, Note, encode_note, read_notes
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.contracts import describe_more
from ofs_spark.foundation.documents import MOST_LISTED
from ofs_spark.foundation.errors import Refusal, refuse, show_text
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.parity.logged_bytes import CODE, MAGIC, FileBytes, LoggedFile
from ofs_spark.parity.logged_lines import read_lines
from ofs_spark.parity.logged_rows import LineFault, LoggedRows
from ofs_spark.parity.logged_table import read_table
from ofs_spark.parity.values import type_values
from ofs_spark.replay.staged import StagedFile, stage_rows

MOST_NAMED = 20
"""Rows named under one reason, the first ones of the file."""
_SHARE = 128 * 1024**2
_SHARES = 64

EVENT_ID, COLUMN, TEXT, NUMBER, LINE, LOGGED_AT = "event_id", "column", "text", "number", "line", "logged_at"
STAGED = pa.schema(
    [
        (EVENT_ID, pa.string()),
        (COLUMN, pa.int32()),
        (TEXT, pa.string()),
        (NUMBER, pa.float64()),
        (LINE, pa.int64()),
        (LOGGED_AT, pa.int64()),
    ]
)
"""Staged rows: the column by its place among those of the set, the value as `values.Typed` has it, the time in µs."""

Reason = Literal[
    "COLUMN_UNKNOWN", "VALUE_UNREADABLE", "EVENT_UNKNOWN", "EVENT_NOT_ANCHOR", "LOGGED_BEFORE_EVENT", "VALUES_CONFLICT"
]
"""Why a row cannot be compared, in the order in which it is asked."""


@dataclass(frozen=True)
class Named:
    """A row of the file that is told of: its line from 1, its event, its column; of the last two as much as is shown."""

    line: int
    event_id: str
    column: str


@dataclass(frozen=True)
class Unchecked(Note):
    """Rows that cannot be compared, for one reason; the first of them are named."""

    kind: ClassVar[str] = "unchecked"
    reason: Reason
    count: int
    first: Sequence[Named]

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        return cls(content["reason"], content["count"], [Named(**one) for one in content["first"]])


@dataclass(frozen=True)
class LoggedNote(Note):
    """What one share of a file came to: its rows, the staged files of those that go on, its faults (the first ones)."""

    kind: ClassVar[str] = "logged"
    rows: int
    staged: Sequence[StagedFile] = field(default_factory=list)
    fault_count: int = 0
    faults: Sequence[LineFault] = field(default_factory=list)

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        staged = [StagedFile(**one) for one in content["staged"]]
        return cls(content["rows"], staged, content["fault_count"], [LineFault(**one) for one in content["faults"]])


@dataclass(frozen=True)
class Logged:
    """A file that every line of was read: its rows, the staged files of those that may be compared, the others."""

    file: LoggedFile
    rows: int
    staged: Sequence[StagedFile]
    unchecked: Sequence[Unchecked]


def read_logged(
    engine: Engine,
    objects: Objects,
    file: LoggedFile,
    columns: Sequence[tuple[str, str]],
    folder: OwnedRef,
    most_decoded: int,
) -> Logged:
    """The file's rows, staged in `folder`. columns: (name, type) of the features; most_decoded: bytes of a Parquet file.

    PARITY_ANCHOR_INVALID with every line that cannot be read (MOST_LISTED of them listed), or for a file that changed.
    """
    of = min(_SHARES, max(1, -(-file.bytes // _SHARE)))
    work = ReadShare(objects, file, tuple(columns), folder, of, most_decoded)
    notes = engine.run([str(share).encode() for share in range(of)], [Step("logged values", work, 0)])
    refused = sorted(read_notes(notes, Fault), key=lambda fault: (fault.code, fault.message))
    if refused:
        raise refused[0].make_refusal()
    shares = read_notes(notes, LoggedNote)
    faults = sorted((fault for share in shares for fault in share.faults), key=lambda fault: fault.line)
    if faults:
        raise _refuse_lines(file.ref, faults, sum(share.fault_count for share in shares))
    staged = sorted((one for share in shares for one in share.staged), key=lambda one: one.ref)
    return Logged(file, sum(share.rows for share in shares), staged, add_unchecked(read_notes(notes, Unchecked)))


def _refuse_lines(ref: str, faults: Sequence[LineFault], count: int) -> Refusal:
    first, more = faults[0], describe_more(count)
    where = f"line {first.line}" + (f", {first.member}" if first.member else "")
    listed = [fault.to_document() for fault in faults[:MOST_LISTED]]
    return refuse(CODE, f"{ref}: {where}: {first.message}{more}", ref=ref, faults=listed, fault_count=count)


def add_unchecked(notes: Iterable[Unchecked]) -> list[Unchecked]:
    """The notes of all workers, one for each reason, by reason; the first rows of the file are the ones named."""
    found: dict[Reason, list[Unchecked]] = {}
    for note in notes:
        found.setdefault(note.reason, []).append(note)
    return [
        Unchecked(
            reason,
            sum(one.count for one in same),
            sorted((named for one in same for named in one.first), key=lambda named: named.line)[:MOST_NAMED],
        )
        for reason, same in sorted(found.items())
    ]


def note_unchecked(reason: Reason, line: Array, event_ids: pa.Array, columns: pa.Array) -> Unchecked:
    """The note of rows that cannot be compared; shape (rows,) each, in any order."""
    first = np.argsort(line, kind="stable")[:MOST_NAMED].tolist()
    named = [Named(int(line[row]), show_text(event_ids[row].as_py()), show_text(columns[row].as_py())) for row in first]
    return Unchecked(reason, len(line), named)


@dataclass(frozen=True)
class ReadShare:
    """The work of one share of a file: a `LoggedNote`, `Unchecked` notes, or a `Fault` where the file is refused."""

    objects: Objects
    file: LoggedFile
    columns: tuple[tuple[str, str], ...]
    folder: OwnedRef
    of: int
    most_decoded: int

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """Notes alone."""
        share = int(bytes(next(chunks)))
        try:
            notes = self._read_share(self._open(), share)
        except Refusal as refusal:
            notes = [Fault.from_refusal(refusal)]
        yield from map(encode_note, notes)

    def _open(self) -> FileBytes:
        """The file, the one that was found."""
        body = FileBytes(self.objects, self.file)
        if body.cut(0, len(MAGIC)) == MAGIC and self.file.format != "parquet":
            message = f"{self.file.ref}: begins as Parquet and does not end so: it is cut off"
            raise refuse(CODE, message, ref=self.file.ref)
        return body

    def _read_share(self, body: FileBytes, share: int) -> list[Note]:
        if self.file.format == "parquet":
            pieces = read_table(body, share, self.of, self.most_decoded)
        else:
            pieces = read_lines(body, share, self.of)
        rows, faults, staged, unchecked = 0, list[LineFault](), list[StagedFile](), list[Unchecked]()
        count = 0
        for read, found in pieces:
            rows += len(read.line) + len({fault.line for fault in found})
            count += len(found)
            faults = (faults + found)[:MOST_LISTED]
            if not count:  # a refused file stages no more
                kept, aside = self._type_rows(read)
                unchecked = add_unchecked([*unchecked, *aside])
                if kept.num_rows:
                    staged.append(stage_rows(self.objects, self.folder, kept))
        return [LoggedNote(rows, staged, count, faults), *unchecked]

    def _type_rows(self, rows: LoggedRows) -> tuple[pa.Table, list[Unchecked]]:
        """The rows whose value is one of a column of the set, as `STAGED`, and the others."""
        names = pa.array([name for name, _ in self.columns], pa.string())
        place = np.asarray(pc.index_in(rows.columns, names).fill_null(-1)).astype(np.int32)
        unchecked, parts = list[Unchecked](), list[pa.Table]()
        unknown = rows.keep(place < 0)
        if len(unknown.line):
            unchecked.append(note_unchecked("COLUMN_UNKNOWN", unknown.line, unknown.event_ids, unknown.columns))
        for column in np.unique(place[place >= 0]).tolist():
            own = rows.keep(place == column)
            typed = type_values(self.columns[column][1], own.kinds, own.texts, own.numbers)
            bad = own.keep(~typed.readable)
            if len(bad.line):
                unchecked.append(note_unchecked("VALUE_UNREADABLE", bad.line, bad.event_ids, bad.columns))
            arrays = [own.event_ids, pa.repeat(pa.scalar(column, pa.int32()), len(own.line)), typed.texts, typed.number]
            table = pa.Table.from_arrays([*arrays, pa.array(own.line), pa.array(own.logged_at)], schema=STAGED)
            parts.append(table if typed.readable.all() else table.filter(pa.array(typed.readable)))
        return (pa.concat_tables(parts).combine_chunks() if parts else STAGED.empty_table()), unchecked
