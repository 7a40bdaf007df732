"""What the features room refuses: found row by row in each target, told once for the whole build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array, read_values
from ofs_spark.foundation.columnar.ids import show_id
from ofs_spark.foundation.columnar.notes import EventPlace, Fault
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.positions import Range
from ofs_spark.foundation.wording import write_count
from ofs_spark.pins.profile.model import Program, Value, ValueType, format_path
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import is_anchor
from ofs_spark.replay.segment_groups import list_partitions


def make_fault(code: str, subject: str, message: str, bad: Array, table: pa.Table) -> Fault:
    """The fault of the `bad` rows of a table."""
    rows = np.flatnonzero(bad)
    ordinal, seq = read_values(table, r.PARTITION_ORDINAL)[rows], read_values(table, r.SEQ)[rows]
    first = int(rows[np.lexsort((seq, ordinal))[0]])
    named = table.select([r.PARTITION_ORDINAL, r.SEQ, r.OFFSET, r.EVENT_ID]).slice(first, 1).to_pylist()[0]
    named[r.EVENT_ID] = show_id(named[r.EVENT_ID])
    return Fault(code, message, subject=subject, count=len(rows), first=EventPlace(**named))


def find_key_faults(program: Program, index: int, table: pa.Table) -> Iterator[Fault]:
    """Source events and anchors of group `index` whose key has a part that is no key; FEATURE_VALUE_INVALID."""
    group = program.groups[index]
    if program.keys[group.key].online_core is not None:
        return
    concerned = is_source(table, index) | is_anchor(table)
    for read, name in zip(program.keys[group.key].parts, program.keys[group.key].names, strict=True):
        bad = concerned & (read_values(table, r.name_status_column(read)) == r.INVALID)
        if bad.any():
            message = (
                f"key part {name} is an object, an array, a number beyond float64 or text with half a surrogate pair"
            )
            yield make_fault("FEATURE_VALUE_INVALID", f"{group.name}.{name}", message, bad, table)


def find_value_faults(program: Program, index: int, table: pa.Table) -> Iterator[Fault]:
    """Source events whose value is not what is declared, or missing where that fails; with or without a key."""
    group = program.groups[index]
    source = is_source(table, index)
    for value in group.values:
        status = read_values(table, r.name_status_column(value.read))
        bad = source & ((status == r.INVALID) | ((status == r.MISSING) & (value.missing == "fail")))
        if bad.any():
            message = describe_value(program, value)
            yield make_fault("FEATURE_VALUE_INVALID", f"{group.name}.{value.name}", message, bad, table)


def find_order_faults(group: str, table: pa.Table, undefined: Array) -> Iterator[Fault]:
    """ORDER_UNDEFINED: the rows of a group that nobody can put in the order of their delivery."""
    if undefined.any():
        yield make_fault("ORDER_UNDEFINED", group, "keys span partitions and lack arrival times", undefined, table)


def is_source(table: pa.Table, group: int) -> Array:
    """Which rows are source events of group `group`; shape (rows,)."""
    mask: Array = (read_values(table, r.FLAGS) & r.flag_source(group)) != 0
    return mask


def describe_value(program: Program, value: Value) -> str:
    """What a value must be: its path, its type and its missing rule."""
    read = program.reads[value.read]
    return f"{format_path(read.path)} must be {describe_type(read.type)}, missing: {value.missing}"


def describe_type(type_: ValueType) -> str:
    """A declared type as a profile writes it, and what of it no value may hold."""
    kind = f"decimal({type_.precision},{type_.scale})" if type_.kind == "decimal" else type_.kind
    return f"{kind}, without half a surrogate pair" if type_.kind == "string" else kind


def merge_faults(faults: Iterable[Fault], basis: Sequence[Range]) -> list[Refusal]:
    """What the faults of all targets refuse: first those that stand for themselves, by (code, message).

    Then one refusal per (code, subject) of counted rows, in that order: counts added up, named by the first position.
    """
    alone: list[Fault] = []
    counted: dict[tuple[str, str], list[tuple[EventPlace, Fault]]] = {}
    for fault in faults:
        if fault.first is None:
            alone.append(fault)
        else:
            counted.setdefault((fault.code, fault.subject), []).append((fault.first, fault))
    refusals = [fault.make_refusal() for fault in sorted(alone, key=lambda fault: (fault.code, fault.message))]
    return refusals + [_merge_counted(same, basis) for _, same in sorted(counted.items(), key=lambda one: one[0])]


def _merge_counted(same: Sequence[tuple[EventPlace, Fault]], basis: Sequence[Range]) -> Refusal:
    """The refusal of faults of one code and subject."""
    first, fault = min(same, key=lambda one: (one[0].partition_ordinal, one[0].seq))
    count = sum(one.count for _, one in same)
    topic, partition = list_partitions(basis)[first.partition_ordinal]
    details: dict[str, Any] = {
        "subject": fault.subject,
        "events": count,
        "first": {"topic": topic, "partition": partition, "event_id": first.event_id, "offset": first.offset},
    }
    where = f"the first at {topic} partition {partition} offset {first.offset}"
    return refuse(fault.code, f"{fault.subject}: {fault.message}; {write_count(count, 'event')}, {where}", **details)
