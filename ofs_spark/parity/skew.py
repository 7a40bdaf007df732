"""The skew of one feature: what its compared rows come to, by UTC day of the event, and the worst rows.

Workers compare the rows of their keys (`compare.py`) and send what they found to the one that adds up a column. Sums are
exact, so that nothing depends on which worker compared which row; they are rounded where they are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, ClassVar, Self

import pyarrow as pa

from ofs_spark.foundation.columnar.dataflow import Body, Chunk, encode_chunk, gather_chunks
from ofs_spark.foundation.columnar.notes import Note, encode_note
from ofs_spark.parity.values import EXACT, spell_exact

DAYS, WORST = "skew_days", "skew_worst"
"""Kinds of chunks."""
MOST_WORST, MOST_WORST_IN_ALL = 20, 4_000
"""Worst rows that a report names, of a column and in all."""
MOST_DAYS_IN_ALL = 10_000
"""Days that a report lists, of all columns together."""
_DIGITS = Context(prec=17, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)
_EPOCH = date(1970, 1, 1)


@dataclass
class Tally:
    """What compared rows come to. compared = equal + within + beyond.

    one_null: of `beyond`, those of which one value is null. measured: rows that have a difference, equal ones too;
    greatest, total: of their differences without signs.
    """

    compared: int = 0
    equal: int = 0
    within: int = 0
    beyond: int = 0
    one_null: int = 0
    measured: int = 0
    greatest: Decimal = Decimal(0)
    total: Decimal = Decimal(0)

    def add(self, other: Tally) -> None:
        """Adds the rows of another tally."""
        for name in ("compared", "equal", "within", "beyond", "one_null", "measured"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.greatest, self.total = max(self.greatest, other.greatest), EXACT.add(self.total, other.total)

    def to_document(self) -> dict[str, Any]:
        """As a report holds it: differences as decimals in text, the mean of 17 digits; null where nothing has one."""
        counts = {
            name: getattr(self, name) for name in ("compared", "equal", "within", "beyond", "one_null", "measured")
        }
        mean = _DIGITS.divide(self.total, Decimal(self.measured)) if self.measured else None
        return {
            **counts,
            "greatest_difference": write_decimal(self.greatest) if self.measured else None,
            "mean_difference": None if mean is None else write_decimal(mean),
        }


def write_decimal(number: Decimal) -> str:
    """A decimal as a report holds it: without exponent where that takes few zeros."""
    if not number:
        return "0"
    if -30 <= number.adjusted() <= 30:
        return spell_exact(number)
    sign, digits, _ = number.as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    return f"{'-' * sign}{text[0]}{'.' * (len(text) > 1)}{text[1:]}e{number.adjusted()}"


@dataclass(frozen=True)
class WorstRow:
    """A row that differs beyond its tolerance. difference: logged − rebuilt as text, None where there is none."""

    event_id: str
    topic: str
    partition: int
    offset: str
    ts_utc: str
    line: int
    logged: str | None
    rebuilt: str | None
    difference: str | None


@dataclass(frozen=True)
class Found:
    """A worst row and what it is ordered by: the greatest difference first, then rows without one, then by position."""

    size: Decimal | None
    ordinal: int
    seq: int
    row: WorstRow

    @property
    def order(self) -> tuple[Any, ...]:
        """Sort key."""
        return rank(self.size, self.ordinal, self.seq, self.row.line)


def rank(size: Decimal | None, ordinal: int, seq: int, line: int) -> tuple[Any, ...]:
    """Sort key of a row that differs: the greatest difference first, then those without one, by position."""
    return (size is None, (size or Decimal(0)).copy_negate(), ordinal, seq, line)


def pick_worst(found: Sequence[Found], most: int = MOST_WORST) -> list[Found]:
    """The worst of them, the worst first."""
    return sorted(found, key=lambda one: one.order)[:most]


@dataclass(frozen=True)
class Skew(Note):
    """The skew of one column: days with their tallies, ascending, and the worst rows. column: its place in the set."""

    kind: ClassVar[str] = "skew"
    column: int
    total: Mapping[str, Any]
    day_count: int
    days: Sequence[Mapping[str, Any]] = field(default_factory=list)
    worst: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The note that `content` wrote."""
        return cls(**content)


