"""Logged values against rebuilt ones, where the last features of a key are computed: column by column, exactly.

Equal are values of equal text (`values.py`), of float64 equal numbers, and two nulls. Other numbers have a difference,
the one between their decimals, and lie within a tolerance if |logged − rebuilt| ≤ absolute, or ≤ relative × |rebuilt|.
A null and a value, two texts, lists of different length have none, and are beyond every tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features.pieces import Pieces
from ofs_spark.foundation.clock import DAY_US, format_instant
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.dataflow import Chunk
from ofs_spark.foundation.columnar.ids import show_id
from ofs_spark.foundation.columnar.measure import measure
from ofs_spark.foundation.errors import refuse, show_text
from ofs_spark.parity.attach import AttachLogged
from ofs_spark.parity.logged import COLUMN, LINE, NUMBER, TEXT
from ofs_spark.parity.skew import MOST_WORST, Found, Tally, WorstRow, rank, send_skew, write_decimal
from ofs_spark.parity.values import EXACT, is_numeric, spell_rebuilt, subtract
from ofs_spark.pins.columns import DOUBLE, ColumnType, find_type
from ofs_spark.replay import rows as r

_HELD = 4_096
"""Rows beyond tolerance that are held before all but the worst are let go."""


@dataclass(frozen=True)
class Tolerance:
    """How far a logged value may be from the rebuilt one; None where it is not declared."""

    absolute: Decimal | None
    relative: Decimal | None

    def admits(self, difference: Decimal, rebuilt: Decimal) -> bool:
        """Whether a difference is within one of the two."""
        size = difference.copy_abs()
        if self.absolute is not None and size <= self.absolute:
            return True
        return self.relative is not None and size <= EXACT.multiply(self.relative, rebuilt.copy_abs())

    def to_document(self) -> dict[str, str | None]:
        """As a report holds it."""
        stated = {"absolute": self.absolute, "relative": self.relative}
        return {name: None if one is None else write_decimal(one) for name, one in stated.items()}


def read_tolerances(
    declared: Mapping[str, Mapping[str, str]], columns: Sequence[tuple[str, str]]
) -> dict[str, Tolerance]:
    """The tolerances of policy for columns, (name, type), of a set; those for other columns are for other sets.

    ENVIRONMENT_UNFIT for one of a column whose values have no difference.
    """
    found = {}
    for name, type_ in columns:
        if name in declared:
            if not is_numeric(find_type(type_)):
                message = f"the policy: parity_tolerances of features.yaml: {name} is {type_}, which has no differences"
                raise refuse("ENVIRONMENT_UNFIT", message, column=name, type=type_)
            stated = {of: Decimal(text) for of, text in declared[name].items()}
            found[name] = Tolerance(stated.get("absolute"), stated.get("relative"))
    return found


@dataclass(frozen=True)
class CompareLogged:
    """Takes the finished rows of a target and compares what travels with them.

    columns: (name, type) of the features, by place; partitions: (topic, partition) by ordinal; width: targets of the
    step that adds up.
    """

    takes_refused: ClassVar[bool] = False
    columns: tuple[tuple[str, str], ...]
    tolerances: Mapping[str, Tolerance]
    partitions: tuple[tuple[str, int], ...]
    width: int

    def send(self, _target: int, pieces: Pieces) -> Iterator[Chunk]:
        """What the rows of a target come to, for `skew.AddSkew`."""
        compared = (chunk for piece in pieces for chunk in self._compare(piece.table))
        return measure("parity", compared, lambda: pieces.seconds)

    def _compare(self, table: pa.Table) -> Iterator[Chunk]:
        lists = combine_chunks(table.column(AttachLogged.kind))
        parent, logged = np.asarray(pc.list_parent_indices(lists)).astype(np.int64), lists.flatten()
        place = np.asarray(logged.field(COLUMN))
        days: dict[tuple[int, int], Tally] = {}
        worst: dict[int, Sequence[Found]] = {}
        for column in np.unique(place).tolist():
            own = np.flatnonzero(place == column)
            rows = logged.take(pa.array(own))
            tallies, worst[column] = self._compare_column(column, table, parent[own], rows)
            days |= {(column, day): tally for day, tally in tallies.items()}
        yield from send_skew(days, worst, self.width)

    def _compare_column(
        self, column: int, table: pa.Table, parent: Array, rows: pa.StructArray
    ) -> tuple[dict[int, Tally], list[Found]]:
        """(tallies by day, the worst rows) of the logged rows of one column; parent: the events they are attached to."""
        name, type_name = self.columns[column]
        rebuilt = combine_chunks(table.column(name)).take(pa.array(parent))
        logged = rows.field(NUMBER if type_name == DOUBLE else TEXT)
        known = rebuilt if type_name == DOUBLE else spell_rebuilt(find_type(type_name), rebuilt)
        both_null = np.asarray(pc.and_(logged.is_null(), known.is_null()))
        same = np.asarray(pc.equal(logged, known).fill_null(False)) | both_null
        day = read_values(table, r.TS)[parent] // DAY_US
        found = _Comparison(find_type(type_name), self.tolerances.get(name), {}, [])
        valued = same & ~both_null if is_numeric(found.type) else np.zeros(len(same), np.bool_)
        for one, count in zip(*np.unique(day[same], return_counts=True), strict=True):
            found.days[int(one)] = Tally(compared=int(count), equal=int(count))
        for one, count in zip(*np.unique(day[valued], return_counts=True), strict=True):
            found.days[int(one)].measured = int(count)
        unequal = np.flatnonzero(~same)
        if len(unequal):
            pairs = zip(_write(logged, unequal), _write(known, unequal), strict=True)
            places = _Places.of(table, parent[unequal], np.asarray(rows.field(LINE))[unequal])
            for row, (one, other) in enumerate(pairs):
                found.judge(int(day[unequal[row]]), one, other, row, places)
            worst = sorted(found.beyond, key=lambda one: one.rank(places))[:MOST_WORST]
            return found.days, [places.describe(one, table, self.partitions) for one in worst]
        return found.days, []


def _write(values: pa.Array, rows: Array) -> list[str | None]:
    """The texts of some values."""
    chosen = values.take(pa.array(rows)).to_pylist()
    return [repr(one + 0.0) if isinstance(one, float) else one for one in chosen]


@dataclass(frozen=True)
class _Places:
    """Where the rows that differ stand, shape (rows,): in the table, their partition, their order there, their line."""

    at: Array
    ordinal: Array
    seq: Array
    line: Array

    @classmethod
    def of(cls, table: pa.Table, at: Array, line: Array) -> _Places:
        """The places of rows of a table."""
        return cls(at, read_values(table, r.PARTITION_ORDINAL)[at], read_values(table, r.SEQ)[at], line)

    def describe(self, one: _Beyond, table: pa.Table, partitions: Sequence[tuple[str, int]]) -> Found:
        """A row as a report names it."""
        row = one.row
        stored = table.select([r.EVENT_ID, r.OFFSET, r.TS]).slice(int(self.at[row]), 1).to_pylist()[0]
        topic, partition = partitions[int(self.ordinal[row])]
        told = WorstRow(
            show_id(stored[r.EVENT_ID]),
            topic,
            partition,
            stored[r.OFFSET],
            format_instant(stored[r.TS]),
            int(self.line[row]),
            None if one.logged is None else show_text(one.logged),
            None if one.rebuilt is None else show_text(one.rebuilt),
            None if one.difference is None else write_decimal(one.difference),
        )
        size = None if one.difference is None else one.difference.copy_abs()
        return Found(size, int(self.ordinal[row]), int(self.seq[row]), told)


@dataclass(frozen=True)
class _Beyond:
    """A row that differs beyond its tolerance, before it is placed."""

    row: int
    logged: str | None
    rebuilt: str | None
    difference: Decimal | None

    def rank(self, places: _Places) -> tuple[object, ...]:
        """Sort key: as `Found.order`."""
        size = None if self.difference is None else self.difference.copy_abs()
        return rank(size, int(places.ordinal[self.row]), int(places.seq[self.row]), int(places.line[self.row]))


@dataclass
class _Comparison:
    """The rows of one column and target, as far as they were judged."""

    type: ColumnType
    tolerance: Tolerance | None
    days: dict[int, Tally]
    beyond: list[_Beyond]

    def judge(self, day: int, logged: str | None, rebuilt: str | None, row: int, places: _Places) -> None:
        """Adds a row whose values are not equal."""
        tally = self.days.setdefault(day, Tally())
        tally.compared += 1
        pairs = None
        if logged is None or rebuilt is None:
            tally.one_null += 1
        elif is_numeric(self.type):
            pairs = subtract(self.type, logged, rebuilt)
        difference = max((one for one, _ in pairs), key=Decimal.copy_abs) if pairs else None
        if difference is not None:
            size = difference.copy_abs()
            tally.measured += 1
            tally.greatest, tally.total = max(tally.greatest, size), EXACT.add(tally.total, size)
        if pairs and self.tolerance and all(self.tolerance.admits(*pair) for pair in pairs):
            tally.within += 1
            return
        tally.beyond += 1
        self.beyond.append(_Beyond(row, logged, rebuilt, difference))
        if len(self.beyond) > _HELD:
            self.beyond = sorted(self.beyond, key=lambda one: one.rank(places))[:MOST_WORST]
