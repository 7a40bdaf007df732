"""Rows of logged values as they stand in a file of either format: what each says, before it is asked what it means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.times import NO_INSTANT, REQUIRED

EVENT_ID, COLUMN, VALUE, LOGGED_AT = "event_id", "column", "value", "logged_at_utc"
"""Members of a line, or columns of a table."""
MEMBERS = (EVENT_ID, COLUMN, VALUE, LOGGED_AT)


@dataclass(frozen=True)
class LineFault:
    """What is wrong with one line of a file, or one row of a table, counted from 1."""

    line: int
    member: str
    message: str

    def to_document(self) -> dict[str, Any]:
        """As details of a refusal hold it."""
        return {"line": self.line, "pointer": f"/{self.member}" if self.member else "", "message": self.message}


@dataclass(frozen=True)
class LoggedRows:
    """Some rows of a file, shape (rows,) each; those with a fault left out.

    line: from 1. kinds, texts, numbers: of the values, as `values.type_values` takes them. logged_at: µs.
    """

    line: Array
    event_ids: pa.Array
    columns: pa.Array
    kinds: Array
    texts: pa.Array
    numbers: pa.Array
    logged_at: Array

    def keep(self, mask: Array) -> LoggedRows:
        """The rows of a mask."""
        if mask.all():
            return self
        chosen = pa.array(mask)
        arrays = (self.event_ids, self.columns, self.texts, self.numbers)
        event_ids, columns, texts, numbers = (array.filter(chosen) for array in arrays)
        return LoggedRows(self.line[mask], event_ids, columns, self.kinds[mask], texts, numbers, self.logged_at[mask])


def judge_names(line: Array, name: str, texts: pa.Array, kept: Array) -> Iterator[LineFault]:
    """Faults of the ids or column names of rows that have one: an empty text names nothing."""
    empty = np.asarray(pa.compute.equal(texts, "").fill_null(False)) & kept
    yield from (LineFault(int(line[row]), name, "is an empty text") for row in np.flatnonzero(empty))


def judge_instants(line: Array, logged_at: Array, kept: Array) -> Iterator[LineFault]:
    """Faults of the times at which rows were logged."""
    wrong = (logged_at == NO_INSTANT) & kept
    yield from (LineFault(int(line[row]), LOGGED_AT, f"is not {REQUIRED}") for row in np.flatnonzero(wrong))


def leave_out(rows: LoggedRows, faults: list[LineFault]) -> LoggedRows:
    """The rows without a fault."""
    return rows.keep(~np.isin(rows.line, [fault.line for fault in faults])) if faults else rows
