"""Small steps for tests of engines: they load nothing that a worker does not have."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step, encode_chunk, gather_chunks
from ofs_spark.foundation.columnar.notes import Note, encode_note
from ofs_spark.foundation.errors import refuse


@dataclass(frozen=True)
class SpreadNote(Note):
    kind: ClassVar[str] = "spread"
    target: int
    count: int


@dataclass(frozen=True)
class TotalNote(Note):
    kind: ClassVar[str] = "total"
    target: int
    total: int


@dataclass(frozen=True)
class WorkerNote(Note):
    kind: ClassVar[str] = "worker"
    pid: int
    parent: int


@dataclass(frozen=True)
class Spread:
    """Sends the numbers below the task's to their remainder's target, in chunks of one."""

    width: int

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        count = json.loads(bytes(next(chunks)))
        for number in range(count):
            yield Chunk(number % self.width, encode_chunk("number", pa.table({"number": [number], "from": [target]})))
        yield encode_note(SpreadNote(target, count))


@dataclass(frozen=True)
class Total:
    """Reports its target and what it was sent, and hands the sum on to target 0 when there is a next step."""

    onward: bool

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        total = sum(gather_chunks(chunks)["number"].column("number").to_pylist())
        yield encode_note(TotalNote(target, total))
        if self.onward:
            yield Chunk(0, encode_chunk("number", pa.table({"number": [total]})))


class Large:
    """Eight megabytes in one chunk."""

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        list(chunks)
        yield Chunk(0, encode_chunk("number", pa.table({"number": range(1_000_000)})))


class Tell:
    """Says which process it is done by."""

    def __call__(self, _target: int, _chunks: Iterator[Body]) -> Iterator[Chunk]:
        yield encode_note(WorkerNote(os.getpid(), os.getppid()))


@dataclass(frozen=True)
class Wait:
    """Leaves a file with the ids of its process and that one's parent, and does not come back."""

    folder: Path

    def __call__(self, target: int, _chunks: Iterator[Body]) -> Iterator[Chunk]:
        aside = self.folder / f"aside-{target}"
        aside.write_text(f"{os.getpid()} {os.getppid()}")
        aside.rename(self.folder / f"begun-{target}")
        time.sleep(600)
        yield Chunk(0, b"")


@dataclass(frozen=True)
class Fail:
    """Raises what its name says at one target, after a chunk; or ends its process."""

    how: str
    at: int

    def __call__(self, target: int, _chunks: Iterator[Body]) -> Iterator[Chunk]:
        yield Chunk(0, encode_chunk("number", pa.table({"number": [target]})))
        if target == self.at:
            fail(self.how)


def fail(how: str) -> None:
    raised: dict[str, Any] = {
        "refusal": refuse("REF_SCOPE_INVALID", "said no", pointer="/x") if how == "refusal" else None,
        "defect": ZeroDivisionError("of a kind"),
        "memory": MemoryError(),
        "disk": OSError(errno.ENOSPC, "No space left on device"),
    }
    if how in raised:
        raise raised[how]
    os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSEGV)


STEPS = [Step("spread", Spread(5), 5), Step("total", Total(True), 3), Step("all", Total(False), 0)]
TASKS = [b"7", b"0", b"40"]


def order_notes(notes: list[dict[str, Any]]) -> list[str]:
    """Notes as texts, in an order of their own: engines give them in any."""
    return sorted(json.dumps(note, sort_keys=True) for note in notes)
