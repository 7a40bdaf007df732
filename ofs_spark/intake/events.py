"""What a row says of an event: its id, type, instants and keys, judged by the contract's rules."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.intake import rows as r
from ofs_spark.intake.declared import EventColumns
from ofs_spark.intake.numbers import NumberColumns

PARTITIONS = 8
"""Partitions that events are dealt to by the value of a column."""
MOST_OFFSET, MOST_PARTITION = 2**63 - 1, 2**31 - 1
_WHOLE = re.compile(r"(0|[1-9][0-9]{0,18})")
ID_RECIPE = "ofs.import.event_id.v1"

EVENTS = pa.schema(
    [
        pa.field("event_id", pa.string(), False),
        pa.field("event_type", pa.string(), False),
        pa.field("ts", pa.int64(), False),
        pa.field("arrival", pa.int64(), False),
        pa.field("partition", pa.int32(), False),
        pa.field("offset", pa.int64(), False),
        pa.field("payload", pa.large_string(), False),
    ]
)
"""Judged events, in the order of the file. Times in µs; arrival and offset 0 where none is declared; payload: canonical JSON."""


@dataclass(frozen=True)
class Texts:
    """Texts of every row, "" where there is none; row → why there is none."""

    values: list[str]
    bad: Mapping[int, str]


def judge_events(
    block: r.Block, columns: EventColumns, numbers: NumberColumns
) -> tuple[pa.RecordBatch, list[r.Reject]]:
    """The events of a block as `EVENTS`, and the rows that are none. numbers: is shown the rows that are taken."""
    delivered, none = columns.delivered, np.zeros(len(block.lines), np.int64)
    ids, id_column = _read_ids(block, columns)
    types = read_names(block.read(columns.type)) if columns.type else Texts([columns.type_is] * len(none), {})
    at = block.read_times(columns.time)
    arrival = block.read_times(delivered.arrival) if delivered.arrival else r.Times(none, {})
    offset = read_whole(block.read(delivered.offset), MOST_OFFSET) if delivered.offset else r.Wholes(none, {})
    partition = _read_partitions(block, columns)
    faults = [(id_column, ids.bad), (columns.time, at.bad), (columns.type, types.bad), (delivered.arrival, arrival.bad)]
    faults += [(delivered.offset, offset.bad), (delivered.partition, partition.bad)]
    faults += [(name, find_bad_keys(block.read(name))) for name in columns.keys]
    bad = _list_first(block, faults)
    kept = [row for row in range(len(none)) if row not in bad]
    numbers.observe(block, kept)
    whole = {
        "event_id": pa.array(_clean(ids), pa.string()),
        "event_type": pa.array(_clean(types), pa.string()),
        "ts": pa.array(at.micros),
        "arrival": pa.array(arrival.micros),
        "partition": pa.array(partition.values.astype(np.int32)),
        "offset": pa.array(offset.values),
        "payload": pa.array(block.write(delivered.columns), pa.large_string()),
    }
    batch = pa.RecordBatch.from_arrays([whole[name] for name in EVENTS.names], schema=EVENTS)
    return batch.take(pa.array(kept, pa.int64())) if bad else batch, [bad[row] for row in sorted(bad)]


def _list_first(block: r.Block, faults: Sequence[tuple[str, Mapping[int, str]]]) -> dict[int, r.Reject]:
    """Row → the first of its faults. faults: (column, row → reason), in the order of telling."""
    found: dict[int, r.Reject] = {}
    for column, bad in faults:
        for row, reason in bad.items():
            found.setdefault(row, r.Reject(block.lines[row], column, reason))
    return found


def _clean(texts: Texts) -> list[str]:
    """The values, with nothing in the place of those that are none."""
    return [("" if row in texts.bad else one) for row, one in enumerate(texts.values)] if texts.bad else texts.values


def _read_ids(block: r.Block, columns: EventColumns) -> tuple[Texts, str]:
    """The events' ids, and the column to name where one is bad."""
    if columns.id:
        return read_names(block.read(columns.id)), columns.id
    hashed: list[str] = []
    bad: dict[int, str] = {}
    for row, values in enumerate(zip(*(block.read(name) for name in columns.id_from), strict=True)):
        if all(one is None for one in values):
            bad[row] = r.MISSING
        hashed.append(hash_id(values))
    return Texts(hashed, bad), columns.id_from[0]


def hash_id(values: Sequence[Any]) -> str:
    """The id of an event whose source has none: 32 hex digits of `H` over the values that tell it from others."""
    text = f'{{"recipe":"{ID_RECIPE}","values":{r.write_json_text(list(values))}}}'
    return sha256(text.encode()).hexdigest()[:32]


def read_names(values: list[Any]) -> Texts:
    """Texts as they are and whole numbers as their digits; nothing else is an id or the name of a type."""
    if set(map(type, values)) == {str} and "" not in values and "".join(values).isascii():
        return Texts(values, {})
    texts: list[str] = []
    bad: dict[int, str] = {}
    for row, one in enumerate(values):
        text = one if type(one) is str else str(one) if type(one) is int else ""
        if one is None or one == "":
            bad[row] = r.MISSING
        elif not text:
            bad[row] = r.NO_NAME
        elif r.has_half_pair(text):
            bad[row] = r.HALF_PAIR
        texts.append(text)
    return Texts(texts, bad)


def find_bad_keys(values: list[Any]) -> dict[int, str]:
    """Row → why its value is no key. A missing one is no fault: the group's columns are null there."""
    kinds = set(map(type, values))
    if not kinds & {list, dict} and (str not in kinds or "".join(one for one in values if type(one) is str).isascii()):
        return {}
    bad = {row: r.NO_SCALAR for row, one in enumerate(values) if isinstance(one, list | dict)}
    return bad | {row: r.HALF_PAIR for row, one in enumerate(values) if type(one) is str and r.has_half_pair(one)}


def read_whole(values: list[Any], most: int) -> r.Wholes:
    """Whole numbers from 0 to `most`: numbers, or texts of their digits without a zero in front."""
    found = np.zeros(len(values), np.int64)
    bad: dict[int, str] = {}
    for row, one in enumerate(values):
        digits = str(one) if type(one) is int else one if type(one) is str else ""
        if one is None or one == "":
            bad[row] = r.MISSING
        elif not _WHOLE.fullmatch(digits) or int(digits) > most:
            bad[row] = r.NO_WHOLE
        else:
            found[row] = int(digits)
    return r.Wholes(found, bad)


def _read_partitions(block: r.Block, columns: EventColumns) -> r.Wholes:
    """The partition of every row: the one it states; else CRC-32 of a value's text modulo PARTITIONS, a missing value being
    no text; else 0."""
    if columns.delivered.partition:
        return read_whole(block.read(columns.delivered.partition), MOST_PARTITION)
    if not columns.partition_by:
        return r.Wholes(np.zeros(len(block.lines), np.int64), {})
    texts = (
        "" if one is None else one if type(one) is str else r.write_value(one)
        for one in block.read(columns.partition_by)
    )
    dealt = (zlib.crc32(text.encode("utf-8", "surrogatepass")) % PARTITIONS for text in texts)
    return r.Wholes(np.fromiter(dealt, np.int64, len(block.lines)), {})
