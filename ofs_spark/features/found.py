"""What rules refuse in the pieces of a target, told as of one piece: counts add up, a key and an overflow are told once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from ofs_spark.features.faults import find_order_faults, is_source, make_fault
from ofs_spark.features.group_rows import KeyedTable
from ofs_spark.features.order import KeyOrder
from ofs_spark.foundation.columnar.arrays import read_values
from ofs_spark.foundation.columnar.notes import EventPlace, Fault
from ofs_spark.pins.profile.compiler import list_columns
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import is_anchor

_OVERFLOW = "FEATURE_NUMERIC_OVERFLOW"


@dataclass
class Found:
    """Faults of the pieces of one target so far. groups: those of its key."""

    program: Program
    groups: tuple[int, ...]
    _faults: list[Fault] = field(default_factory=list)
    _overflows: dict[str, Fault] = field(default_factory=dict)
    _orders: dict[int, tuple[KeyOrder, list[Fault]]] = field(default_factory=dict)
    _first: EventPlace | None = None

    @property
    def is_refused(self) -> bool:
        """Whether anything was found."""
        return bool(self._faults or self._overflows)

    def add(self, keyed: KeyedTable, faults: list[Fault], is_continued: bool) -> None:
        """Adds what is found in a piece; is_continued: the next one goes on with its key."""
        if self._first is None:
            self._first = make_fault("", "", "", np.ones(1, np.bool_), keyed.table.slice(0, 1)).first
        for fault in faults:
            if fault.code == _OVERFLOW:
                held = self._overflows.get(fault.subject, fault)
                self._overflows[fault.subject] = min(held, fault, key=self._number_column)
            else:
                self._faults.append(fault)
        if keyed.is_split:
            self._judge_order(keyed, is_continued)

    def list_faults(self) -> Iterator[Fault]:
        """Everything that was found."""
        yield from self._faults
        for fault in self._overflows.values():  # told of the target, by its first row
            yield replace(fault, first=self._first, details={})

    def _number_column(self, overflow: Fault) -> int:
        """Where the column that overflowed stands in its group."""
        (group,) = (g for g in (self.program.groups[index] for index in self.groups) if g.name == overflow.subject)
        return list_columns(group).index(overflow.details["column"])

    def _judge_order(self, keyed: KeyedTable, is_continued: bool) -> None:
        """Whether the key of a piece has an order is known at its last one; of its rows those of each piece are told."""
        ordinal, arrival = read_values(keyed.table, r.PARTITION_ORDINAL), read_values(keyed.table, r.ARRIVAL)
        for index in self.groups:
            group = self.program.groups[index]
            if group.knowledge != "as_observed":
                continue
            order, told = self._orders.setdefault(index, (KeyOrder(), []))
            concerned = is_source(keyed.table, index) | is_anchor(keyed.table)
            order.add(ordinal[concerned], arrival[concerned])
            told += find_order_faults(group.name, keyed.table, concerned)
            if not is_continued:
                self._faults += told if order.is_undefined else []
                del self._orders[index]
