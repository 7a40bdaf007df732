"""Stream positions: slices as intents write them, ranges as replay reads them.

`kafka_offset` and `file_line` are dense: consecutive integers of 63 bits, kept as half-open ranges. `kinesis_sequence` is
sparse: decimal numbers of up to 129 digits that are ordered but never consecutive, so nothing is ever added to or
subtracted from one and its ranges keep their inclusive end. Inclusive ends become half-open ones in `resolve_basis`
and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from ofs_spark.foundation.canonical import digest

DENSE_KINDS = frozenset({"kafka_offset", "file_line"})
OFFSET_KINDS = DENSE_KINDS | {"kinesis_sequence"}
SPARSE_DIGITS = 129
MAX_DENSE = 2**63 - 1
"""The largest dense offset. The exclusive end after it fits no signed 64-bit integer: arithmetic on ends is Python's."""

_OFFSET = re.compile(r"0|[1-9][0-9]*")


@dataclass(frozen=True)
class Slice:
    """One entry of an intent's replay basis: offsets as the text that was written, both ends inside."""

    topic: str
    partition: int
    offset_kind: str
    start_offset: str
    end_offset: str

    def to_document(self) -> dict[str, Any]:
        """The slice as the JSON object an intent holds."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset_kind": self.offset_kind,
            "start_offset": self.start_offset,
            "end_offset": self.end_offset,
        }

    @property
    def identity_order(self) -> tuple[str, int, str, str, str]:
        """Sort key of a slice in an identity: its offsets compare as text there."""
        return (self.topic, self.partition, self.offset_kind, self.start_offset, self.end_offset)


@dataclass(frozen=True, order=True)
class Range:
    """A resolved stretch of one partition. `end` is exclusive for dense kinds, inclusive for the sparse one.

    Ranges order totally by (topic, partition, offset_kind, start, end): text by code point, numbers as numbers.
    """

    topic: str
    partition: int
    offset_kind: str
    start: int
    end: int

    @property
    def dense(self) -> bool:
        """Whether offsets of this kind are consecutive integers."""
        return self.offset_kind in DENSE_KINDS

    @property
    def begin(self) -> tuple[str, int, str, int]:
        """Where the range begins: topic, partition, offset kind, first offset. Disjoint ranges order by it."""
        return (self.topic, self.partition, self.offset_kind, self.start)

    @property
    def last(self) -> int:
        """The greatest offset inside the range."""
        return self.end - 1 if self.dense else self.end

    @property
    def size(self) -> int | None:
        """How many offsets a dense range has; None for a sparse one, whose size no arithmetic can tell."""
        return self.end - self.start if self.dense else None

    def to_document(self) -> dict[str, Any]:
        """The range as documents hold it: offsets are decimal text."""
        end = "end_exclusive" if self.dense else "end_inclusive"
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset_kind": self.offset_kind,
            "start": str(self.start),
            end: str(self.end),
        }


def parse_range(document: Mapping[str, Any]) -> Range:
    """The range that `Range.to_document` wrote."""
    end = document.get("end_exclusive") or document["end_inclusive"]
    place = (document["topic"], document["partition"], document["offset_kind"])
    return Range(*place, int(document["start"]), int(end))


ARCHIVE = "archive"
"""Source of a range: the archive's segments."""


@dataclass(frozen=True)
class SourcedRange:
    """A range and the source that a build reads it from."""

    range: Range
    source: str

    def to_document(self) -> dict[str, Any]:
        """The sourced range as documents hold it."""
        return {"range": self.range.to_document(), "source": self.source}


@dataclass(frozen=True)
class SliceFault:
    """Why a slice names no exact range: its place in the basis, the field at fault, what is wrong."""

    index: int
    field: str
    message: str


def parse_offset(text: str, offset_kind: str) -> int:
    """The number an offset text stands for; ValueError unless it is its one canonical text and in the kind's reach."""
    if offset_kind not in OFFSET_KINDS:
        raise ValueError(f"{offset_kind!r} is no offset kind")
    if not _OFFSET.fullmatch(text) or len(text) > SPARSE_DIGITS:
        required = f"a decimal number of up to {SPARSE_DIGITS} digits without leading zeros"
        raise ValueError(f"offset {text[:160]!r} is not {required}")
    offset = int(text)
    if offset_kind in DENSE_KINDS and offset > MAX_DENSE:
        raise ValueError(f"{text} is beyond {MAX_DENSE}, the last {offset_kind} OFS can address")
    return offset


