"""What a scan is told: the task that names the bytes, and the spec that says how to read every record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay.anchors import EVERY_EVENT, AnchorRule

ArrivalSource = Literal["published_at_utc", "archived_at_utc"]


@dataclass(frozen=True)
class SegmentFile:
    """One archive file as the index states it. Offsets are numbers, both ends inside."""

    path: str
    bytes: int
    sha256: str
    first: int
    last: int
    record_count: int


@dataclass(frozen=True)
class ScanRange:
    """One range of the basis that the task's segments reach into: its ordinal in the basis, both ends inside."""

    ordinal: int
    start: int
    last: int


@dataclass(frozen=True)
class DeclaredGap:
    """Offsets, both ends inside, that the index says never existed; attested by the archive's own writer or not."""

    start: int
    end: int
    attested: bool


@dataclass(frozen=True)
class ScanTask:
    """The segments of one partition whose offsets overlap: read by one task, so that every position is seen whole.

    asked: offsets inside them that other segments say they follow; the scan says which segment holds which.
    """

    partition_ordinal: int
    segment_group: int
    topic: str
    partition: int
    offset_kind: str
    segments: tuple[SegmentFile, ...]
    ranges: tuple[ScanRange, ...]
    gaps: tuple[DeclaredGap, ...] = ()
    asked: tuple[int, ...] = ()

    def to_bytes(self) -> bytes:
        """The task as bytes."""
        return json.dumps(asdict(self), ensure_ascii=True).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> ScanTask:
        """The task whose `body` these bytes are."""
        document: dict[str, Any] = json.loads(body)
        segments = tuple(SegmentFile(**one) for one in document.pop("segments"))
        ranges = tuple(ScanRange(**one) for one in document.pop("ranges"))
        gaps = tuple(DeclaredGap(**one) for one in document.pop("gaps"))
        asked = tuple(document.pop("asked"))
        return cls(**document, segments=segments, ranges=ranges, gaps=gaps, asked=asked)


@dataclass(frozen=True)
class ScanSpec:
    """How every record is read and judged. `None` for a list of event types means all of them.

    An event is in scope if `event_types` has its type; `anchors` says which of those can be anchors. `arrival` names the
    column of arrival times, `int96_is_utc` whether INT96 columns are times. `most_decoded`: bytes that one file may
    decode to. `online`: rows as the online plane's law needs them, of every run and kind, instead of a build's; their
    prints are keyed by `print_key`, 16 bytes of the archive index' digest.
    """

    platform_run_id: str
    program: Program
    scenario_run_ids: tuple[str, ...] = ()
    event_types: tuple[str, ...] | None = None
    anchors: AnchorRule = EVERY_EVENT
    arrival: ArrivalSource = "published_at_utc"
    int96_is_utc: bool = False
    most_decoded: int = MOST_DECODED_BYTES
    online: bool = False
    print_key: bytes = bytes(16)
