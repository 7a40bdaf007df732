"""What an explanation of a feature is made of: the events that were considered, exact values, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from ofs_spark.features.kernel.model import Values
from ofs_spark.features.kernel.words import read_integer
from ofs_spark.foundation.errors import InternalError

# Why an event counts, or does not.
IN_WINDOW = "in the window"
MEETS, MEETS_NOT = "in the window, meets the condition", "in the window, does not meet the condition"
NOT_SOURCE = "no source event of the group"
BEFORE, AFTER = "before the window", "after the window"
NOT_KNOWN = "not known at the anchor: delivered after it"
LATER_IN_ORDER = "after the anchor in total order"
ANCHOR_ITSELF = "the anchor itself, which is left out"
OWN = "the anchor's own value"
WHERE_NOT_MET = "does not meet the condition"
NO_VALUE = "has no value"
REDELIVERY, CONFLICT = "a redelivery: another copy counts", "another payload of its event id counts"
INVALID, OUT_OF_SCOPE = "an invalid record", "its event type is out of scope"
APPLIED, NOT_YET_APPLIED = "applied", "applied after the anchor"
REASONS = (
    *(IN_WINDOW, MEETS, MEETS_NOT, NOT_SOURCE, BEFORE, AFTER, NOT_KNOWN, LATER_IN_ORDER, ANCHOR_ITSELF, WHERE_NOT_MET),
    *(OWN, NO_VALUE, REDELIVERY, CONFLICT, INVALID, OUT_OF_SCOPE, APPLIED, NOT_YET_APPLIED),
)
"""Every reason, of features; `contracts/explain_answer.schema.json` lists them."""

Plain: TypeAlias = str | int | float | bool | None
"""A value as an answer holds it; decimals are text, so that no digit is lost."""


@dataclass(frozen=True)
class Root:
    """The square root of a fraction; where it enters further arithmetic it is its nearest float64."""

    square: Fraction


Exact: TypeAlias = Fraction | Root | float | int | str | bool | None
"""What a feature is before it is rounded. A float is a value that was read as one."""


@dataclass(frozen=True)
class Considered:
    """One event of the anchor's key, and what became of it. row: its row among all rows looked at.

    operand: of a derived column, the operand that it contributes to.
    """

    row: int
    counted: bool
    reason: str
    value: Plain = None
    operand: str = ""


@dataclass(frozen=True)
class Told:
    """What an operation came to, and the sentence that shows how."""

    text: str
    exact: Exact


@dataclass(frozen=True)
class Story:
    """One column of one anchor. value: as the column holds it. after, until: of the window, µs; None for no bound."""

    column: str
    value: Any
    arithmetic: str
    considered: tuple[Considered, ...] = ()
    after: int | None = None
    until: int | None = None


def read_exact(values: Values, row: int) -> Fraction | float | str | bool:
    """A value that is there."""
    match values.kind:
        case "double":
            return float(values.data[row])
        case "bool":
            return bool(values.data[row])
        case "string":
            if values.dictionary is None:
                raise InternalError("text values come with their dictionary")
            text: str = values.dictionary[int(values.data[row])].as_py()
            return text
    return Fraction(read_integer(values.data, row), 10**values.scale)


def make_plain(value: Exact, scale: int) -> Plain:
    """An exact value as answers hold it: a declared decimal with all its digits, a whole number as one."""
    if isinstance(value, Fraction):
        return write_decimal(value, scale) if scale else int(value)
    if isinstance(value, Root):
        raise InternalError("a root is no value of an event")
    return value


def write_value(value: Exact, scale: int) -> str:
    """An exact value inside a sentence."""
    plain = make_plain(value, scale)
    return json_text(plain)


def json_text(plain: Plain) -> str:
    """A plain value inside a sentence: numbers by their digits, null and booleans as JSON writes them."""
    if plain is None or isinstance(plain, bool):
        return {None: "null", True: "true", False: "false"}[plain]
    return repr(plain) if isinstance(plain, float) else str(plain)


def write_decimal(value: Fraction, scale: int) -> str:
    """A fraction that is a whole multiple of 10^−scale, with `scale` digits behind the point."""
    unscaled = value * 10**scale
    digits = str(abs(unscaled.numerator)).rjust(scale + 1, "0")
    sign = "-" if unscaled < 0 else ""
    return f"{sign}{digits[: len(digits) - scale]}.{digits[len(digits) - scale :]}" if scale else f"{sign}{digits}"


def write_fraction(value: Fraction) -> str:
    """A fraction: as a decimal where that ends soon, else as numerator/denominator."""
    for scale in range(MOST_DIGITS + 1):
        if 10**scale % value.denominator == 0:
            return write_decimal(value, scale)
    return f"{value.numerator}/{value.denominator}"


MOST_DIGITS = 20
"""Behind the point of a decimal that is written out."""


def round_fraction(value: Fraction) -> float | None:
    """The nearest float64; None where it would be infinite."""
    try:
        return value.numerator / value.denominator + 0.0
    except OverflowError:
        return None


def is_nearest_root(square: Fraction, found: float) -> bool:
    """Whether a float64 is the nearest one to the root of a fraction."""
    below, above = (Fraction(float(np.nextafter(found, end))) for end in (-np.inf, np.inf))
    own = Fraction(found)
    low, high = max(Fraction(0), (below + own) / 2), (own + above) / 2
    return found >= 0.0 and low * low <= square <= high * high
