"""What the replay room refuses: a refusal in waiting, the order in which faults are told, positions named as samples.

Faults are told sorted: what makes the facts unreadable before what makes them incomplete before what makes them unfit
for training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ofs_spark.foundation.errors import CODES, ROOM_ORDER, Refusal, refuse
from ofs_spark.foundation.positions import Range
from ofs_spark.replay.segment_groups import list_partitions

Document = dict[str, Any]

SAMPLES = 20
"""Positions named per kind of anomaly; the counts are always whole."""

_ORDER = (
    "ARCHIVE_SEGMENT_CORRUPT", "REPLAY_BASIS_GAP", "REPLAY_UNCHECKABLE", "REPLAY_DUPLICATE_OFFSET_MISMATCH",
    "REPLAY_EVENT_ID_CONFLICT", "REPLAY_EVENT_INVALID", "REPLAY_EVENTS_EMPTY",
)  # fmt: skip


@dataclass(frozen=True)
class ReplayFault:
    """A refusal in waiting: its code, message and details."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def make_refusal(self) -> Refusal:
        """The exception to raise."""
        return refuse(self.code, self.message, **self.details)


def sort_faults(faults: Iterable[ReplayFault]) -> tuple[ReplayFault, ...]:
    """Faults in the order in which they are told; equals keep theirs.

    The store, too, refuses inside a scan. Codes that are not of this list come in the order of rooms: those of earlier
    rooms before all of these, those of later ones after them.
    """
    return tuple(sorted(faults, key=_find_place))


def _find_place(fault: ReplayFault) -> tuple[int, int, str]:
    room = ROOM_ORDER.index(CODES[fault.code].room)
    return room, _ORDER.index(fault.code) if fault.code in _ORDER else len(_ORDER), fault.code


def locate_sample(basis: Sequence[Range], sample: Document) -> Document:
    """A sample as people name it: topic and partition instead of the partition's ordinal."""
    topic, partition = list_partitions(basis)[sample["partition_ordinal"]]
    rest = {name: value for name, value in sample.items() if name not in ("partition_ordinal", "seq")}
    return {"topic": topic, "partition": partition, **rest}


def find_anomalies(counts: Mapping[str, int], samples: Mapping[str, Sequence[Document]]) -> list[ReplayFault]:
    """What a training intent does not accept, of the counts of a scan or of a step by event."""
    rules = (
        ("mismatches", "mismatch", "REPLAY_DUPLICATE_OFFSET_MISMATCH", "positions hold different payloads"),
        ("conflicts", "conflict", "REPLAY_EVENT_ID_CONFLICT", "deliveries repeat an event id with another payload"),
        ("invalid", "invalid", "REPLAY_EVENT_INVALID", "records lack or garble a required field"),
    )
    return [
        ReplayFault(code, f"{counts[name]} {what}; the first is {_describe_first(samples[kind])}",
              {"count": counts[name], "positions": list(samples[kind])})
        for name, kind, code, what in rules if counts.get(name)
    ]  # fmt: skip


def _describe_first(samples: Sequence[Document]) -> str:
    if not samples:
        return "not named"
    first = samples[0]
    reason = f": {first['reason']}" if "reason" in first else ""
    return f"{first['topic']} partition {first['partition']} offset {first['offset']}{reason}"
