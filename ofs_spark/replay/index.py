"""The segment index: the only list of archive files there is, proven to be itself, and cut to a basis.

Nothing lists a folder. What the index does not name is not read; what it names twice, or states against its own digest,
is refused before any byte of the archive is fetched.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from ofs_spark.foundation.canonical import CanonicalError, digest
from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.documents import DocumentKind, digest_content, fetch_document, judge_model, parse_document
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.positions import DENSE_KINDS, Range, parse_offset
from ofs_spark.foundation.refs import name_segment_index
from ofs_spark.replay.scan.spec import DeclaredGap, SegmentFile

INDEX = DocumentKind(
    "archive.segment_index.v0", "segment index", "ARCHIVE_INDEX_MISSING", "ARCHIVE_INDEX_INVALID", max_bytes=1 << 30
)
_Text = Annotated[StrictStr, Field(pattern=r"^[^ \t\r\n]([^\r\n]*[^ \t\r\n])?$", max_length=1024)]
_Ref = Annotated[StrictStr, Field(min_length=1, max_length=1024)]
_Offset = Annotated[StrictStr, Field(pattern=r"^(0|[1-9][0-9]*)$", max_length=129)]
Place = tuple[str, int, str]


def locate_range(offset_range: Range) -> Place:
    """(topic, partition, offset_kind) of a range."""
    return (offset_range.topic, offset_range.partition, offset_range.offset_kind)


class _Gap(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    start: _Offset
    end: _Offset
    reason: _Text


class _Segment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    topic: _Text
    partition: Annotated[StrictInt, Field(ge=0, lt=2**31)]
    offset_kind: Literal["kafka_offset", "file_line", "kinesis_sequence"]
    first_offset: _Offset
    last_offset: _Offset
    record_count: Annotated[StrictInt, Field(ge=1)]
    previous_last_offset: _Offset | None
    gaps: tuple[_Gap, ...] = ()
    path: _Ref
    bytes: Annotated[StrictInt, Field(ge=0)]
    sha256: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
    min_ts_utc: StrictStr
    max_ts_utc: StrictStr
    shard_start: StrictBool = False
    attested_by: Literal["archive_writer", "ofs_index"] = "archive_writer"


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: Literal["archive.segment_index.v0"]
    platform_run_id: _Text
    segments: tuple[_Segment, ...]
    digest: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
    origin: Literal["ofs_import"] | None = None


@dataclass(frozen=True)
class Segment:
    """One entry of the index, offsets as numbers. `document` is the entry as written."""

    topic: str
    partition: int
    offset_kind: str
    file: SegmentFile
    previous_last: int | None
    shard_start: bool
    attested: bool
    gaps: tuple[DeclaredGap, ...]
    document: dict[str, Any] = field(compare=False, hash=False)

    @property
    def place(self) -> Place:
        """(topic, partition, offset_kind)."""
        return (self.topic, self.partition, self.offset_kind)

    @property
    def dense(self) -> bool:
        """Whether offsets of this kind are consecutive integers."""
        return self.offset_kind in DENSE_KINDS

    @property
    def order(self) -> tuple[Any, ...]:
        """(topic, partition, offset_kind, first offset, last offset, path): total."""
        return (*self.place, self.file.first, self.file.last, self.file.path)


@dataclass(frozen=True)
class SegmentIndex:
    """A proven index: segments in their total order, the digest the document states, and who wrote it in the archive's place."""

    platform_run_id: str
    digest: str
    segments: tuple[Segment, ...]
    origin: str | None = None

    @cached_property
    def by_place(self) -> dict[Place, tuple[Segment, ...]]:
        """The segments of each (topic, partition, offset_kind), in order."""
        return {place: tuple(own) for place, own in groupby(self.segments, key=lambda s: s.place)}

    def list_segments(self, offset_range: Range) -> tuple[Segment, ...]:
        """The segments of a range's partition and kind, in order."""
        return self.by_place.get(locate_range(offset_range), ())


def read_index(objects: Objects, platform_run_id: str) -> SegmentIndex:
    """The run's segment index. ARCHIVE_INDEX_MISSING where there is none, ARCHIVE_INDEX_INVALID as `prove_index`."""
    ref = name_segment_index(platform_run_id)
    document = parse_document(fetch_document(objects, INDEX, ref), INDEX, ref)
    return prove_index(document, platform_run_id)


def prove_index(document: Any, platform_run_id: str) -> SegmentIndex:
    """The index a parsed document holds; ARCHIVE_INDEX_INVALID, with every fault found, unless it is one and its own.

    Checked: its contract, its digest, its platform run, that no file stands twice, that offsets are in their kind's
    reach and in order, and that the links and gaps of an entry do not contradict its offsets.
    """
    ref = name_segment_index(platform_run_id)
    parsed = judge_model(document, INDEX, ref, _Document)
    faults = list(_find_identity_faults(document, parsed, platform_run_id))
    for number, entry in enumerate(parsed.segments):
        faults += [
            {"pointer": f"/segments/{number}/{name}", "message": text} for name, text in _find_entry_faults(entry)
        ]
    if faults:
        raise INDEX.refuse_faults(ref, faults)
    raw = document["segments"]
    segments = sorted((_make_segment(e, raw[i]) for i, e in enumerate(parsed.segments)), key=lambda s: s.order)
    return SegmentIndex(parsed.platform_run_id, parsed.digest, tuple(segments), parsed.origin)


