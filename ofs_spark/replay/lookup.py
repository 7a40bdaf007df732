"""Looking records up: those of some segments of which a key may be one of some texts.

An envelope is searched as text before it is read as JSON. Whoever asked judges what was found: a text may stand in
another member than the one that is meant.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks
from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES
from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.foundation.columnar.instants import read_micros
from ofs_spark.foundation.columnar.times import NO_INSTANT
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.positions import Range
from ofs_spark.replay.index import Segment, group_ranges
from ofs_spark.replay.key_text import read_whole, spell_key
from ofs_spark.replay.scan import archive as a
from ofs_spark.replay.scan.offsets import NO_OFFSET, Offsets, read_offsets
from ofs_spark.replay.scan.spec import ScanRange

WORKERS = 2
"""Segments that are held at once."""
_AT_ONCE = 10_000
"""Rows that are read as JSON before those that are not asked for are dropped."""


@dataclass(frozen=True)
class FoundRecord:
    """One stored row. order: its offset as a number. Times in µs, None where there is none; ts_text: as archived.

    envelope: None where it is no JSON object with an object `payload`. Nothing but the segment's bytes is proven.
    """

    topic: str
    partition: int
    offset_kind: str
    offset: str
    order: int
    segment: str
    event_id: str | None
    event_type: str | None
    ts_us: int | None
    ts_text: str | None
    payload_hash: str | None
    published_us: int | None
    archived_us: int | None
    platform_run_id: str | None
    scenario_run_id: str | None
    envelope: dict[str, Any] | None


def find_records(
    objects: Objects,
    segments: Sequence[Segment],
    ranges: Iterable[Range],
    texts: Collection[str] | None,
    int96_is_utc: bool = False,
    most_decoded: int = MOST_DECODED_BYTES,
    *,
    fields: Collection[str] | None = None,
    by_id: bool = False,
) -> list[FoundRecord]:
    """The stored rows inside the ranges whose event id is one of the texts, or whose envelope has a scalar of that key text.

    texts: None for every row. fields: of the payload, in one of which the scalar stands; None for anywhere, and then an
    envelope that nobody can read is taken too. by_id: envelopes are not searched, which takes the longer the more texts.
    Every copy of a position is there, in the order of (topic, partition, kind, offset), copies as the segments hold them.
    `ranges`: disjoint. Bytes are proven against the index' entries: refuses as `read_segment`, and REPLAY_UNCHECKABLE
    for a row without an offset. Memory: one segment per worker, and what was found.
    """
    by_place = group_ranges(ranges)
    wanted = [segment for segment in segments if segment.place in by_place]
    asked = None if texts is None else Asked(frozenset(texts), None if fields is None else frozenset(fields), by_id)
    read = partial(_search_segment, objects, asked, int96_is_utc, most_decoded)
    spans = ([ScanRange(number, x.start, x.last) for number, x in by_place[one.place]] for one in wanted)
    with ThreadPoolExecutor(WORKERS) as pool:
        found = [record for own in pool.map(read, wanted, spans) for record in own]
    return sorted(found, key=lambda one: (one.topic, one.partition, one.offset_kind, one.order))


@dataclass(frozen=True)
class Asked:
    """What is looked for: texts, the payload's fields in which they stand (None: anywhere), or event ids alone."""

    texts: frozenset[str]
    fields: frozenset[str] | None
    by_id: bool

    def find_rows(self, table: pa.Table) -> Array:
        """Which rows may be asked for, bool: those that are not need not be read as JSON."""
        named: Array = np.asarray(pc.is_in(table.column(a.EVENT_ID), pa.array(sorted(self.texts), pa.large_string())))
        return named if self.by_id else named | find_candidates(table.column(a.ENVELOPE), self.texts)

    def is_answered(self, record: FoundRecord) -> bool:
        """Whether a record is one that is asked for. Of an envelope that nobody can read nothing is known: it may be."""
        if record.event_id in self.texts or self.by_id:
            return record.event_id in self.texts
        if record.envelope is None:
            return self.fields is None
        payload = record.envelope["payload"]
        values = _list_values(record.envelope) if self.fields is None else map(payload.get, self.fields)
        return any(spell_key(value) in self.texts for value in values)


