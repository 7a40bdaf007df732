"""Exact numbers: JSON text in, Fractions inside, one correctly rounded float64 out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(?:Z|\+00:00)")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Refused(Exception):
    """The build says no. Where one room sees several faults, `codes` holds them all."""

    def __init__(self, codes: str | Iterable[str], message: str = "") -> None:
        self.codes = (codes,) if isinstance(codes, str) else tuple(dict.fromkeys(codes))
        super().__init__(f"{', '.join(self.codes)}: {message}")


def _not_json(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def read_json(text: str) -> Any:
    """JSON with every number exact: whole numbers as int, all others as Decimal."""
    return json.loads(text, parse_float=Decimal, parse_constant=_not_json)


def is_number(x: Any) -> bool:
    return isinstance(x, (int, Decimal, float, Fraction)) and not isinstance(x, bool)


def is_text(x: Any) -> bool:
    """Whether x is no string or one that UTF-8 can hold: no half of a surrogate pair."""
    return not isinstance(x, str) or not any("\ud800" <= c <= "\udfff" for c in x)


def exact(x: Any) -> Fraction:
    """The number as written: a float of a document stands for its shortest decimal text."""
    return Fraction(Decimal(repr(x))) if isinstance(x, float) else Fraction(x)


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
        raw = Decimal(raw)
    if not is_number(raw):
        raise Refused("FEATURE_VALUE_INVALID", f"{raw!r} is not a number")
    return _double(raw) if kind == "double" else _whole_units(Decimal(raw), kind)


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
