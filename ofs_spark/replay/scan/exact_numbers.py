"""The exact value of a JSON number, whatever its exponent: the one reader of digits for values, conditions and filters.

Nothing is expanded: a number is its sign, its digits and the place of the first of them, so that 1e999999999999999999999
costs what its text costs. The compiled loops of `numbers.py` read the same grammar where a machine word is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import total_ordering

_WHOLE = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Adds places exactly. A place is a whole number, held as a Decimal: Python's own integers bound the length of a text."""

_NOWHERE = Decimal(0)


@total_ordering
@dataclass(frozen=True)
class ExactNumber:
    """± 0.{digits} × 10^place. `digits` begins and ends with another digit than 0; zero has no digits, sign or place."""

    negative: bool
    place: Decimal
    digits: str

    def __lt__(self, other: ExactNumber) -> bool:
        """Whether this number is the smaller one."""
        if self.negative != other.negative:
            return self.negative
        return other._magnitude < self._magnitude if self.negative else self._magnitude < other._magnitude

    @property
    def _magnitude(self) -> tuple[bool, Decimal, str]:
        return bool(self.digits), self.place, self.digits

    def format_unscaled(self, scale: int, most_digits: int) -> str | None:
        """The number × 10^scale as text, if that is whole and has at most `most_digits` digits; else None."""
        length = _WHOLE.add(self.place, Decimal(scale))
        if not self.digits:
            return "0"
        if not len(self.digits) <= length <= most_digits:
            return None
        return ("-" if self.negative else "") + self.digits.ljust(int(length), "0")


def parse_number(text: str) -> ExactNumber:
    """The number that a JSON number's text, checked by the scanner or the profile's reader, stands for."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return ExactNumber(False, _NOWHERE, "")
    leading = len(whole) + len(fraction) - len(digits)
    place = _WHOLE.add(Decimal(exponent or 0), Decimal(len(whole) - leading))
    return ExactNumber(text.startswith("-"), place, digits.rstrip("0"))
