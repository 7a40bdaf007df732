"""What workers spend their time on, by room: measured where the work is done, added up by the driver."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Work
from ofs_spark.foundation.columnar.notes import Note, encode_note, read_notes


@dataclass(frozen=True)
class Spent(Note):
    """Wall seconds that one target's share of a room's work took, those of the rooms it calls included."""

    kind: ClassVar[str] = "spent"
    room: str
    seconds: float


@dataclass(frozen=True)
class MeasuredWork:
    """A work of a room that says at its end how long it took; waiting for whoever takes its chunks is not counted."""

    room: str
    work: Work

    def __call__(self, target: int, chunks: Iterator[Body], /) -> Iterator[Chunk]:
        """The work's chunks and notes, then a `Spent` note."""
        return measure(self.room, self.work(target, chunks))


def measure(room: str, chunks: Iterator[Chunk], waited: Callable[[], float] = lambda: 0.0) -> Iterator[Chunk]:
    """The chunks, then a `Spent` note of the time it took to make them, less what they `waited` for others in it."""
    spent, start = 0.0, time.perf_counter()
    for chunk in chunks:
        spent += time.perf_counter() - start
        yield chunk
        start = time.perf_counter()
    yield encode_note(Spent(room, spent + time.perf_counter() - start - waited()))


def add_spent(notes: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds of all workers by room."""
    seconds: dict[str, float] = {}
    for one in read_notes(notes, Spent):
        seconds[one.room] = seconds.get(one.room, 0.0) + one.seconds
    return seconds
