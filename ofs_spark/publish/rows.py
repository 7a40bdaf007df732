"""The rows of a published table, file by file: proven each time they are read, by whoever reads them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES
from ofs_spark.foundation.ports import Objects
from ofs_spark.publish.file_list import read_table_file
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.parquet import TS_COLUMN
from ofs_spark.publish.verify import Schema, prove_file

WORKERS = min(4, os.cpu_count() or 1)
"""Files that are read and proven at once; hashing and decoding run beside each other."""


@dataclass(frozen=True)
class Period:
    """The rows with since ≤ ts_utc < until, µs since the epoch; None: without that bound."""

    since: int | None = None
    until: int | None = None

    def narrow(self, since: int | None = None, until: int | None = None) -> Period:
        """What is inside this period and inside the bounds."""
        froms = [one for one in (self.since, since) if one is not None]
        ends = [one for one in (self.until, until) if one is not None]
        return Period(max(froms, default=None), min(ends, default=None))

    def clip(self, span: tuple[int, int] | None) -> tuple[int, int] | None:
        """What of a span (least and greatest instant, µs) is inside the period; None for nothing."""
        if span is None:
            return None
        least = span[0] if self.since is None else max(span[0], self.since)
        greatest = span[1] if self.until is None else min(span[1], self.until - 1)
        return (least, greatest) if least <= greatest else None

    def select(self, rows: pa.Table) -> pa.Table:
        """The rows inside the period, in their order."""
        if self.since is None and self.until is None:
            return rows
        ts = rows.column(TS_COLUMN).cast(pa.int64()).to_numpy()
        inside = np.ones(len(ts), np.bool_)
        if self.since is not None:
            inside &= ts >= self.since
        if self.until is not None:
            inside &= ts < self.until
        return rows.filter(pa.array(inside))

    def may_hold(self, entry: FileEntry) -> bool:
        """Whether a file may have rows inside the period."""
        starts = self.until is None or entry.ts_min < self.until
        return starts and (self.since is None or entry.ts_max >= self.since)


WHOLE = Period()


@dataclass(frozen=True)
class FileReader:
    """Reads files of one table. A small value that pickles: workers read as the driver does.

    most_decoded: bytes that one file may decode to.
    """

    objects: Objects
    schema: Schema
    most_decoded: int = MOST_DECODED_BYTES

    def read(self, entry: FileEntry) -> pa.Table:
        """The rows of a file, as they were written. Refuses as `read_table_file` and `prove_file`."""
        return prove_file(read_table_file(self.objects, entry), entry, self.schema, self.most_decoded).rows


@dataclass(frozen=True)
class StoredRows:
    """All files of one table, by path, and who reads them."""

    reader: FileReader
    entries: tuple[FileEntry, ...]

    def select(self, period: Period) -> tuple[FileEntry, ...]:
        """The files that may have rows inside a period."""
        return tuple(entry for entry in self.entries if period.may_hold(entry))

    def read(self, period: Period = WHOLE) -> Iterator[pa.Table]:
        """The rows inside a period, file by file in the order of the entries; of the files that do not prove the first one
        is refused.

        Some files are read ahead; how many are held does not depend on how many there are.
        """
        waiting: deque[Future[pa.Table]] = deque()
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="ofs-read")
        try:
            for entry in self.select(period):
                waiting.append(pool.submit(self.reader.read, entry))
                if len(waiting) > WORKERS:
                    yield period.select(waiting.popleft().result())
            while waiting:
                yield period.select(waiting.popleft().result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
