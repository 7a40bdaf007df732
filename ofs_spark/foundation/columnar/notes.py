"""Notes: the typed records by which steps report to the driver.

On the wire a note is a small JSON document {"note": kind, …} that later steps pass on untouched. The room that writes a
kind defines its record; the driver reads the records of one type out of everything that came. What refuses has one kind,
`Fault`, whichever room found it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self, TypeVar

from ofs_spark.foundation.columnar.dataflow import DRIVER, Chunk
from ofs_spark.foundation.errors import Refusal, refuse


@dataclass(frozen=True)
class Note:
    """A record for the driver. A subclass names its kind; one whose fields are not all JSON values says how it is read."""

    kind: ClassVar[str]

    def to_note(self) -> dict[str, Any]:
        """JSON-ready content, without the kind."""
        return asdict(self)

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The record whose `to_note`, once through JSON, is `content`."""
        return cls(**content)


N = TypeVar("N", bound=Note)


def encode_note(record: Note) -> Chunk:
    """The record as a chunk for the driver."""
    return Chunk(DRIVER, json.dumps({"note": record.kind, **record.to_note()}, ensure_ascii=True).encode())


def read_notes(notes: Iterable[Mapping[str, Any]], record: type[N]) -> list[N]:
    """The notes of one type among those of a run, in the order given."""
    own = (note for note in notes if note["note"] == record.kind)
    return [record.from_note({name: value for name, value in note.items() if name != "note"}) for note in own]


@dataclass(frozen=True)
class EventPlace:
    """Where an event stands: its partition's ordinal, its order there, its offset as archived, its id."""

    partition_ordinal: int
    seq: int
    offset: str
    event_id: str


@dataclass(frozen=True)
class Fault(Note):
    """What a step refuses; it cannot raise, for the driver tells the faults of all targets in one order.

    A fault of counted rows has their `subject`, their `count` and the `first` of them in (partition ordinal, seq) order;
    any other one has `details`, and stands for itself.
    """

    kind: ClassVar[str] = "fault"
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    subject: str = ""
    count: int = 0
    first: EventPlace | None = None

    @classmethod
    def from_refusal(cls, refusal: Refusal) -> Self:
        """The fault of a refusal that a step caught."""
        return cls(refusal.code, refusal.message, refusal.details)

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The fault that `content` wrote."""
        first = content["first"]
        return cls(**{**content, "first": None if first is None else EventPlace(**first)})

    def make_refusal(self) -> Refusal:
        """The exception to raise."""
        return refuse(self.code, self.message, **self.details)
