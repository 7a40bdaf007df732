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
from ofs_spark.features.pieces import Pieces
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.dataflow import Chunk
from ofs_spark.foundation.columnar.ids import unpack_ids
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
from ofs_spark.publish.layout import FilledLeaf, cut_leaves, find_hot_keys, name_shared_leaf
from ofs_spark.publish.parquet import select_leaf, write_files
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import select_anchors

SLICE_ROWS = 1 << 18
"""Of a piece that is turned into rows of the dataset at once."""


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

    def send(self, target: int, pieces: Pieces) -> Iterator[Chunk]:
        """Writes bucket `target`: a `FileEntry` note per Parquet file. Rows have every feature and own input of the program."""
        return measure("publish", self._write(target, pieces), lambda: pieces.seconds)

    def _write(self, target: int, pieces: Pieces) -> Iterator[Chunk]:
        for body, entry in write_files(self._fill_leaves(target, pieces), target):
            ref = name_table_file(self.folder, entry.path)
            put_staged(self.objects, ref, body)
            del body
            yield encode_note(replace(entry, path=ref))

    def _fill_leaves(self, target: int, pieces: Pieces) -> Iterator[FilledLeaf]:
        """The leaves in file order, each as soon as it is whole: the shared one is when the last row of no hot key is there."""
        hot, name = find_hot_keys(pieces.anchors, self.leaf_rows), name_shared_leaf(target)
        missing = int(pieces.anchors[~hot].sum()) + pieces.loose
        waiting: dict[str, list[pa.Table]] = {}
        for piece in pieces:
            for leaf, rows in self._cut_piece(target, piece, hot):
                waiting.setdefault(leaf, []).append(rows)
                missing -= rows.num_rows if leaf == name else 0
                del rows
            del piece  # the next one is made meanwhile
            if missing:
                continue
            if name in waiting:
                yield _fill(name, waiting.pop(name))
            for leaf in list(waiting)[:-1]:  # the last one may go on in the next piece
                yield _fill(leaf, waiting.pop(leaf))
        for leaf in list(waiting):
            yield _fill(leaf, waiting.pop(leaf))

    def _cut_piece(self, target: int, piece: KeyedTable, hot: Array) -> Iterator[tuple[str, pa.Table]]:
        """What a piece has of the leaves: their ids, and rows of the dataset, few enough not to hold many others in memory."""
        anchors = select_anchors(piece.table)
        for own in (anchors[first : first + SLICE_ROWS] for first in range(0, len(anchors), SLICE_ROWS)):
            is_whole = len(own) == own[-1] - own[0] + 1
            table = piece.table.slice(own[0], len(own)) if is_whole else piece.table.take(pa.array(own))
            rows = self.select_rows(table)
            for leaf in cut_leaves(target, piece.code[own], read_values(table, r.TS), hot):
                yield leaf.leaf, select_leaf(rows, leaf)

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
            "event_id": unpack_ids(table.column(r.EVENT_ID)),
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


def _fill(leaf: str, parts: list[pa.Table]) -> FilledLeaf:
    """A leaf of rows in order."""
    return FilledLeaf(leaf, pa.concat_tables(parts))
