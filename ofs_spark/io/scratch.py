"""Chunks between two steps of the embedded engine: in files without a name, which end with the last process that has them.

A worker appends what a step emits to a file in memory, and beyond its share of memory to one on disk. Readers map them,
so that a chunk is copied once, when it is written. A chunk's room is given back when nothing of it is read any more: the
pages that a step has read are those that its output is written to. Nothing is left behind, however the processes end.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.dataflow import Body

_PAGE = mmap.ALLOCATIONGRANULARITY
"""Chunks start at multiples of this: each has pages of its own, which can be given back."""


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
    """Reads the chunks of a step from the files of all workers, each once: its room is given back with its last array."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._descriptors = list(descriptors)
        self._mapped: dict[int, mmap.mmap] = {}

    def read(self, place: Place) -> pa.Buffer:
        """The chunk at a place, without a copy."""
        if not place.bytes:
            return pa.py_buffer(b"")
        mapped = self._map(place.file)
        view = np.frombuffer(mapped, np.uint8, place.bytes, place.start)
        view.flags.writeable = False  # the mapping is, as the kernel asks of whoever gives pages back
        weakref.finalize(view, _give_back, mapped, place.start, place.bytes).atexit = False
        return pa.py_buffer(view)

    def close(self) -> None:
        """Closes the files; what is still being read of them stays readable."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors, self._mapped = [], {}

    def _map(self, file: int) -> mmap.mmap:
        """The whole file: a mapping of each chunk would take a descriptor each, of which a process may have a thousand."""
        if file not in self._mapped:
            self._mapped[file] = mmap.mmap(self._descriptors[file], 0)
        return self._mapped[file]


def _give_back(mapped: mmap.mmap, start: int, size: int) -> None:
    """Takes a chunk's pages away, from memory or disk."""
    with suppress(OSError):  # the file system cannot: the room is given back with the file
        mapped.madvise(mmap.MADV_REMOVE, start, size)
