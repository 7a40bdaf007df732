"""Results of a feature before they are rounded: a quotient of integers per row, float64 where the law says so, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.features.kernel.rounding import round_quotient
from ofs_spark.features.kernel.words import choose, is_zero, multiply, read_integer, repeat_integer
from ofs_spark.features.kernel.words import subtract as subtract_integers
from ofs_spark.foundation.columnar.arrays import Array


@dataclass(frozen=True)
class Quotient:
    """numerator ÷ denominator per row where `present`; both int64 or words. Denominators are not 0 there."""

    numerator: Array
    denominator: Array
    present: Array

    def drop_first(self, rows: int) -> Quotient:
        """The rows after some."""
        return Quotient(self.numerator[rows:], self.denominator[rows:], self.present[rows:])

    def round(self) -> pa.Array:
        """The nearest doubles, null where not present."""
        return pa.array(round_quotient(self.numerator, self.denominator, self.present), mask=~self.present)


@dataclass(frozen=True)
class Double:
    """float64 per row where `present`."""

    data: Array
    present: Array

    def drop_first(self, rows: int) -> Double:
        """The rows after some."""
        return Double(self.data[rows:], self.present[rows:])

    def round(self) -> pa.Array:
        """The doubles, null where not present."""
        return pa.array(np.where(self.present, self.data, 0.0), mask=~self.present)


@dataclass(frozen=True)
class Whole:
    """A whole number of every row."""

    data: Array

    def drop_first(self, rows: int) -> Whole:
        """The rows after some."""
        return Whole(self.data[rows:])

    def round(self) -> pa.Array:
        """The numbers as they are."""
        return pa.array(self.data)


@dataclass(frozen=True)
class Kept:
    """Texts or booleans, as they were declared."""

    column: pa.Array

    def drop_first(self, rows: int) -> Kept:
        """The rows after some."""
        return Kept(self.column.slice(rows))

    def round(self) -> pa.Array:
        """The values as they are."""
        return self.column


Exact = Quotient | Double
"""What a derived column takes as an operand."""
Result = Exact | Whole | Kept
"""What a kernel gives: `round` makes the column of it."""


def make_quotient(numerator: Array, denominator: int | Array, present: Array) -> Quotient:
    """A quotient with one denominator for all rows, or one per row (made 1 where not present)."""
    if not isinstance(denominator, np.ndarray):
        denominator = repeat_integer(denominator, len(numerator))
    return Quotient(numerator, choose(present, denominator, 1), present)


def divide(left: Exact, right: Exact) -> pa.Array:
    """left ÷ right, rounded once; null where an operand is null or right is 0."""
    if isinstance(left, Double) or isinstance(right, Double):
        return _combine_fractions(left, right, lambda a, b: a / b if b else None)
    present = left.present & right.present & ~is_zero(right.numerator)
    top = multiply(left.numerator, right.denominator)
    bottom = choose(present, multiply(left.denominator, right.numerator), 1)
    return Quotient(top, bottom, present).round()


def subtract(left: Exact, right: Exact) -> pa.Array:
    """left − right, rounded once; null where an operand is null."""
    if isinstance(left, Double) or isinstance(right, Double):
        return _combine_fractions(left, right, lambda a, b: a - b)
    present = left.present & right.present
    a, b = multiply(left.numerator, right.denominator), multiply(right.numerator, left.denominator)
    return Quotient(subtract_integers(a, b), multiply(left.denominator, right.denominator), present).round()


def _combine_fractions(left: Exact, right: Exact, of: Any) -> pa.Array:
    present = left.present & right.present
    out: list[float | None] = [None] * len(present)
    for row in np.flatnonzero(present).tolist():
        exact = of(_read_fraction(left, row), _read_fraction(right, row))
        out[row] = None if exact is None else _round_fraction(exact)
    return pa.array(out, pa.float64())


def _read_fraction(operand: Exact, row: int) -> Fraction:
    if isinstance(operand, Double):
        return Fraction(float(operand.data[row]))
    return Fraction(read_integer(operand.numerator, row), read_integer(operand.denominator, row))


def _round_fraction(exact: Fraction) -> float | None:
    """The nearest double; none where it would be infinite."""
    try:
        return exact.numerator / exact.denominator + 0.0
    except OverflowError:
        return None
