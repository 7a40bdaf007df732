"""The compiled feature profile: what the scan reads, how keys are built, what each group computes.

A `Program` is everything later rooms know of a profile. It names no file and holds no text of the profile; equal
selected content compiles to an equal program.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal

from ofs_spark.pins.columns import Column

MOST_GROUPS = 55
"""Groups of one set: each has a bit of a row's flags."""

MOST_ANCHOR_VALUES = 256
"""Values that a set's `anchor` declares: each travels with its row through every exchange."""

Path = tuple[str, ...]
"""Member names from the envelope's root, e.g. ("payload", "amount"); or RECORD and the name of a column of the record."""

RECORD = "record"
RECORD_COLUMNS = (("event_type",), ("scenario_run_id",))
"""Columns of the record that a path may name, as it is written."""

PLAIN_NAME = r"[\w-]+"
"""A member name that a path holds as it is: letters, digits, _ and -. Any other is written in double quotes."""


def format_path(path: Path) -> str:
    """A path as a profile writes it."""
    parts = path[1:] if path[0] == RECORD else path
    return ".".join(part if re.fullmatch(PLAIN_NAME, part) else json.dumps(part, ensure_ascii=False) for part in parts)


Kind = Literal["decimal", "int", "double", "string", "bool", "key"]

Operation = Literal["ratio", "difference"]


@dataclass(frozen=True)
class ValueType:
    """Type of a value read from an event. `key` is the text of any scalar. Precision and scale are for decimals."""

    kind: Kind
    precision: int = 0
    scale: int = 0

    @property
    def wide(self) -> bool:
        """Whether its unscaled integers need more than 64 bits (decimal beyond 18 digits)."""
        return self.kind == "decimal" and self.precision > 18


@dataclass(frozen=True)
class Read:
    """One column that the segment scan reads; groups that read one path as one type share it."""

    path: Path
    type: ValueType


@dataclass(frozen=True)
class Condition:
    """A three-valued condition over payload fields.

    `op`: eq ne in lt le gt ge (leaf with `path` and `constants`), is_null (leaf; one bool constant),
    all any not (inner; `parts`). A constant is (type, text): type ∈ string, bool, number; number text is the digits as
    written, bool text is "true" or "false".
    """

    op: str
    path: Path = ()
    constants: tuple[tuple[str, str], ...] = ()
    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class OnlineCoreRules:
    """How the online plane keys and values an event (parity law): first present field wins."""

    key_precedence: tuple[str, ...] = ("flow_id", "event_id")
    amount_fields: tuple[str, ...] = ("amount",)


@dataclass(frozen=True)
class Key:
    """An entity key: indices into `Program.reads` (one per part) or, for a core group, the index of its law."""

    parts: tuple[int, ...]
    names: tuple[str, ...]
    online_core: int | None = None


@dataclass(frozen=True)
class Value:
    """A declared value of a group: what is read, and what a missing one means."""

    name: str
    read: int
    missing: Literal["fail", "null", "zero"]
    unit: str = ""


@dataclass(frozen=True)
class Feature:
    """One feature column. `value` indexes the group's values, `where` indexes `Program.wheres`; times in microseconds."""

    column: str
    operand: str
    aggregate: str
    value: int | None
    where: int | None
    window_us: int | None
    delay_us: int
    window: str = ""
    empty_zero: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Operand:
    """An operand of a derived feature: the anchor's own value, or a feature of the same group."""

    source: Literal["value", "feature"]
    index: int


@dataclass(frozen=True)
class Derived:
    """A derived column over two operands of its group."""

    column: str
    op: Operation
    left: Operand
    right: Operand


@dataclass(frozen=True)
class Group:
    """One feature group. `event_types` None means every in-scope event; `core` is set for online core features."""

    name: str
    version: str
    key: int
    event_types: tuple[str, ...] | None
    knowledge: Literal["as_observed", "event_time"]
    include_anchor: bool
    values: tuple[Value, ...]
    features: tuple[Feature, ...]
    derived: tuple[Derived, ...]
    online_core: int | None = None


@dataclass(frozen=True)
class OwnColumn:
    """A column that the row's own event gives: a value of the set's `anchor`, or a part of a group's key that is kept.

    read: index into `Program.reads`; None for the key of a core group, whose law is `online_core`.
    """

    column: Column
    read: int | None
    online_core: int | None = None


@dataclass(frozen=True)
class Program:
    """A compiled feature set: shared reads, conditions, keys and core laws, and the groups in the set's order.

    own: what a row keeps of its own event, in the dataset's order.
    """

    set_id: str
    set_version: str
    reads: tuple[Read, ...]
    conditions: tuple[Condition, ...]
    keys: tuple[Key, ...]
    online_core_rules: tuple[OnlineCoreRules, ...]
    groups: tuple[Group, ...]
    feature_columns: tuple[Column, ...] = field(default=())
    own: tuple[OwnColumn, ...] = ()
