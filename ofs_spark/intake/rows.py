"""Rows of somebody's file, block by block, and why a row is not taken.

A reader gives blocks of well-formed rows; `events.py` and `labels.py` judge what a row says. A value is what the payload
holds of it: text, number, truth value, null, list or object. Nothing is converted on the way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from ofs_spark.foundation.canonical import find_depth
from ofs_spark.foundation.columnar.arrays import Array

MOST_ROWS = 8_192
"""Rows of a block."""
MOST_BYTES = 8 << 20
"""Bytes of a file after which a block ends."""
MOST_LINE = 16 << 20
"""Bytes of one line, and characters of one value: a longer one is rejected and never held."""
MOST_DEPTH = 63
"""Levels of a payload. The envelope and its payload are two of the 64 that are read."""

MISSING = "is missing"
NO_NAME = "is neither text nor a whole number"
NO_WHOLE = "is no whole number in its range, in digits without a zero in front"
NO_SCALAR = "is a list or an object, which is no key"
HALF_PAIR = "holds half a surrogate pair, which is no text"
NO_TIME = "is no RFC 3339 time such as 2026-02-10T10:00:00Z"
NO_ZONE = "names no zone; Z or +00:00 is required"
OTHER_ZONE = "names another zone than UTC; Z or +00:00 is required"
TOO_FINE = "is finer than a microsecond"
NOT_UTF8 = "is not UTF-8"
NOT_FINITE = "is NaN or infinite, which is no number of JSON"
INEXACT = "holds a number that no float64 is equal to; write it as text"
NO_JSON = "is no JSON"
NO_OBJECT = "is no JSON object"
DOUBLED = "states a member twice"
TOO_DEEP = f"is nested deeper than {MOST_DEPTH} levels"
TOO_LONG = f"is longer than {MOST_LINE >> 20} MiB"
TOO_FEW, TOO_MANY = "has fewer values than the header", "has more values than the header"
NO_CSV = "is not quoted as CSV is"
NO_BYTES = "holds bytes that are no text"
UNMAPPED = "is mapped to no label value"
NO_VALUE = "is no value of its label type"


class Reject(NamedTuple):
    """Why a row is not taken. line: the row's first, from 1; of Parquet its number. column: None for the row as a whole."""

    line: int
    column: str | None
    reason: str


class Times(NamedTuple):
    """µs since the epoch of every row, 0 where there is none; row → why there is none."""

    micros: Array
    bad: Mapping[int, str]


class Wholes(NamedTuple):
    """Whole numbers of every row, 0 where there is none; row → why there is none."""

    values: Array
    bad: Mapping[int, str]


@dataclass(frozen=True)
class Block:
    """Well-formed rows. lines: of each, in order.

    read: column → its values. read_times: column → its instants. write: columns to leave out → canonical JSON of each row.
    names: the columns of the first row, in order.
    """

    lines: Sequence[int]
    names: Sequence[str]
    read: Callable[[str], list[Any]]
    read_times: Callable[[str], Times]
    write: Callable[[frozenset[str]], list[str]]


Blocks = Iterator[tuple[Block, list[Reject]]]
"""Blocks, each with the rows beside it that are not well-formed."""

quote_json: Callable[[str], str] = json.encoder.encode_basestring_ascii
write_json_text: Callable[[Any], str] = json.JSONEncoder(
    sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
).encode


class BadRowError(ValueError):
    """A row that is not well-formed; the reason is its argument."""

    @property
    def reason(self) -> str:
        """Why."""
        return str(self.args[0])


