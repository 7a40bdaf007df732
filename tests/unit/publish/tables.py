"""A small dataset of every column type, written as a bucket would, for the tests of the publish room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa

from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.columns import Column
from ofs_spark.publish.layout import FilledLeaf, Leaf, cut_leaves, find_hot_keys
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.parquet import select_leaf, write_files
from ofs_spark.publish.verify import Checks

DAY = 86_400_000_000
TYPES = {
    "event_id": "string",
    "ts_utc": "timestamp[us, tz=UTC]",
    "n": "int64",
    "p": "int32",
    "f": "double",
    "b": "bool",
    "d": "decimal128(38, 2)",
    "l": "list<int64>",
    "label__x__status": "string",
    "label__x__observed_time": "timestamp[us, tz=UTC]",
}
COLUMNS = [
    Column(name, type_, "feature", f"what {name} means", "EUR" if name == "d" else "") for name, type_ in TYPES.items()
]
CHECKS = Checks(tuple(TYPES.items()), ("x",), 2 * DAY, DAY, {"f": DAY})
TABLE = "run/ofs/datasets/dm_1/a1"


def rows(count: int = 40) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Dataset rows, their key codes (half of them one hot key) and their event times."""
    numbers = np.arange(count)
    codes = np.sort(np.where(numbers % 2 == 0, 3, numbers % 5))
    ts = np.concatenate([np.sort(numbers[codes == code] * DAY // 10 + 1) for code in np.unique(codes)])
    micros = pa.timestamp("us", "UTC")
    table = pa.table(
        {
            "event_id": [f"e{i}" for i in numbers],
            "ts_utc": pa.array(ts, micros),
            "n": pa.array(numbers),
            "p": pa.array((numbers % 4).astype(np.int32)),
            "f": [None if i % 7 == 0 else i / 3 for i in numbers],
            "b": [bool(i % 3) for i in numbers],
            "d": pa.array([Decimal(int(i)).scaleb(-2) for i in numbers], pa.decimal128(38, 2)),
            "l": pa.array([[1, None, i] if i % 3 else None for i in numbers], pa.list_(pa.int64())),
            "label__x__status": ["NOT_FOUND" if i % 2 else "RESOLVED" for i in numbers],
            "label__x__observed_time": pa.array([None if i % 2 else 2 * DAY for i in numbers], micros),
        }
    )
    return table, codes, ts


def placed(count: int = 40, leaf_rows: int = 15) -> tuple[pa.Table, list[Leaf]]:
    table, codes, ts = rows(count)
    return table, cut_leaves(0, codes, ts, find_hot_keys(np.bincount(codes), leaf_rows))


def filled(table: pa.Table, cut: list[Leaf]) -> Iterator[FilledLeaf]:
    return (FilledLeaf(leaf.leaf, select_leaf(table, leaf)) for leaf in cut)


def stage(objects: LocalObjects | MemoryObjects, file_rows: int = 20) -> list[FileEntry]:
    table, cut = placed()
    entries = []
    for body, entry in write_files(filled(table, cut), 0, file_rows):
        entries.append(replace(entry, path=f"{TABLE}/{entry.path}"))
        objects.put_if_absent(entries[-1].path, body)
    return entries
