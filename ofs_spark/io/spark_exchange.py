"""How chunks get from one step's workers to the next one's on Spark: in its rows, or in files where all are on one machine.

Spark's rows take a chunk through two sockets, the JVM and its shuffle's files. On one machine a worker writes it to a file
once, the rows carry its place, and whoever reads it maps it. Who works on what, in which order and how often stays Spark's
(docs/adr/0029).
"""

from __future__ import annotations

import json
import mmap
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias
from weakref import WeakValueDictionary

import pyarrow as pa
from pyspark import SparkContext

from ofs_spark.foundation.columnar.dataflow import Body
from ofs_spark.io.scratch import ChunkFile

_ONE_MACHINE = re.compile(r"local(\[.*\])?")
"""Masters whose workers are processes of the driver's machine."""


@dataclass(frozen=True)
class InRows:
    """Rows have the bodies themselves."""

    sends_bodies: ClassVar[bool] = True
    """Whether rows are as large as chunks."""

    def pack(self, body: Body) -> Body:
        """What the row has: the body."""
        return body

    def unpack(self, packed: pa.Buffer) -> Body:
        """The body of such a row."""
        return packed


@dataclass(frozen=True)
class InFiles:
    """Rows have the places of the bodies in files of this folder.

    Each worker appends to a file of its own. What a task wrote in vain stays unread.
    """

    sends_bodies: ClassVar[bool] = False
    folder: str

    def pack(self, body: Body) -> Body:
        """Writes the body; its place. OSError where there is no room."""
        name, file = _open_own(self.folder)
        buffer = pa.py_buffer(body)
        return json.dumps([name, file.append(buffer), buffer.size]).encode()

    def unpack(self, packed: pa.Buffer) -> Body:
        """The body at the place, mapped: its pages are let go with it. OSError where the file is gone."""
        name, start, size = json.loads(packed.to_pybytes())
        if not size:
            return b""
        return pa.py_buffer(_map_file(Path(self.folder, name), start + size)).slice(start, size)


Exchange: TypeAlias = InRows | InFiles
_OWN: dict[str, tuple[str, ChunkFile]] = {}
"""By folder the file that this worker appends to, and its name: of the job that it worked on last."""


def _open_own(folder: str) -> tuple[str, ChunkFile]:
    if folder not in _OWN:
        while _OWN:
            os.close(_OWN.popitem()[1][1].descriptor)
        descriptor, path = tempfile.mkstemp(dir=folder)
        _OWN[folder] = os.path.basename(path), ChunkFile(descriptor)
    return _OWN[folder]


_MAPPED: WeakValueDictionary[Path, mmap.mmap] = WeakValueDictionary()
"""Files of which something is being read."""


def _map_file(path: Path, end: int) -> mmap.mmap:
    """A file as far as `end`, mapped once: a mapping of each chunk would take a descriptor each."""
    mapped = _MAPPED.get(path)
    if mapped is None or len(mapped) < end:
        with path.open("rb") as file:
            mapped = _MAPPED[path] = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    return mapped


@contextmanager
def open_exchange(context: SparkContext) -> Iterator[Exchange]:
    """The exchange of one job: files end with it, or with the JVM where the driver could not see to that."""
    if not _ONE_MACHINE.fullmatch(context.master or ""):
        yield InRows()
        return
    # PySpark's folder under Spark's own for what is on disk (`spark.local.dir`), which the JVM takes away at its end.
    folder = tempfile.mkdtemp(prefix="chunks-", dir=context._temp_dir)
    try:
        yield InFiles(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
