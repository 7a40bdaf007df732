"""Exact numbers: JSON text in, Fractions inside, one correctly rounded float64 out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(?:Z|\+00:00)")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAR = 4000
"""Places from the point beyond which no number is written out: fewer than int() reads."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Refused(Exception):
    """The build says no. Where one room sees several faults, `codes` holds them all."""

    def __init__(self, codes: str | Iterable[str], message: str = "") -> None:
        self.codes = (codes,) if isinstance(codes, str) else tuple(dict.fromkeys(codes))
        super().__init__(f"{', '.join(self.codes)}: {message}")


def _not_json(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


@dataclass(frozen=True)
class Far:
    """A number whose first digit other than 0 stands more than FAR places from the point: too far to write out.

    `place` is that digit's place (0: just behind the point), `digits` the fraction 0.d1d2… that begins with it.
    """

    text: str
    negative: bool
    place: int = field(repr=False)
    digits: Fraction = field(repr=False)

    def __float__(self) -> float:
        return float(self.text)

    def __str__(self) -> str:
        return self.text


def whole_of(text: str) -> int:
    """int(text) without its bound on the length."""
    value = 0
    for digit in text.lstrip("+-"):
        value = 10 * value + int(digit)
    return -value if text.startswith("-") else value


def read_number(text: str) -> int | Decimal | Far:
    """A JSON number exactly: as int or Decimal where that can be written out."""
    match = NUMBER.fullmatch(text)
    assert match is not None
    before, behind = match[1], (match[2] or ".")[1:]
    digits = before + behind
    if not digits.strip("0"):
        return Decimal("-0.0" if text.startswith("-") else "0.0") if match[2] or match[3] else 0
    leading = len(digits) - len(digits.lstrip("0"))
    place = len(before) - leading + whole_of((match[3] or "e0")[1:])
    if abs(place) > FAR:
        significant = digits[leading:].rstrip("0")
        return Far(text, text.startswith("-"), place, Fraction(whole_of(significant), 10 ** len(significant)))
    return Decimal(text) if match[2] or match[3] else int(text)


def read_json(text: str) -> Any:
    """JSON with every number exact: whole numbers as int, all others as Decimal; those far out as Far."""
    return json.loads(text, parse_float=read_number, parse_int=read_number, parse_constant=_not_json)


def is_number(x: Any) -> bool:
    return isinstance(x, (int, Decimal, float, Fraction, Far)) and not isinstance(x, bool)


def is_text(x: Any) -> bool:
    """Whether x is no string or one that UTF-8 can hold: no half of a surrogate pair."""
    return not isinstance(x, str) or not any("\ud800" <= c <= "\udfff" for c in x)


def exact(x: Any) -> Fraction:
    """The number as written: a float of a document stands for its shortest decimal text."""
    return Fraction(Decimal(repr(x))) if isinstance(x, float) else Fraction(x)


def order(a: Any, b: Any) -> int:
    """-1, 0 or 1 as a < b, a = b or a > b, numbers exactly as written."""
    if not isinstance(a, Far) and not isinstance(b, Far):
        return (exact(a) > exact(b)) - (exact(a) < exact(b))
    sides = [sign_and_size(x) for x in (a, b)]
    return (sides[0] > sides[1]) - (sides[0] < sides[1])


def sign_and_size(x: Any) -> tuple[int, int, Fraction]:
    """Sortable among numbers of which one is far: sign; place; digits. A near number is level with nothing far."""
    if isinstance(x, Far):
        sign = -1 if x.negative else 1
        return sign, sign * x.place, sign * x.digits
    near = exact(x)
    return (near > 0) - (near < 0), 0, near


def nearest(x: Fraction) -> float:
    """Correctly rounded: int ÷ int is, in Python."""
    return x.numerator / x.denominator


def nearest_root(x: Fraction) -> float:
    """sqrt(x), rounded once: ≥ 100 bits of the root, a half bit for whatever is left, then one rounding."""
    shift = max(0, 200 - x.numerator.bit_length() + x.denominator.bit_length())
    scaled, rest = divmod(x.numerator << (2 * shift), x.denominator)
    root = math.isqrt(scaled)
    left_over = rest != 0 or root * root != scaled
    return nearest(Fraction(2 * root + left_over, 2 ** (shift + 1)))


def micros(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 UTC instant; ValueError for anything else."""
    match = TIME.fullmatch(text)
    digits = (match and match[2]) or ""
    if match is None or digits[6:].strip("0"):
        raise ValueError(f"not a UTC instant in microseconds: {text}")
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return (whole - EPOCH) // timedelta(microseconds=1) + int(digits[:6].ljust(6, "0"))


def instant(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def duration(text: str) -> int:
    """'7d' in microseconds."""
    return int(text[:-1]) * UNITS[text[-1]] * 1_000_000


def read_value(raw: Any, kind: str, missing: str | None) -> Any:
    """A declared value: Fraction for decimal and int, float for double, str, bool, or None; never rounded."""
    if raw is None:
        if missing == "fail":
            raise Refused("FEATURE_VALUE_INVALID", "missing")
        zero = 0.0 if kind == "double" else Fraction(0)
        return zero if missing == "zero" else None
    if kind in ("string", "bool"):
        if not isinstance(raw, str if kind == "string" else bool) or not is_text(raw):
            raise Refused("FEATURE_VALUE_INVALID", f"{raw!r} is not a {kind}")
        return raw
    if isinstance(raw, str) and NUMBER.fullmatch(raw):
        raw = read_number(raw)
    if not is_number(raw):
        raise Refused("FEATURE_VALUE_INVALID", f"{raw!r} is not a number")
    if kind == "double":
        return _double(raw)
    if isinstance(raw, Far):
        raise Refused("FEATURE_VALUE_INVALID", f"{raw} does not fit {kind}")
    return _whole_units(Decimal(raw), kind)


def _double(raw: Any) -> float:
    value = float(str(raw)) + 0.0  # -0.0 is 0
    if not math.isfinite(value):
        raise Refused("FEATURE_VALUE_INVALID", f"{raw} has no finite float64")
    return value


def _whole_units(number: Decimal, kind: str) -> Fraction:
    digits, scale = (19, 0) if kind == "int" else map(int, kind[len("decimal(") : -1].split(","))
    if number and (number.adjusted() >= 40 or number.adjusted() < -40):
        raise Refused("FEATURE_VALUE_INVALID", f"{number} does not fit {kind}")
    value = Fraction(number)
    units = value * 10**scale
    fits = -(2**63) <= units < 2**63 if kind == "int" else abs(units) < 10**digits
    if units.denominator != 1 or not fits:
        raise Refused("FEATURE_VALUE_INVALID", f"{number} does not fit {kind}")
    return value
