"""Which columns are numbers in every row, and of how many digits: known from the rows themselves, for the starter profile."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.errors import show_text
from ofs_spark.intake.rows import Block, is_path_part

MOST_COLUMNS = 64
"""Columns that are looked at, the first of a row."""
MOST_DIGITS = 18
"""Of a value whose exact sums stay in one machine word until they are divided."""
_PLAIN = r"^-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?$"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,4})?")


_WRITTEN = re.compile(r"[-+]?[0-9][0-9., '\u00a0\u202f]*")
"""A number as people may write it: a decimal comma, thousands apart, a plus."""
MOST_ODD = 5
"""Columns of which it is told why they are no numbers."""
ODD = "which is no number: digits alone are, with a point before a fraction"


@dataclass(frozen=True)
class Digits:
    """Digits before and after the point that hold every value of a column."""

    whole: int = 1
    scale: int = 0

    @property
    def type(self) -> str:
        """The value type of a profile that holds them; "" where there are too many."""
        if self.whole + self.scale > MOST_DIGITS:
            return ""
        return f"decimal({MOST_DIGITS},{self.scale})" if self.scale else "int"

    def widen(self, other: Digits) -> Digits:
        """What holds both."""
        return Digits(max(self.whole, other.whole), max(self.scale, other.scale))


@dataclass
class NumberColumns:
    """The columns that were numbers in every row so far. left_out: columns that say something else of an event.

    odd: column that is a number in other rows, or nearly one → the first line where it is none, and what stands there.
    """

    left_out: Collection[str]
    found: dict[str, Digits] = field(default_factory=dict)
    odd: dict[str, tuple[int, Any]] = field(default_factory=dict)
    _began: bool = False

    def observe(self, block: Block, kept: Sequence[int]) -> None:
        """Looks at rows that are taken."""
        if not kept:
            return
        is_first, self._began = not self._began, True
        if is_first:
            names = [name for name in block.names if name not in self.left_out and is_path_part(name)]
            self.found = {name: Digits() for name in names[:MOST_COLUMNS]}
        for name, known in list(self.found.items()):
            values = block.read(name)
            if len(kept) < len(values):
                values = [values[row] for row in kept]
            digits = measure_numbers(values)
            if digits is None:
                del self.found[name]
                place = find_odd(values, not is_first)
                if place is not None:
                    self.odd[name] = block.lines[kept[place]], values[place]
            else:
                self.found[name] = known.widen(digits)

    def describe_odd(self) -> list[str]:
        """Why columns that people would take for numbers are none, in words; of the first MOST_ODD."""
        return [
            f"{show_text(name)} is in no feature of the starter profile: line {line} has "
            + (
                "none, and only what is a number in every row is"
                if one is None or one == ""
                else f"{show_text(str(one))}, {ODD}"
            )
            for name, (line, one) in list(self.odd.items())[:MOST_ODD]
        ]


def find_odd(values: Sequence[Any], is_number: bool) -> int | None:
    """The place of the first value that is no number, where others are or it is written as people write numbers; else None.

    is_number: whether all that came before were numbers.
    """
    texts = [_write_number(one) for one in values]
    fits = [text is not None and _NUMBER.fullmatch(text) is not None for text in texts]
    if False not in fits:
        return None
    is_alike = is_number or any(fits) or any(text is not None and _WRITTEN.fullmatch(text) for text in texts)
    return fits.index(False) if is_alike else None


def measure_numbers(values: list[Any]) -> Digits | None:
    """The digits of values that are all numbers of JSON, or texts that are exactly one; None if one of them is not."""
    texts = [_write_number(one) for one in values]
    if None in texts:
        return None
    try:
        column = pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return None
    plain = pc.match_substring_regex(column, _PLAIN)
    digits = Digits()
    if not pc.all(plain).as_py():
        for odd in column.filter(pc.invert(plain)).to_pylist():
            found = _measure_one(odd)
            if found is None:
                return None
            digits = digits.widen(found)
        column = column.filter(plain)
    if not len(column):
        return digits
    bare = pc.utf8_ltrim(column, "-")
    point, length = pc.find_substring(bare, "."), pc.binary_length(bare)
    whole = pc.max(pc.if_else(pc.less(point, 0), length, point)).as_py()
    scale = pc.max(pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(length, point), 1))).as_py()
    return digits.widen(Digits(whole, scale))


def _write_number(value: Any) -> str | None:
    if type(value) is str:
        return value
    return repr(value) if type(value) in (int, float) else None


def _measure_one(text: str) -> Digits | None:
    if not _NUMBER.fullmatch(text):
        return None
    _, digits, exponent = Decimal(text).as_tuple()
    places = int(exponent)
    return Digits(max(1, len(digits) + places), max(0, -places))
