"""The columns of a dataset and the types they may have: one table, and nobody else spells a type.

Catalogue and manifest write a type by its name here. Arrow's types (`arrow_types.py`), Delta's, the encoding of the content
digest and the width that plans the exchanges are read off the entry of that name. Nothing here loads Arrow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ofs_spark.foundation.errors import InternalError

Encoding = Literal["integer", "double", "bool", "text", "decimal", "list"]
"""How the content digest encodes a column; `publish/digest.py` holds the law of each."""


@dataclass(frozen=True)
class Column:
    """One dataset column. `type` is the name of a `ColumnType`."""

    name: str
    type: str
    role: Literal["identity", "anchor", "feature", "label", "split", "lineage"]
    meaning: str
    unit: str = ""
    window: str = ""
    source: str = ""


@dataclass(frozen=True)
class ColumnType:
    """One type and how each part of OFS says it.

    arrow: pyarrow's constructor and its arguments; delta: Delta's primitive type (both without meaning for a list, which
    is made of its element). width: bytes a row takes in an exchange; for text and lists a guess.
    """

    name: str
    arrow: tuple[str | int, ...]
    delta: str
    encoding: Encoding
    width: int
    element: ColumnType | None = None


INT64, INT32, DOUBLE, STRING, BOOL = "int64", "int32", "double", "string", "bool"
TIMESTAMP = "timestamp[us, tz=UTC]"
DIGITS = 38
"""Digits of every decimal column: the most that 128 bits hold."""

TYPES = {
    entry.name: entry
    for entry in (
        ColumnType(INT64, ("int64",), "long", "integer", 8),
        ColumnType(INT32, ("int32",), "integer", "integer", 4),
        ColumnType(DOUBLE, ("float64",), "double", "double", 8),
        ColumnType(STRING, ("string",), "string", "text", 16),
        ColumnType(BOOL, ("bool_",), "boolean", "bool", 1),
        ColumnType(TIMESTAMP, ("timestamp", "us", "UTC"), "timestamp", "integer", 8),
    )
}
"""The types without parameters, by name; decimals and lists are made by `find_type`."""

_DECIMAL = re.compile(r"decimal128\((\d+), (\d+)\)")
_LIST = re.compile(r"list<(.+)>")


def name_decimal(scale: int, precision: int = DIGITS) -> str:
    """The name of a decimal with `scale` digits behind the point."""
    return f"decimal128({precision}, {scale})"


def name_list(element: str) -> str:
    """The name of a list whose elements have the type `element`."""
    return f"list<{element}>"


def find_type(name: str) -> ColumnType:
    """The type of that name. InternalError for a name that no column has."""
    if name in TYPES:
        return TYPES[name]
    if decimal := _DECIMAL.fullmatch(name):
        precision, scale = int(decimal[1]), int(decimal[2])
        return ColumnType(name, ("decimal128", precision, scale), f"decimal({precision},{scale})", "decimal", 16)
    if listed := _LIST.fullmatch(name):
        return ColumnType(name, (), "", "list", 16, find_type(listed[1]))
    raise InternalError(f"a dataset has no column of type {name}")