_DAYS_SCHEMA = pa.schema([("column", pa.int32()), ("tally", pa.string())])


def send_skew(
    days: Mapping[tuple[int, int], Tally], worst: Mapping[int, Sequence[Found]], width: int
) -> Iterator[Chunk]:
    """What one worker found, to the targets that add up its columns. days: by (column, day)."""
    sent: dict[tuple[int, str], list[tuple[int, str]]] = {}
    for (column, day), tally in sorted(days.items()):
        text = json.dumps([day, *(str(one) if isinstance(one, Decimal) else one for one in vars(tally).values())])
        sent.setdefault((column % width, DAYS), []).append((column, text))
    for column, rows in sorted(worst.items()):
        for one in rows:
            text = json.dumps([None if one.size is None else str(one.size), one.ordinal, one.seq, vars(one.row)])
            sent.setdefault((column % width, WORST), []).append((column, text))
    for (target, kind), pairs in sorted(sent.items()):
        columns, texts = zip(*pairs, strict=True)
        table = pa.table([pa.array(columns, pa.int32()), pa.array(texts, pa.string())], schema=_DAYS_SCHEMA)
        yield Chunk(target, encode_chunk(kind, table))


@dataclass(frozen=True)
class AddSkew:
    """The work that adds up the columns of one target: a `Skew` note for each."""

    most_days: int
    most_worst: int

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """Notes alone."""
        tables = gather_chunks(chunks)
        days: dict[int, dict[int, Tally]] = {}
        for column, text in _read_pairs(tables.get(DAYS)):
            day, tally = _read_tally(text)
            days.setdefault(column, {}).setdefault(day, Tally()).add(tally)
        worst: dict[int, list[Found]] = {}
        for column, text in _read_pairs(tables.get(WORST)):
            worst.setdefault(column, []).append(_read_found(text))
        for column, own in sorted(days.items()):
            yield encode_note(self._describe(column, own, worst.get(column, [])))

    def _describe(self, column: int, days: Mapping[int, Tally], worst: Sequence[Found]) -> Skew:
        """The skew of a column. Of more days than are listed, those with the most rows beyond and within, then the newest."""
        total = Tally()
        for tally in days.values():
            total.add(tally)
        ranked = sorted(days, key=lambda day: (-days[day].beyond, -days[day].within, -day))[: self.most_days]
        listed = [
            {"day": (_EPOCH + timedelta(days=day)).isoformat(), **days[day].to_document()} for day in sorted(ranked)
        ]
        rows = [vars(one.row) for one in pick_worst(worst, self.most_worst)]
        return Skew(column, total.to_document(), len(days), listed, rows)


def share_bounds(columns: int) -> AddSkew:
    """The work that adds up, with the bounds of a column where so many may be compared."""
    return AddSkew(
        max(1, MOST_DAYS_IN_ALL // max(1, columns)), max(1, min(MOST_WORST, MOST_WORST_IN_ALL // max(1, columns)))
    )


def _read_pairs(table: pa.Table | None) -> Iterator[tuple[int, str]]:
    if table is not None:
        yield from zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True)


def _read_tally(text: str) -> tuple[int, Tally]:
    day, compared, equal, within, beyond, one_null, measured, greatest, total = json.loads(text)
    return day, Tally(compared, equal, within, beyond, one_null, measured, Decimal(greatest), Decimal(total))


def _read_found(text: str) -> Found:
    size, ordinal, seq, row = json.loads(text)
    return Found(None if size is None else Decimal(size), ordinal, seq, WorstRow(**row))
