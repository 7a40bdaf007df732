"""What a value of a feature column is, logged or rebuilt: one text per value, so that equal values have equal texts.

| column type | text |
|---|---|
| int64, int32, decimal | the exact decimal, without exponent, plus sign or zeros at its end; zero is 0 |
| float64 | the shortest decimal that reads back as it, as Python writes it; both zeros are 0.0 |
| bool | true or false |
| string | itself |
| timestamp | RFC 3339 in UTC with six fractional digits |
| list | the JSON list of its elements' texts, null where an element is null |

A logged value may be any JSON value. Outside string columns a text stands for what it spells: "12.50" is a number, "true"
a bool, "[1, 2]" a list. Numbers are of any size that can be compared: an exponent beyond ±MOST_PLACE is not readable.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.clock import format_instant, parse_instant
from ofs_spark.foundation.columnar.arrays import Array, combine_chunks
from ofs_spark.pins.columns import BOOL, DOUBLE, ColumnType, find_type
from ofs_spark.pins.columns import STRING as STRING_TYPE
from ofs_spark.replay.scan.tokens import has_unpaired_surrogate

NULL, TRUE, FALSE, NUMBER, STRING, OBJECT, LIST = range(7)
"""Kinds of a logged value, whatever the file's format."""
MOST_PLACE = 400
"""Of the first digit of an exact number, before or behind the point: float64 ends at 324."""
MOST_DIGITS = 1_000
"""Characters of a number's text."""

EXACT = Context(prec=20_000, Emax=999_999, Emin=-999_999, traps=[Inexact])
"""Adds and multiplies decimals without rounding: numbers have MOST_DIGITS digits, tolerances 60, sums some more."""

_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"
_IS_NUMBER = re.compile(_NUMBER[1:-1])


@dataclass(frozen=True)
class Typed:
    """Values of one column; shape (rows,). texts: as above, null for a null; null too where `number` says it all.

    number: of a float64 column the value, null for a null; null in others. readable: whether a value is one of the
    column's type; the others of an unreadable one mean nothing.
    """

    texts: pa.Array
    number: pa.Array
    readable: Array


def type_values(column_type: str, kinds: Array, texts: pa.Array, numbers: pa.Array) -> Typed:
    """Logged values as values of a column.

    kinds: of each value. texts: digits as written, the content of a string, the JSON text of a list; numbers: the float64
    that a number is where the file stores it as one, null elsewhere.
    """
    if column_type == DOUBLE:
        return _type_doubles(kinds, texts, numbers)
    if column_type in (STRING_TYPE, BOOL):
        return _type_texts(column_type, kinds, texts)
    spell = partial(spell_value, find_type(column_type))
    stored = numbers.to_pylist() if numbers.null_count < len(numbers) else None
    if is_numeric(find_type(column_type)) and stored is None and find_type(column_type).element is None:
        plain = (kinds == NUMBER) | (kinds == STRING)
        whole = np.asarray(pc.match_substring_regex(texts, _WHOLE).fill_null(False))
        if (whole | ~plain).all() and (plain | (kinds == NULL)).all():
            return Typed(texts, pa.nulls(len(texts), pa.float64()), np.ones(len(texts), np.bool_))
    given: Sequence[str | None] = texts.to_pylist()
    if stored is not None:
        given = [text if one is None else repr(one) for text, one in zip(given, stored, strict=True)]
    spelled = [spell(kind, text or "") for kind, text in zip(kinds.tolist(), given, strict=True)]
    readable = np.array([one is not None or kind == NULL for one, kind in zip(spelled, kinds, strict=True)], np.bool_)
    return Typed(pa.array(spelled, pa.string()), pa.nulls(len(texts), pa.float64()), readable)


def _type_texts(column_type: str, kinds: Array, texts: pa.Array) -> Typed:
    """Values of a column of strings or bools."""
    stated = kinds == STRING
    if column_type == BOOL:
        stated &= np.asarray(pc.is_in(texts, pa.array(["true", "false"])))
        said = np.where(kinds == TRUE, "true", np.where(kinds == FALSE, "false", ""))
        known = (kinds == TRUE) | (kinds == FALSE)
        texts = pc.if_else(pa.array(known), pa.array(said, pa.string()), texts)
        stated |= known
    kept = pc.if_else(pa.array(stated), texts, pa.scalar(None, pa.string()))
    return Typed(kept, pa.nulls(len(texts), pa.float64()), stated | (kinds == NULL))


def _type_doubles(kinds: Array, texts: pa.Array, numbers: pa.Array) -> Typed:
    spelled = (kinds == NUMBER) | (kinds == STRING)
    stored = np.asarray(numbers.is_valid())
    fits = np.asarray(pc.match_substring_regex(texts, _NUMBER).fill_null(False)) & spelled
    parsed = pc.cast(pc.if_else(pa.array(fits), texts, None), pa.float64())
    number = pc.coalesce(numbers, parsed)
    finite = np.asarray(pc.is_finite(number).fill_null(False))
    readable = (kinds == NULL) | (finite & (fits | stored))
    kept = pc.if_else(pa.array(readable & (kinds != NULL)), number, None)
    return Typed(pa.nulls(len(texts), pa.string()), kept, readable)


