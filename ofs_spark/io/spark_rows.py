"""A published table as a frame of somebody's Spark session: its workers read the files, and prove each as they read it.

Spark's own reader would see the same files, but not whether they still are what was published; and it reaches a bucket only
with a configuration of its own, where workers reach it as those of a build do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from ofs_spark.publish.delta_log import describe_schema
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.rows import FileReader, Period
from ofs_spark.workflow.load import LoadedDataset, make_schema

__all__ = ["DataFrame", "SparkSession", "open_frame"]

BATCH_ROWS = 16_384


def open_frame(session: SparkSession, loaded: LoadedDataset, period: Period) -> DataFrame:
    """The rows inside a period; one task a file. A file that no longer proves fails the task that reads it."""
    entries = tuple(json.dumps(entry.to_document()) for entry in loaded.stored.select(period))
    schema = StructType.fromJson(describe_schema(loaded.columns))
    if not entries:
        return session.createDataFrame(make_schema(loaded.columns).empty_table(), schema)
    frame: DataFrame = session.range(0, len(entries), 1, len(entries))  # one number a partition
    return frame.mapInArrow(_ReadFiles(loaded.stored.reader, period, entries), schema)


@dataclass(frozen=True)
class _ReadFiles:
    """Numbers of entries to the rows of their files."""

    reader: FileReader
    period: Period
    entries: tuple[str, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                entry = FileEntry.from_document(json.loads(self.entries[number]))
                yield from self.period.select(self.reader.read(entry)).to_batches(max_chunksize=BATCH_ROWS)
