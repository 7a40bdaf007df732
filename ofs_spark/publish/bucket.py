"""The end of the build job: the finished rows of one bucket, laid out and written as its Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from ofs_spark.features.by_event import name_choice_column
from ofs_spark.features.group_rows import KeyedTable
from ofs_spark.features.own import make_own_columns
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.dataflow import Chunk
from ofs_spark.foundation.columnar.measure import measure
from ofs_spark.foundation.columnar.notes import encode_note
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import OwnedRef, name_table_file
from ofs_spark.labels.asof import unpack_choices
from ofs_spark.labels.model import name_label_columns
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import TIMESTAMP, Column
from ofs_spark.pins.profile.model import Program
from ofs_spark.publish.file_list import put_staged
from ofs_spark.publish.layout import cut_leaves
from ofs_spark.publish.parquet import write_files
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import select_anchors


@dataclass(frozen=True)
class TopicPartition:
    """The (topic, partition) that a partition ordinal stands for."""

    topic: str
    partition: int


@dataclass(frozen=True)
class WriteBucket:
    """Writes the buckets of the dataset: where the layout key's rows go, a target's number being its bucket's."""

    takes_refused: ClassVar[bool] = False
    program: Program
    columns: tuple[Column, ...]
    label_types: tuple[str, ...]
    platform_run_id: str
    partitions: tuple[TopicPartition, ...]
    leaf_rows: int
    objects: Objects
    folder: OwnedRef

    def send(self, target: int, keyed: KeyedTable) -> Iterator[Chunk]:
        """Writes bucket `target`: a `FileEntry` note per Parquet file. `keyed` has every feature and own input of the program."""
        return measure("publish", self._write(target, keyed))

    def _write(self, target: int, keyed: KeyedTable) -> Iterator[Chunk]:
        table = keyed.table
        anchors = select_anchors(table)
        if not len(anchors):
            return
        all_anchors = len(anchors) == table.num_rows
        rows = self.select_rows(table if all_anchors else table.take(pa.array(anchors)))
        placed = cut_leaves(
            target, keyed.code[anchors], keyed.keyed, anchors, read_values(table, r.TS)[anchors], self.leaf_rows
        )
        for body, entry in write_files(rows, placed, target):
            ref = name_table_file(self.folder, entry.path)
            put_staged(self.objects, ref, body)
            yield encode_note(replace(entry, path=ref))

    def _unpack_labels(self, table: pa.Table) -> dict[str, pa.Array]:
        """The label columns, unpacked from the structs they travelled in."""
        made: dict[str, pa.Array] = {}
        for label_type in self.label_types:
            packed = combine_chunks(table.column(name_choice_column(label_type)))
            made |= dict(zip(name_label_columns(label_type), unpack_choices(packed), strict=True))
        return made

    def select_rows(self, table: pa.Table) -> pa.Table:
        """The dataset's columns, in catalogue order and types, of rows in layout order; texts of few values as dictionaries."""
        ordinal = read_values(table, r.PARTITION_ORDINAL)
        partitions = np.array([p.partition for p in self.partitions], np.int32)[ordinal]
        made: dict[str, pa.Array] = {
            **self._unpack_labels(table),
            **make_own_columns(self.program, table),
            "platform_run_id": _make_coded(np.zeros(table.num_rows, np.int32), [self.platform_run_id]),
            "event_type": table.column(r.EVENT_TYPE),
            "ts_utc": table.column(r.TS).cast(to_arrow_type(TIMESTAMP)),
            "_topic": _make_coded(ordinal, [p.topic for p in self.partitions]),
            "_partition": pa.array(partitions),
            "_offset": table.column(r.OFFSET),
        }
        columns = [made[c.name] if c.name in made else table.column(c.name) for c in self.columns]
        types = (
            one.type if pa.types.is_dictionary(one.type) else to_arrow_type(c.type)
            for c, one in zip(self.columns, columns, strict=True)
        )
        return pa.table(
            columns, schema=pa.schema([pa.field(c.name, type_) for c, type_ in zip(self.columns, types, strict=True)])
        )


def _make_coded(codes: Array, values: Sequence[str]) -> pa.Array:
    """Texts as codes of their values, which may repeat: two partitions of a topic have one text."""
    distinct = list(dict.fromkeys(values))
    place = np.array([distinct.index(value) for value in values], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(place[codes]), pa.array(distinct, pa.string()))