def spell_value(type_: ColumnType, kind: int, text: str) -> str | None:
    """The text of one logged value; None for a null, and for one that is no value of the type."""
    if kind in (NULL, OBJECT):
        return None
    if type_.element is not None:
        return _spell_list(type_.element, text) if kind in (LIST, STRING) else None
    if type_.name == BOOL:
        said = {TRUE: "true", FALSE: "false"}.get(kind, text if kind == STRING else "")
        return said if said in ("true", "false") else None
    if kind == STRING and type_.encoding == "text":
        return text
    if kind == STRING and type_.name.startswith("timestamp"):
        return _spell(lambda: format_instant(parse_instant(text)))
    if kind not in (NUMBER, STRING) or type_.encoding not in ("integer", "decimal", "double"):
        return None
    return _spell_number(type_, text)


def _spell_number(type_: ColumnType, text: str) -> str | None:
    if len(text) > MOST_DIGITS or not _IS_NUMBER.fullmatch(text) or type_.name.startswith("timestamp"):
        return None
    if type_.name == DOUBLE:
        number = float(text)
        return repr(number + 0.0) if math.isfinite(number) else None  # −0.0 + 0.0 is 0.0
    exact = Decimal(text)
    return spell_exact(exact) if not exact or abs(exact.adjusted()) <= MOST_PLACE else None


def _spell_list(element: ColumnType, text: str) -> str | None:
    try:
        found = _LEXEMES.decode(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    spelled = [None if one is None else spell_value(element, *_describe_element(one)) for one in found]
    if any(one is not None and text is None for one, text in zip(found, spelled, strict=True)):
        return None
    if any(text is not None and has_unpaired_surrogate(text) for text in spelled):
        return None
    return json.dumps(spelled, ensure_ascii=False, separators=(",", ":"))


class _Lexeme(str):
    """The digits of a number as they are written."""


_LEXEMES = json.JSONDecoder(parse_float=_Lexeme, parse_int=_Lexeme, parse_constant=lambda _: {})


def _describe_element(value: Any) -> tuple[int, str]:
    """(kind, text) of an element of a logged list."""
    if isinstance(value, bool):
        return (TRUE if value else FALSE), ""
    if isinstance(value, _Lexeme):
        return NUMBER, str(value)
    if isinstance(value, str):
        return STRING, value
    return OBJECT, ""  # a list in a list too: no column has one


def _spell(make: Callable[[], str]) -> str | None:
    try:
        return make()
    except ValueError:
        return None


def spell_exact(number: Decimal) -> str:
    """The text of an exact number."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def spell_rebuilt(type_: ColumnType, values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The texts of rebuilt values of any type but float64; a null is null."""
    array = combine_chunks(values)
    if type_.name == BOOL or (type_.encoding == "integer" and not type_.name.startswith("timestamp")):
        return pc.cast(array, pa.string())
    if type_.encoding == "text":
        return array.cast(pa.string())
    spell = partial(_spell_stored, type_)
    stored = array.cast(pa.int64()) if type_.name.startswith("timestamp") else array
    return pa.array([None if one is None else spell(one) for one in stored.to_pylist()], pa.string())


def _spell_stored(type_: ColumnType, value: Any) -> str:
    """The text of a rebuilt value as Python holds it; a timestamp is its µs."""
    if type_.element is not None:
        spelled = [None if one is None else _spell_stored(type_.element, one) for one in value]
        return json.dumps(spelled, ensure_ascii=False, separators=(",", ":"))
    if type_.name.startswith("timestamp"):
        return format_instant(value)
    if type_.name == BOOL:
        return "true" if value else "false"
    if type_.name == DOUBLE:
        return repr(value + 0.0)
    return value if isinstance(value, str) else spell_exact(Decimal(value))


def is_numeric(type_: ColumnType) -> bool:
    """Whether two values of the type have a difference; of lists that their elements do."""
    base = type_.element or type_
    return base.encoding in ("integer", "double", "decimal") and not base.name.startswith("timestamp")


def subtract(type_: ColumnType, logged: str, rebuilt: str) -> list[tuple[Decimal, Decimal]] | None:
    """(logged − rebuilt, rebuilt) of two texts of a numeric type, exact; of lists element by element.

    None where lists are of different length, or only one of two elements is null.
    """
    if type_.element is None:
        own = Decimal(rebuilt)
        return [(EXACT.subtract(Decimal(logged), own), own)]
    pairs = list(zip(json.loads(logged), json.loads(rebuilt), strict=False))
    if len(json.loads(logged)) != len(json.loads(rebuilt)) or any((a is None) != (b is None) for a, b in pairs):
        return None
    return [(EXACT.subtract(Decimal(a), Decimal(b)), Decimal(b)) for a, b in pairs if a is not None]
