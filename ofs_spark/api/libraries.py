"""Rows in other libraries: which are optional, and what a cell becomes in each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pandas as pd


def import_library(name: str) -> Any:
    """An optional library. ImportError, saying what to install, where it is not there."""
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:  # it is there, and lacks something of its own
            raise
        message = f"this needs {name}, which is not installed: pip install {name}"
        raise ImportError(message, name=name) from None


def to_pandas(rows: pa.Table) -> pd.DataFrame:
    """Rows as a pandas frame, no cell rounded: a float column has NaN for null, for no dataset holds a NaN; integers and
    booleans are of the nullable types; decimals stay decimals, lists stay lists."""
    pandas = import_library("pandas")
    types = {pa.int64(): pandas.Int64Dtype(), pa.int32(): pandas.Int32Dtype(), pa.bool_(): pandas.BooleanDtype()}
    return rows.to_pandas(types_mapper=types.get)


def to_model_input(rows: pa.Table) -> pd.DataFrame:
    """Rows as a model takes them: every number and boolean as float64 with NaN for null, all else as pandas has it.

    Of an integer or decimal beyond 2^53 the nearest float64 that Arrow gives.
    """
    pandas = import_library("pandas")
    columns = {name: _to_model_column(rows.column(name)) for name in rows.column_names}
    return pandas.DataFrame(columns, index=pandas.RangeIndex(rows.num_rows), columns=list(columns))


def _to_model_column(column: pa.ChunkedArray) -> Any:
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if is_number or pa.types.is_boolean(column.type) or pa.types.is_decimal(column.type):
        return pc.cast(column, pa.float64(), safe=False).to_numpy()
    return column.to_pandas()