def has_half_pair(text: str) -> bool:
    """Whether a text holds an unpaired surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def is_path_part(column: str) -> bool:
    """Whether a path of a profile can name the column: it has a name, and the name is text."""
    return column != "" and not has_half_pair(column)


def write_value(value: Any) -> str:
    """The canonical text of a value, as `write_json_text` has it, and faster for the commonest kinds."""
    return _WRITERS.get(type(value), write_json_text)(value)


def write_object(members: Mapping[str, Any]) -> str:
    """The canonical text of an object, as `write_json_text` has it, and faster for objects that share their names."""
    if len(members) < 2:
        return write_json_text(members)
    template, pick = find_template(tuple(members))
    return template % tuple([_WRITERS.get(type(one), write_json_text)(one) for one in pick(members)])


def write_objects(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """As `write_object`, of each; column by column where all of them share their names."""
    names = sorted(rows[0]) if rows else []
    if len(names) < 2 or any(len(row) != len(names) for row in rows):
        return list(map(write_object, rows))
    try:
        columns = [_write_column(list(map(itemgetter(name), rows))) for name in names]
    except KeyError:
        return list(map(write_object, rows))
    template = make_template(names)
    return [template % values for values in zip(*columns, strict=True)]


def _write_column(values: list[Any]) -> Iterable[str]:
    kinds = set(map(type, values))
    return map(_WRITERS.get(kinds.pop(), write_json_text) if len(kinds) == 1 else write_value, values)


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    str: quote_json, int: repr, float: repr, dict: write_object,
    bool: {True: "true", False: "false"}.__getitem__, type(None): {None: "null"}.__getitem__,
}  # fmt: skip
"""How the commonest values are written; a float that is read is finite."""


@lru_cache(1_024)
def find_template(names: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    """(the canonical text of an object of these names, two at least, with %s for each value; what picks its values in order)."""
    ordered = sorted(names)
    return make_template(ordered), itemgetter(*ordered)


def make_template(ordered: Iterable[str]) -> str:
    """The canonical text of an object of these names, which ascend, with %s for each value."""
    members = ",".join(quote_json(name).replace("%", "%%") + ":%s" for name in ordered)
    return f"{{{members}}}"


def parse_object(text: str) -> dict[str, Any]:
    """The object that a JSON text without blanks at its ends is. BadRowError for any other text.

    A member that stands twice is not seen: that is asked of `is_doubtful` and `require_single`.
    """
    found = _decode(_QUICK, text)
    if text.count("{") + text.count("[") > MOST_DEPTH and find_depth(found) > MOST_DEPTH:
        raise BadRowError(TOO_DEEP)
    return found


def is_doubtful(text: str, written: str) -> bool:
    """Whether an object's text may state a member twice. written: its canonical text.

    One that stands twice has a colon that is gone now; an escaped colon would hide it.
    """
    return text.count(":") != written.count(":") or ("\\" in text and ("003a" in text or "003A" in text))


def require_single(text: str) -> None:
    """BadRowError for an object that states a member twice, at any depth."""
    _decode(_CAREFUL, text)


def _decode(decoder: json.JSONDecoder, text: str) -> dict[str, Any]:
    try:
        found, end = decoder.raw_decode(text)
    except BadRowError:
        raise
    except RecursionError:
        raise BadRowError(TOO_DEEP) from None
    except ValueError:
        raise BadRowError(NO_JSON) from None
    if end != len(text):
        raise BadRowError(NO_JSON)
    if type(found) is not dict:
        raise BadRowError(NO_OBJECT)
    return found


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRowError(DOUBLED)
    return found


def _read_float(text: str) -> float:
    value = float(text)
    written = repr(value)
    if written == text:
        return value
    try:
        same = math.isfinite(value) and Decimal(text) == Decimal(written)
    except InvalidOperation:  # an exponent beyond all numbers
        same = False
    if not same:
        raise BadRowError(INEXACT)
    return value


def _refuse_constant(_text: str) -> Any:
    raise BadRowError(NOT_FINITE)


_QUICK = json.JSONDecoder(parse_float=_read_float, parse_constant=_refuse_constant)
_CAREFUL = json.JSONDecoder(object_pairs_hook=_build_object, parse_float=_read_float, parse_constant=_refuse_constant)
"""Finds what stands twice, at three times the cost."""