def _find_identity_faults(
    document: dict[str, Any], parsed: _Document, platform_run_id: str
) -> Iterable[dict[str, str]]:
    try:
        content = digest_content(document)
    except CanonicalError as error:
        content = str(error)
    if content != parsed.digest:
        yield {"pointer": "/digest", "message": f"states {parsed.digest}, the content's is {content}"}
    if parsed.platform_run_id != platform_run_id:
        yield {"pointer": "/platform_run_id", "message": f"is {parsed.platform_run_id!r}, not {platform_run_id!r}"}
    for path, times in Counter(entry.path for entry in parsed.segments).items():
        if times > 1:
            yield {"pointer": "/segments", "message": f"{path} is listed {times} times"}


def _find_entry_faults(entry: _Segment) -> Iterable[tuple[str, str]]:
    dense = entry.offset_kind in DENSE_KINDS
    named = [("first_offset", entry.first_offset), ("last_offset", entry.last_offset)]
    for i, gap in enumerate(entry.gaps):
        named += [(f"gaps/{i}/start", gap.start), (f"gaps/{i}/end", gap.end)]
    for name, text in named:
        try:
            parse_offset(text, entry.offset_kind)
        except ValueError as error:
            yield name, str(error)
    first, last = int(entry.first_offset), int(entry.last_offset)
    if first > last:
        yield "last_offset", f"{last} precedes first_offset {first}"
    for i, gap in enumerate(entry.gaps):
        if int(gap.start) > int(gap.end):
            yield f"gaps/{i}", f"ends at {gap.end}, before its start {gap.start}"
    if not dense and entry.gaps:
        yield "gaps", "sequence numbers are never consecutive: a gap between them means nothing"
    if not dense and entry.shard_start and entry.previous_last_offset is not None:
        yield "shard_start", f"a shard's first segment follows nothing, this one {entry.previous_last_offset}"
    if not dense and entry.previous_last_offset is not None and int(entry.previous_last_offset) >= first:
        yield "previous_last_offset", f"{entry.previous_last_offset} does not precede first_offset {first}"
    yield from _find_time_faults(entry)


def _find_time_faults(entry: _Segment) -> Iterable[tuple[str, str]]:
    for name, text in (("min_ts_utc", entry.min_ts_utc), ("max_ts_utc", entry.max_ts_utc)):
        try:
            parse_instant(text)
        except ValueError as error:
            yield name, str(error)


def _make_segment(entry: _Segment, document: dict[str, Any]) -> Segment:
    file = SegmentFile(
        entry.path, entry.bytes, entry.sha256, int(entry.first_offset), int(entry.last_offset), entry.record_count
    )
    attested = entry.attested_by == "archive_writer"
    gaps = tuple(DeclaredGap(int(gap.start), int(gap.end), attested) for gap in entry.gaps)
    previous = None if entry.previous_last_offset is None else int(entry.previous_last_offset)
    place = (entry.topic, entry.partition, entry.offset_kind)
    return Segment(*place, file, previous, entry.shard_start, attested, gaps, document)


def select_segments(index: SegmentIndex, basis: Sequence[Range]) -> tuple[Segment, ...]:
    """The segments that share an offset with the basis, in the index' order. `basis`: as `resolve_basis` gives it."""
    by_place = group_ranges(basis)
    found: list[Segment] = []
    for place, segments in index.by_place.items():
        ranges = [offset_range for _, offset_range in by_place.get(place, ())]
        ends = [offset_range.last for offset_range in ranges]
        for segment in segments if ranges else ():
            at = bisect_left(ends, segment.file.first)
            if at < len(ranges) and ranges[at].start <= segment.file.last:
                found.append(segment)
    return tuple(found)


def count_offsets(index: SegmentIndex, basis: Sequence[Range]) -> int:
    """How much a basis reads: offsets of dense ranges, stated records of sparse segments."""
    sparse = sum(one.file.record_count for one in select_segments(index, basis) if not one.dense)
    return sparse + sum(one.size or 0 for one in basis)


def group_ranges(basis: Iterable[Range]) -> dict[Place, list[tuple[int, Range]]]:
    """(ordinal, range) of every range of the basis in its total order, by (topic, partition, offset_kind)."""
    found: dict[Place, list[tuple[int, Range]]] = {}
    for number, offset_range in enumerate(sorted(basis)):
        found.setdefault(locate_range(offset_range), []).append((number, offset_range))
    return found


def describe_slice(index: SegmentIndex, basis: Sequence[Range]) -> list[dict[str, Any]]:
    """The entries, as written, of the segments that share an offset with the basis: what a plan keeps of the index."""
    return [segment.document for segment in select_segments(index, basis)]


def digest_slice(index: SegmentIndex, basis: Sequence[Range]) -> str:
    """`H` of `describe_slice`: changes when what the dataset is read from changes, not when the archive grows."""
    return digest(describe_slice(index, basis))