def _search_segment(
    objects: Objects,
    asked: Asked | None,
    int96_is_utc: bool,
    most_decoded: int,
    segment: Segment,
    spans: Sequence[ScanRange],
) -> list[FoundRecord]:
    table = a.read_segment(objects, segment.file, int96_is_utc, most_decoded)
    offsets = read_offsets(combine_chunks(table.column(a.OFFSET)), segment.offset_kind)
    if (offsets.code == NO_OFFSET).any():
        path = segment.file.path
        raise refuse("REPLAY_UNCHECKABLE", f"segment {path} holds rows without a {segment.offset_kind}", path=path)
    inside = offsets.select_inside(spans)
    rows = np.flatnonzero(inside if asked is None else inside & asked.find_rows(table))
    found: list[FoundRecord] = []
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        records = _make_records(segment, table.take(pa.array(some)), offsets, offsets.code[some])
        found += records if asked is None else filter(asked.is_answered, records)
    return found


def _list_values(envelope: Mapping[str, Any]) -> Iterator[Any]:
    """Every value of an envelope, however deep."""
    waiting: list[Any] = [envelope]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, dict | list):
            waiting.extend(value.values() if isinstance(value, dict) else value)


def find_candidates(envelopes: pa.ChunkedArray, texts: Collection[str]) -> Array:
    """Rows whose envelope may hold a text: in one of its plain spellings, or as one that only a JSON reader can tell.

    A string may be written with any escapes, so that every envelope with a backslash is read. A number that is no whole
    one has many spellings: where a text is one, every envelope is read.
    """
    if any(map(_is_fraction, texts)):
        return np.ones(len(envelopes), np.bool_)
    data, ends = read_text_buffers(envelopes)
    found = np.zeros(len(envelopes), np.bool_)
    escaped = np.searchsorted(ends, np.flatnonzero(data == ord("\\")), "right") - 1
    found[escaped[(escaped >= 0) & (escaped < len(found))]] = True
    body, bounds = data.tobytes(), ends.tolist()
    for spelling in {spelling for text in texts for spelling in (_escape(text), _escape(text, ascii_only=False))}:
        found[list(_find_rows(body, bounds, spelling.encode("utf-8", "surrogatepass")))] = True
    return found


def _find_rows(body: bytes, bounds: Sequence[int], text: bytes) -> Iterator[int]:
    """The rows of some texts, laid end to end in `body` from bound to bound, that hold a text; each once."""
    if not text:
        yield from range(len(bounds) - 1)
        return
    place = body.find(text, bounds[0], bounds[-1])
    while place >= 0:
        row = bisect_right(bounds, place) - 1
        inside = place + len(text) <= bounds[row + 1]
        if inside:
            yield row
        place = body.find(text, bounds[row + 1] if inside else place + 1, bounds[-1])


def _is_fraction(text: str) -> bool:
    """Whether a text may be that of a JSON number with a fraction or an exponent."""
    try:
        float(text)
    except ValueError:
        return False
    return not text.lstrip("-").isdecimal()


def _escape(text: str, ascii_only: bool = True) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def _make_records(segment: Segment, rows: pa.Table, offsets: Offsets, codes: Array) -> list[FoundRecord]:
    times = {name: _read_times(rows.column(name)) for name in (a.TS_UTC, a.PUBLISHED, a.ARCHIVED)}
    named = (a.OFFSET, a.EVENT_ID, a.EVENT_TYPE, a.PAYLOAD_HASH, a.RUN, a.SCENARIO, a.ENVELOPE)
    texts = {name: _read_texts(rows.column(name)) for name in named}
    archived = rows.column(a.TS_UTC)
    stamps = _read_texts(archived) if pa.types.is_large_string(archived.type) else None
    return [
        FoundRecord(
            segment.topic,
            segment.partition,
            segment.offset_kind,
            str(texts[a.OFFSET][row]),
            offsets.decode(codes[row]),
            segment.file.path,
            texts[a.EVENT_ID][row],
            texts[a.EVENT_TYPE][row],
            ts := times[a.TS_UTC][row],
            stamps[row] if stamps is not None else None if ts is None else format_instant(ts),
            texts[a.PAYLOAD_HASH][row],
            times[a.PUBLISHED][row],
            times[a.ARCHIVED][row],
            texts[a.RUN][row],
            texts[a.SCENARIO][row],
            _parse_envelope(texts[a.ENVELOPE][row]),
        )
        for row in range(rows.num_rows)
    ]


def _read_times(column: pa.ChunkedArray) -> list[int | None]:
    values = np.concatenate([np.empty(0, np.int64), *(read_micros(chunk) for chunk in column.chunks)])
    return [None if value == NO_INSTANT else value for value in values.tolist()]


def _read_texts(column: pa.ChunkedArray) -> list[str | None]:
    """Texts; None for a null, and for bytes that are no UTF-8."""
    return [_decode(value) for value in column.cast(pa.large_binary()).to_pylist()]


def _decode(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _parse_envelope(text: str | None) -> dict[str, Any] | None:
    try:
        document = json.loads(text or "", parse_int=read_whole, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("payload"), dict) else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
