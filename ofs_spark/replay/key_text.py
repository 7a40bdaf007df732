"""The text by which a JSON scalar is a key: one law for the scan, which reads columns, and for whoever reads one event."""

from __future__ import annotations

import json
import math
from typing import Any

MOST_DIGITS = 4_300
"""Digits of a whole number that Python makes an int of; a longer one stays its digits."""


class Whole(str):
    """The digits of a whole number, which are its canonical text; a number of any length has one."""

    __slots__ = ()


def read_whole(digits: str) -> int | Whole:
    """A whole number of a JSON text: an int, or its digits where Python makes no int of so many."""
    return int(digits) if len(digits) <= MOST_DIGITS else Whole(digits)


def spell_key(value: Any) -> str | None:
    """The text of a parsed JSON value as a key: a string as it is, any other scalar as its canonical JSON text.

    1.50 and 15e-1 are "1.5", 1e2 is "100.0", 100 is "100", -0 is "0". None for what has no such text: null, an object, an
    array, a number that no float64 is near to, a string with an unpaired surrogate.
    """
    if isinstance(value, Whole):
        return "0" if value == "-0" else str(value)
    if isinstance(value, str):
        return value if _is_text(value) else None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
