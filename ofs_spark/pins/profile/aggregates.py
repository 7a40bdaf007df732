"""The aggregates and derived operations of a profile: one table, which compiler, catalogue, kernels and reference read.

A new aggregate is an entry here, a kernel of its name in `features/kernel/aggregates.py`, a function of its name in the
oracle and a spec table: docs/adr/0008-one-table-of-aggregates.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ofs_spark.pins.columns import BOOL, DOUBLE, INT64, STRING, name_decimal
from ofs_spark.pins.profile.model import Kind, Operation, ValueType
from ofs_spark.pins.profile.values import EXACT, KINDS


@dataclass(frozen=True)
class Aggregate:
    """What a profile may say of one aggregate, and what its column is.

    value: whether a value is required, optional or absent; kinds: what it may be; widest: most digits of a decimal.
    needs_where: whether a condition is required. keys: keys of a feature that this aggregate alone has.
    result: `whole` is a whole number, `rounded` a number rounded once, `declared` one of the values: text or bool as it
    was declared, a number rounded once.
    unit: of the column; `value` is the value's. meaning: a sentence about {value}, {events} (those that meet the
    condition) and {all}. has_empty, has_exact: whether `empty` and `output: exact` apply. computed: by this release.
    """

    name: str
    meaning: str = ""
    result: Literal["whole", "rounded", "declared"] = "rounded"
    value: Literal["required", "optional", "absent"] = "required"
    kinds: tuple[Kind, ...] = ()
    widest: int | None = None
    needs_where: bool = False
    unit: Literal["", "s", "value"] = ""
    has_empty: bool = False
    has_exact: bool = False
    keys: tuple[str, ...] = ()
    computed: bool = True


_SQUARED = 15
"""Most digits of a decimal whose squares are summed: exact sums of squares stay in two machine words."""

_ENTRIES = (
    Aggregate("count", "Number of {events}", "whole", "optional", KINDS),
    Aggregate("sum", "Sum of {value} over {events}", kinds=EXACT, unit="value", has_empty=True, has_exact=True),
    Aggregate("mean", "Mean {value} of {events}", kinds=EXACT, unit="value"),
    Aggregate("min", "Smallest {value} of {events}", "declared", kinds=KINDS, unit="value", has_exact=True),
    Aggregate("max", "Largest {value} of {events}", "declared", kinds=KINDS, unit="value", has_exact=True),
    Aggregate(
        "stddev_pop",
        "Population standard deviation of {value} over {events}",
        kinds=EXACT,
        widest=_SQUARED,
        unit="value",
    ),
    Aggregate(
        "stddev_samp", "Sample standard deviation of {value} over {events}", kinds=EXACT, widest=_SQUARED, unit="value"
    ),
    Aggregate("count_distinct", "Number of different {value} among {events}", "whole", kinds=KINDS),
    Aggregate("first", "{value} of the oldest of {events}", "declared", kinds=KINDS, unit="value", has_exact=True),
    Aggregate("last", "{value} of the newest of {events}", "declared", kinds=KINDS, unit="value", has_exact=True),
    Aggregate("rate", "Share of {all} that meet the condition", value="absent", needs_where=True),
    Aggregate("time_since_first", "Seconds from the oldest of {events} to the anchor", value="absent", unit="s"),
    Aggregate(
        "time_since_previous", "Seconds from the newest other of {events} to the anchor", value="absent", unit="s"
    ),
    Aggregate("last_k", keys=("k",), computed=False),
    Aggregate("top_k", keys=("k",), computed=False),
    Aggregate("histogram", keys=("categories",), computed=False),
    Aggregate("percentile", keys=("q",), computed=False),
    Aggregate("streak", computed=False),
)
AGGREGATES: Mapping[str, Aggregate] = {entry.name: entry for entry in _ENTRIES}
"""Every aggregate that a profile may name, in the order in which people are told of them."""
COMPUTED = tuple(entry for entry in _ENTRIES if entry.computed)

_NO_NUMBERS = {"string": STRING, "bool": BOOL}
"""Kinds of value that stay as they were declared, and the type of their column."""

OPERATIONS: tuple[Operation, ...] = ("ratio", "difference")
"""What a derived column may be of its two operands."""
OPERATIONS_NOT_YET = ("zscore",)
"""Derived columns that profiles may name and this release does not compute."""


def find_aggregate(name: Any) -> Aggregate | None:
    """The entry of what a profile wrote as an aggregate; None if it is none."""
    return AGGREGATES.get(name) if isinstance(name, str) else None


def derive_result_type(aggregate: Aggregate, value: ValueType | None, exact: bool) -> str:
    """The column type of an aggregate of a value (None: of events), as a number or, if `exact`, as a decimal."""
    if aggregate.result == "whole":
        return INT64
    if value is not None and aggregate.result == "declared" and value.kind in _NO_NUMBERS:
        return _NO_NUMBERS[value.kind]
    return name_decimal(value.scale) if exact and value is not None else DOUBLE