def pad_offset(text: str, offset_kind: str) -> int | str:
    """A sort key of an offset: an int for dense kinds, text zero-padded to 129 digits for the sparse one."""
    offset = parse_offset(text, offset_kind)
    return offset if offset_kind in DENSE_KINDS else text.zfill(SPARSE_DIGITS)


def is_inside(offset_range: Range, offset: int) -> bool:
    """Whether `offset`, of the range's own kind and partition, lies inside it."""
    return offset_range.start <= offset <= offset_range.last


def is_within(inner: Range, outer: Range) -> bool:
    """Whether `inner` is a part of `outer`, or all of it."""
    same_place = (inner.topic, inner.partition, inner.offset_kind) == (outer.topic, outer.partition, outer.offset_kind)
    return same_place and outer.start <= inner.start and inner.last <= outer.last


def select_sources(ranges: Iterable[Range]) -> tuple[SourcedRange, ...]:
    """The source of every range of a basis, in total order: the archive has them all."""
    return tuple(SourcedRange(offset_range, ARCHIVE) for offset_range in sorted(ranges))


def find_slice_faults(slices: Sequence[Slice]) -> list[SliceFault]:
    """Every reason why the slices do not resolve, in the order of the slices: offset text, start > end, mixed kinds."""
    faults: list[SliceFault] = []
    kinds: dict[tuple[str, int], str] = {}
    for index, one in enumerate(slices):
        ends = []
        for field in ("start_offset", "end_offset"):
            try:
                ends.append(parse_offset(getattr(one, field), one.offset_kind))
            except ValueError as error:
                faults.append(SliceFault(index, field, str(error)))
        if len(ends) == 2 and ends[0] > ends[1]:
            faults.append(SliceFault(index, "start_offset", f"start {ends[0]} lies after end {ends[1]}"))
        first = kinds.setdefault((one.topic, one.partition), one.offset_kind)
        if first != one.offset_kind:
            message = f"partition {one.partition} of {one.topic} is {first} in an earlier slice, {one.offset_kind} here"
            faults.append(SliceFault(index, "offset_kind", message))
    return faults


def resolve_basis(slices: Sequence[Slice]) -> tuple[Range, ...]:
    """The sorted, disjoint ranges that the slices cover; ValueError if `find_slice_faults` finds any.

    Slices of one (topic, partition) are united where they share an offset; dense ones also where they are adjacent.
    """
    faults = find_slice_faults(slices)
    if faults:
        raise ValueError("; ".join(f"slice {fault.index}: {fault.message}" for fault in faults))
    ranges = sorted(_make_range(one) for one in slices)
    places = groupby(ranges, key=lambda r: (r.topic, r.partition))
    return tuple(united for _, stretches in places for united in _unite(stretches))


def _make_range(one: Slice) -> Range:
    start, last = (parse_offset(text, one.offset_kind) for text in (one.start_offset, one.end_offset))
    end = last + 1 if one.offset_kind in DENSE_KINDS else last
    return Range(one.topic, one.partition, one.offset_kind, start, end)


def _unite(ascending: Iterable[Range]) -> list[Range]:
    united: list[Range] = []
    for offset_range in ascending:
        # A dense end is exclusive and a sparse one inclusive, so one comparison joins adjacent dense ranges and, of
        # the sparse, only those that share a sequence number.
        if united and offset_range.start <= united[-1].end:
            united[-1] = replace(united[-1], end=max(united[-1].end, offset_range.end))
        else:
            united.append(offset_range)
    return united


def describe_basis(ranges: Iterable[Range]) -> list[dict[str, Any]]:
    """The resolved basis as documents hold it: the ranges in their total order."""
    return [offset_range.to_document() for offset_range in sorted(ranges)]


def hash_basis(ranges: Iterable[Range]) -> str:
    """`H` of the resolved half-open basis: free of the order and the cut of the slices it came from."""
    return digest(describe_basis(ranges))
