"""The column types as Arrow has them, both ways; apart from `columns.py` because most of pins runs without Arrow."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from ofs_spark.pins.columns import TYPES, ColumnType, find_type, name_decimal, name_list


def to_arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a column type's name. InternalError for a name that no column has."""
    return _make_arrow_type(find_type(name))


def name_arrow_type(type_: pa.DataType) -> str:
    """An Arrow type by its column type's name; as Arrow itself writes it where no column has it."""
    if pa.types.is_list(type_):
        return name_list(name_arrow_type(type_.value_type))
    if pa.types.is_decimal128(type_):
        return name_decimal(type_.scale, type_.precision)
    return _name_plain_types().get(type_, str(type_))


def find_column_type(type_: pa.DataType) -> ColumnType:
    """The column type of an array, whatever the width of its offsets. InternalError for one that no column has."""
    return find_type(name_arrow_type(_narrow_offsets(type_)))


@cache
def _name_plain_types() -> dict[pa.DataType, str]:
    return {to_arrow_type(name): name for name in TYPES}


def _narrow_offsets(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return pa.list_(_narrow_offsets(type_.value_type))
    return pa.string() if pa.types.is_large_string(type_) else type_


def _make_arrow_type(type_: ColumnType) -> pa.DataType:
    if type_.element is not None:
        return pa.list_(_make_arrow_type(type_.element))
    constructor, *arguments = type_.arrow
    return getattr(pa, str(constructor))(*arguments)
