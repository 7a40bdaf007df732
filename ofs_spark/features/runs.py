"""The rows of one target, sorted: in memory where they are few, else as sorted runs in files without a name.

A target has as many rows as its keys bring, and one key may bring millions. Chunks are gathered up to RUN_BYTES and
sorted. What does not end there is written to this machine's scratch disk, batch by batch, and the next run begins; any
stretch of any run can be read again. In memory stay, of a run, its keys, where each begins, and the rows' times.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from typing import Self

import numpy as np
import pyarrow as pa

from ofs_spark.features.group_rows import encode_keys, sort_totally
from ofs_spark.foundation.columnar.arrays import Array, read_values
from ofs_spark.foundation.columnar.dataflow import Body, encode_chunk, gather_chunks
from ofs_spark.foundation.ends import refuse_os_error
from ofs_spark.foundation.wording import write_count
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import is_anchor

RUN_BYTES = 128 * 1024**2
"""Of chunks that are gathered before they are sorted: sorting them takes three times as much for a moment."""
_BATCH_ROWS = 1 << 15
"""Of what is written to scratch, and read again, at once: some megabytes."""


@dataclass(frozen=True)
class Run:
    """Rows in layout order. `read` gives rows [begin, end) as a table.

    keys: key columns and event id, one row per key (rows without a key have one each). starts: first row of each key, then
    the number of rows. anchors: per key. ts: per row, µs.
    """

    keys: pa.Table
    starts: Array
    anchors: Array
    ts: Array
    read: Callable[[int, int], pa.Table]


@contextmanager
def gather_runs(
    chunks: Iterator[Body], kind: str, key_columns: Sequence[str], most_bytes: int = RUN_BYTES
) -> Iterator[list[Run]]:
    """Every row of one kind that `chunks` hold: one run in memory, or several on scratch for as long as the block runs.

    ENVIRONMENT_UNFIT where scratch takes no more, with what stands there.
    """
    runs: list[Run] = []
    with ExitStack() as held:
        scratch: _Scratch | None = None
        for bodies, is_last in _divide(chunks, most_bytes):
            table = gather_chunks(_drain(bodies))[kind]
            code, _ = encode_keys(table, key_columns)
            order = sort_totally(code, table)
            if is_last and scratch is None:
                read = _read_table(table, order)
            else:
                scratch = scratch or held.enter_context(_Scratch(kind))
                read = scratch.write(table, order)
            runs.append(_describe_run(table, code[order], order, key_columns, read))
            del table, read
            if scratch is not None:
                pa.default_memory_pool().release_unused()
        yield runs


def _divide(chunks: Iterator[Body], most: int) -> Iterator[tuple[list[Body], bool]]:
    """Chunks by so many bytes, and whether they are the last ones."""
    held, size = list[Body](), 0
    for body in chunks:
        if size >= most:
            yield held, False
            held, size = [], 0
        held.append(body)
        size += len(body)
    yield held, True


def _drain(bodies: list[Body]) -> Iterator[Body]:
    """The bodies, held by nobody once they are taken."""
    while bodies:
        yield bodies.pop()


def _read_table(table: pa.Table, order: Array) -> Callable[[int, int], pa.Table]:
    def read(begin: int, end: int) -> pa.Table:
        """The rows at places [begin, end) of the order."""
        return table.take(pa.array(order[begin:end]))

    return read


def _describe_run(
    table: pa.Table, code: Array, order: Array, key_columns: Sequence[str], read: Callable[[int, int], pa.Table]
) -> Run:
    """The run of a table's rows in an order, which `code` is in already."""
    begins = np.flatnonzero(np.diff(code, prepend=-1))
    own = np.add.reduceat(is_anchor(table)[order].astype(np.int64), begins) if len(begins) else begins
    keys = table.select([*dict.fromkeys([*key_columns, r.EVENT_ID])]).take(pa.array(order[begins]))
    return Run(keys, np.append(begins, len(order)), own, read_values(table, r.TS)[order], read)


class _Scratch:
    """A file that has no name: it ends with the process that wrote it, however that ends."""

    _file: FileIO

    def __init__(self, kind: str) -> None:
        # Spark names the disks of its own spilled rows to its workers; elsewhere it is the system's folder.
        self._folder = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or tempfile.gettempdir()
        self._held, self._kind, self._size = ExitStack(), kind, 0

    def __enter__(self) -> Self:
        """Makes the file."""
        self._file = self._held.enter_context(tempfile.TemporaryFile(dir=self._folder, buffering=0))
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self._held.close()

    def write(self, table: pa.Table, order: Array) -> Callable[[int, int], pa.Table]:
        """Writes the rows in an order; gives what reads rows [begin, end) of them again."""
        places = [
            self._put(encode_chunk(self._kind, table.take(pa.array(order[begin : begin + _BATCH_ROWS]))))
            for begin in range(0, len(order), _BATCH_ROWS)
        ]

        def read(begin: int, end: int) -> pa.Table:
            """The rows at places [begin, end) of the order."""
            first, last = begin // _BATCH_ROWS, -(-end // _BATCH_ROWS)
            tables = [self._get(*place) for place in places[first:last]]
            return pa.concat_tables(tables).slice(begin - first * _BATCH_ROWS, end - begin)

        return read

    def _put(self, body: pa.Buffer) -> tuple[int, int]:
        """(where the bytes stand, how many they are)."""
        at, rest = self._size, memoryview(body)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            what = f"{self._folder}, where {write_count(at, 'byte')} of one target's sorted rows stand"
            raise refuse_os_error(error, what, found=at + body.size) from error
        self._size += body.size
        return at, body.size

    def _get(self, at: int, size: int) -> pa.Table:
        return pa.ipc.open_stream(pa.py_buffer(os.pread(self._file.fileno(), size, at))).read_all()
