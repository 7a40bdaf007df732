"""Chunks between two steps of the embedded engine: in files without a name, which end with the last process that has them.

A worker appends what a step emits to a file in memory, and beyond its share of memory to one on disk. Readers map them,
so that a chunk is copied once, when it is written. Nothing is left behind, however the processes end.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from ofs_spark.foundation.columnar.dataflow import Body

_ALIGNED = 64
"""Arrow's buffers stand at multiples of this, so that none is copied when it is read."""


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
        self.end = -(-self.end // _ALIGNED) * _ALIGNED
        return start


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
    """Reads the chunks of a step from the files of all workers."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._descriptors = list(descriptors)
        self._mapped: dict[int, pa.Buffer] = {}

    def read(self, place: Place) -> pa.Buffer:
        """The chunk at a place, without a copy."""
        return self._map(place.file).slice(place.start, place.bytes) if place.bytes else pa.py_buffer(b"")

    def close(self) -> None:
        """Closes the files; what is still being read of them stays readable."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors, self._mapped = [], {}

    def _map(self, file: int) -> pa.Buffer:
        if file not in self._mapped:
            self._mapped[file] = pa.py_buffer(mmap.mmap(self._descriptors[file], 0, prot=mmap.PROT_READ))
        return self._mapped[file]
