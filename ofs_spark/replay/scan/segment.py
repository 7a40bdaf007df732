"""The segment scan: one task fetches, proves and reads one group's segments, and says in one summary what it saw.

Order of work: bytes, columns, positions (one copy each), run scope, validity, then the declared fields of what is left.
Only rows inside the basis take part in anything but a segment's own counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, find_undecodable
from ofs_spark.foundation.columnar.instants import read_micros
from ofs_spark.foundation.columnar.times import NO_INSTANT
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.positions import DENSE_KINDS
from ofs_spark.foundation.wording import write_count
from ofs_spark.replay import rows as r
from ofs_spark.replay.scan import archive as a
from ofs_spark.replay.scan.holes import find_absent
from ofs_spark.replay.scan.offsets import NO_OFFSET, Kept, Offsets, keep_one, read_offsets
from ofs_spark.replay.scan.records import SAMPLES, read_records
from ofs_spark.replay.scan.spec import ScanSpec, ScanTask, SegmentFile
from ofs_spark.replay.scan.typed import derive_typed_schema
from ofs_spark.replay.unseen import describe_unseen

Document = dict[str, Any]
Wanted = Callable[[pa.Table], Array]
"""Which stored rows of a segment group, by their archived columns, are looked into; shape (rows,)."""


@dataclass(frozen=True)
class _SegmentGroup:
    """Every stored row of a task: its columns, offsets, and times in µs (NO_INSTANT where there is none)."""

    table: pa.Table
    offsets: Offsets
    arrival: Array
    published: Array
    archived: Array
    bad_arrival: Array
    undecodable: Array

    def rank_copy(self, row: int) -> tuple[Any, ...]:
        """The order of preference among the copies of one position: the least stays.

        Smallest payload hash; then the earliest of the times that policy takes as arrival, of publication, of archival, of
        the event; then the content, so that no file's order decides. Whatever is not there comes last.
        """
        event_times = self.table.column(r.TS)
        times = [int(values[row]) for values in (self.arrival, self.published, self.archived)]
        dated = [(time == NO_INSTANT, time) for time in (*times, event_times[row].as_py())]
        texts = {name: _read_bytes(self.table.column(name)[row]) for name in self.table.column_names if name != r.TS}
        stated = texts.pop(a.PAYLOAD_HASH)
        content = sorted((name, value is None, value or b"") for name, value in texts.items())
        return (stated is None, stated or b""), *dated, content


def scan_task(
    task: ScanTask, objects: Objects, spec: ScanSpec, wanted: Wanted | None = None
) -> tuple[Document, pa.Table]:
    """(summary, typed rows) of one task; the rows' columns are those of `typed_schema(spec)`, positions ascending.

    The summary is JSON-ready and of bounded size: it names an asked offset once per row that has it.
    `faults` in it are refusals: where there is one there are no rows.
    Rows: in run scope and valid, and flagged UNREADABLE the invalid ones that have an event id. `wanted`: which stored
    rows are looked into, so that the others are no rows here and in no count of records; positions and arrivals are all.
    """
    nothing = derive_typed_schema(spec).empty_table()
    opened = _open_group(task, objects, spec)
    if isinstance(opened, list):
        return _compose_summary(task, faults=opened), nothing
    group, held = opened
    chosen = None if wanted is None else wanted(group.table)
    return _read_group(task, spec, group, {path: found for path, found in held.items() if found}, nothing, chosen)


def scan_last_arrival(task: ScanTask, objects: Objects, spec: ScanSpec) -> Document:
    """The summary of one task as far as what follows it must know: its `faults`, and its `max_arrival` where there is none.

    No envelope is looked into.
    """
    opened = _open_group(task, objects, spec)
    if isinstance(opened, list):
        return _compose_summary(task, faults=opened)
    _, _, running = _keep_rows(task, opened[0])
    return _compose_summary(task, max_arrival=_find_last_arrival(running))


def _open_group(
    task: ScanTask, objects: Objects, spec: ScanSpec
) -> tuple[_SegmentGroup, dict[str, list[int]]] | list[Document]:
    """The stored rows of a task, its bytes proven, and which asked offsets each file holds; or its faults."""
    faults, tables = [], []
    for file in task.segments:
        try:
            tables.append(a.read_segment(objects, file, spec.int96_is_utc, spec.most_decoded))
        except Refusal as refusal:
            faults.append(_make_fault(refusal.code, refusal.message, **refusal.details))
    if faults:
        return faults
    offsets = [read_offsets(combine_chunks(table.column(a.OFFSET)), task.offset_kind) for table in tables]
    for file, table, own in zip(task.segments, tables, offsets, strict=True):
        faults += _find_segment_faults(task, file, table, own)
    if faults:
        return faults
    held = {file.path: own.find_held(task.asked) for file, own in zip(task.segments, offsets, strict=True)}
    return _join_group(task, spec, tables, offsets), held


def _make_fault(code: str, message: str, **details: Any) -> Document:
    return {"code": code, "message": message, "details": details}


def _compose_summary(task: ScanTask, **content: Any) -> Document:
    place = {"topic": task.topic, "partition": task.partition, "offset_kind": task.offset_kind}
    files = [
        {"path": s.path, "rows": s.record_count, "first": str(s.first), "last": str(s.last)} for s in task.segments
    ]
    reached = [offset_range.ordinal for offset_range in task.ranges]
    own = {
        "partition_ordinal": task.partition_ordinal,
        "segment_group": task.segment_group,
        **place,
        "segments": files,
        "reached": reached,
    }
    return {**own, "faults": [], **content}


def _find_segment_faults(task: ScanTask, file: SegmentFile, table: pa.Table, offsets: Offsets) -> list[Document]:
    """What of a file contradicts its index entry: rows of other partitions, unreadable offsets, first, last, count."""
    here = {a.TOPIC: task.topic, a.PARTITION: task.partition, a.KIND: task.offset_kind}
    for name, value in here.items():
        foreign = np.flatnonzero(~np.asarray(pc.fill_null(pc.equal(table.column(name), value), False)))
        if len(foreign):
            found = _show(table.column(name)[int(foreign[0])])
            message = f"segment {file.path} holds {write_count(len(foreign), 'row')} whose {name} is not {value!r}, say {found}"
            return [_make_fault("REPLAY_UNCHECKABLE", message, path=file.path, row=int(foreign[0]))]
    unreadable = np.flatnonzero(offsets.code == NO_OFFSET)
    if len(unreadable):
        text = _show(table.column(a.OFFSET)[int(unreadable[0])])
        count, kind = len(unreadable), task.offset_kind
        message = f"segment {file.path} holds {write_count(count, 'row')} without a {kind}, say {text}"
        return [_make_fault("REPLAY_UNCHECKABLE", message, path=file.path, row=int(unreadable[0]))]
    stated = {"record_count": file.record_count, "first_offset": str(file.first), "last_offset": str(file.last)}
    if not len(offsets.code):
        found_here: Document = {"record_count": 0, "first_offset": None, "last_offset": None}
    else:
        ends = [str(offsets.decode(code)) for code in (offsets.code.min(), offsets.code.max())]
        found_here = {"record_count": len(offsets.code), "first_offset": ends[0], "last_offset": ends[1]}
    if found_here == stated:
        return []
    message = f"segment {file.path} holds {found_here}, the index states {stated}"
    return [_make_fault("REPLAY_UNCHECKABLE", message, path=file.path, found=found_here, stated=stated)]


def _join_group(task: ScanTask, spec: ScanSpec, tables: list[pa.Table], offsets: list[Offsets]) -> _SegmentGroup:
    times = {name: np.concatenate([_read_times(x.column(name)) for x in tables]) for name in (a.PUBLISHED, a.ARCHIVED)}
    arrival = times[spec.arrival]
    stated = np.concatenate([x.column(spec.arrival).is_valid().to_numpy() for x in tables])
    if len(tables) == 1:
        joined = offsets[0]
    elif task.offset_kind in DENSE_KINDS:
        joined = Offsets(np.concatenate([own.code for own in offsets]))
    else:
        texts = pa.chunked_array([chunk for x in tables for chunk in x.column(a.OFFSET).chunks])
        joined = read_offsets(combine_chunks(texts), task.offset_kind)
    table = pa.concat_tables([_narrow(x, bool(spec.program.online_core_rules)) for x in tables])
    bad_arrival = stated & (arrival == NO_INSTANT)
    undecodable = np.concatenate([_find_undecodable_times(x) for x in tables])
    return _SegmentGroup(table, joined, arrival, times[a.PUBLISHED], times[a.ARCHIVED], bad_arrival, undecodable)


def _find_undecodable_times(table: pa.Table) -> Array:
    """Rows with a time that no reader can decode, whether a build takes that time or not."""
    texts = [table.column(name) for name in (a.TS_UTC, a.PUBLISHED, a.ARCHIVED)]
    broken = [find_undecodable(column) for column in texts if pa.types.is_large_string(column.type)]
    any_of_them: Array = np.logical_or.reduce([np.zeros(table.num_rows, np.bool_), *broken])
    return any_of_them


def _narrow(table: pa.Table, with_text: bool) -> pa.Table:
    """What travels on: positions and arrivals are settled, event times are µs, and text where a law reads it."""
    times = table.column(a.TS_UTC)
    bare = table.drop_columns([a.PUBLISHED, a.ARCHIVED, a.TOPIC, a.PARTITION, a.KIND, a.TS_UTC])
    micros = _read_times(times)
    bare = bare.append_column(r.TS, [micros])
    return bare.append_column(r.TS_TEXT, _write_times(times, micros)) if with_text else bare


def _write_times(times: pa.ChunkedArray, micros: Array) -> pa.ChunkedArray:
    """Event times as archived text; timestamps as YYYY-MM-DDTHH:MM:SS.ffffffZ, cast so as to need no zone table."""
    if not pa.types.is_timestamp(times.type):
        return times
    stamps = pa.array(micros, mask=micros == NO_INSTANT).cast(pa.timestamp("us"))
    return pa.chunked_array([pc.strftime(stamps, format="%Y-%m-%dT%H:%M:%SZ").cast(pa.large_string())])


def _read_bytes(value: pa.Scalar) -> bytes | None:
    """A value for comparison: the bytes of a text, whether they are UTF-8 or not, else what it prints as."""
    if not value.is_valid:
        return None
    return value.as_buffer().to_pybytes() if pa.types.is_large_string(value.type) else str(value.as_py()).encode()


def _show(value: pa.Scalar) -> str:
    """A value for people, bytes that are no UTF-8 made visible."""
    found = _read_bytes(value)
    return "null" if found is None else repr(found[:160].decode(errors="backslashreplace"))


def _read_times(column: pa.ChunkedArray) -> Array:
    return np.concatenate([np.empty(0, np.int64), *(read_micros(chunk) for chunk in column.chunks)])


def _read_group(
    task: ScanTask,
    spec: ScanSpec,
    group: _SegmentGroup,
    held: dict[str, list[int]],
    nothing: pa.Table,
    wanted: Array | None,
) -> tuple[Document, pa.Table]:
    offsets = group.offsets
    chosen, kept, running = _keep_rows(task, group)
    records = read_records(task, spec, group.table, kept, running, group.bad_arrival, group.undecodable, wanted)
    counts = {
        "delivered": len(chosen),
        "positions": len(kept.rows),
        "position_duplicates": len(chosen) - len(kept.rows),
        "mismatches": int(kept.mismatch.sum()),
        **records.counts,
    }
    named = [
        {"seq": int(i) | task.segment_group << 32, "offset": str(offsets.decode(offsets.code[kept.rows[i]]))}
        for i in np.flatnonzero(kept.mismatch)[:SAMPLES]
    ]
    coverage = find_absent(task, offsets.code[kept.rows])
    summary = _compose_summary(
        task,
        counts=counts,
        reasons=records.reasons,
        samples={"mismatch": named, "invalid": records.samples},
        ranges=_describe_ranges(task, offsets, kept),
        held={path: [str(offset) for offset in found] for path, found in held.items()},
        max_arrival=_find_last_arrival(running),
        **coverage,
        unseen=None if wanted is not None else describe_unseen(records.watch.list_unseen()),
        unmet=records.watch.list_unmet(),
        bytes=sum(file.bytes for file in task.segments),
        rows=records.table.num_rows,
    )
    return summary, records.table if records.table.num_rows else nothing


def _keep_rows(task: ScanTask, group: _SegmentGroup) -> tuple[Array, Kept, Array]:
    """The rows inside the basis, the one copy of each position, and the running arrival at each of those."""
    chosen = np.flatnonzero(group.offsets.select_inside(task.ranges))
    kept = keep_one(group.offsets.code, chosen, group.rank_copy)
    running = np.maximum.accumulate(group.arrival[kept.rows]) if len(kept.rows) else np.empty(0, np.int64)
    return chosen, kept, running


def _find_last_arrival(running: Array) -> int | None:
    known = len(running) > 0 and running[-1] != NO_INSTANT
    return int(running[-1]) if known else None


def _describe_ranges(task: ScanTask, offsets: Offsets, kept: Kept) -> list[Document]:
    """Per range of the basis: its positions here, and between which order numbers they lie."""
    codes, out = offsets.code[kept.rows], []
    for offset_range in task.ranges:
        first, last = offsets.find_codes(offset_range)
        begin, end = (int(np.searchsorted(codes, first, "left")), int(np.searchsorted(codes, last, "right")))
        entry: Document = {"ordinal": offset_range.ordinal, "positions": end - begin}
        if end > begin:
            entry |= {
                "first_seq": begin | task.segment_group << 32,
                "last_seq": (end - 1) | task.segment_group << 32,
                "first": str(offsets.decode(codes[begin])),
                "last": str(offsets.decode(codes[end - 1])),
            }
        out.append(entry)
    return out
