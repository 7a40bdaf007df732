"""Chunks between two steps of the embedded engine: in files without a name, which end with the last process that has them.

A worker appends what a step emits to a file in memory, and beyond its share of memory to one on disk. Readers map them,
so that a chunk is copied once, when it is written. A chunk's room is given back when nothing of it is read any more: the
pages that a step has read are those that its output is written to. Nothing is left behind, however the processes end.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from ofs_spark.foundation.columnar.dataflow import Body

_PAGE = mmap.ALLOCATIONGRANULARITY
"""Chunks start at multiples of this: each can be mapped, and given back, by itself."""


class Place(NamedTuple):
    """Where a chunk stands: the place of its file among those of its step, and the bytes of it."""

    file: int
    start: int
    bytes: int


@dataclass
class ChunkFile:
    """A file that chunks are appended to."""

    descriptor: int
    end: int = 0

    def append(self, body: pa.Buffer) -> int:
        """Writes a body; where it starts. OSError where it has no room."""
        start = self.end
        view = memoryview(body)
        while view:
            written = os.pwrite(self.descriptor, view, self.end)
            view, self.end = view[written:], self.end + written
        self.end = -(-self.end // _PAGE) * _PAGE
        return start


def map_chunk(descriptor: int, start: int, size: int, last: bool = False) -> pa.Buffer:
    """The chunk of `size` bytes, one or more, that `append` put at `start`, without a copy.

    last: whether nobody reads it a second time. Then its room is given back when the last array of it is gone.
    """
    if not last:
        return pa.py_buffer(mmap.mmap(descriptor, size, offset=start, prot=mmap.PROT_READ))
    return pa.py_buffer(_ReadOnce(descriptor, size, offset=start))


class _ReadOnce(mmap.mmap):
    """Pages that are given back, with what they hold, when the mapping ends. Writable, as the kernel asks of whoever does."""

    def __del__(self) -> None:
        with suppress(OSError):  # the file system cannot: the room is given back with the file
            self.madvise(mmap.MADV_REMOVE)


class Outbox:
    """Takes what one worker emits in one step. memory: bytes that it may hold before it writes to disk."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._files: list[ChunkFile] = []
        self._held: ChunkFile | None = None
        self._spilled: ChunkFile | None = None

    def append(self, body: Body) -> Place:
        """Keeps a chunk; its place counts the files of this outbox."""
        buffer = pa.py_buffer(body)
        file = self._choose(buffer.size)
        return Place(self._files.index(file), file.append(buffer), buffer.size)

    def close(self) -> list[int]:
        """The descriptors of the files, in their order: they are the caller's from now on."""
        return [file.descriptor for file in self._files]

    def _choose(self, size: int) -> ChunkFile:
        if (self._held.end if self._held else 0) + size <= self._memory:
            self._held = self._held or self._add(os.memfd_create("ofs-chunks"))
            return self._held
        self._spilled = self._spilled or self._add(_open_spilled())
        return self._spilled

    def _add(self, descriptor: int) -> ChunkFile:
        self._files.append(ChunkFile(descriptor))
        return self._files[-1]


def _open_spilled() -> int:
    """A file in the folder for temporary ones (`TMPDIR`), which no folder lists."""
    with tempfile.TemporaryFile(prefix="ofs-chunks-") as file:
        return os.dup(file.fileno())


class Inbox:
    """Reads the chunks of a step from the files of all workers, each once."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._descriptors = list(descriptors)

    def read(self, place: Place) -> Body:
        """The chunk at a place, without a copy."""
        return map_chunk(self._descriptors[place.file], place.start, place.bytes, last=True) if place.bytes else b""

    def close(self) -> None:
        """Closes the files; what is still being read of them stays readable."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []
