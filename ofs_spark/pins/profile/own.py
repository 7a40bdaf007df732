"""What a feature set keeps of a row's own event: the values that `anchor` declares, and with `keep_keys` its entity keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.wording import write_count
from ofs_spark.pins.columns import BOOL, DOUBLE, INT64, STRING, Column, name_decimal
from ofs_spark.pins.profile.conditions import parse_path
from ofs_spark.pins.profile.faults import Faults, read_items, read_mapping, read_name
from ofs_spark.pins.profile.model import MOST_ANCHOR_VALUES, Group, Key, OwnColumn, Read, ValueType, format_path
from ofs_spark.pins.profile.values import parse_type

OWN_VALUES, KEEP_KEYS = "anchor", "keep_keys"
OWN_KEYS = (OWN_VALUES, KEEP_KEYS)
"""Keys of an entry of `feature_sets` that say what a row keeps of its own event."""
_KEYS = ("name", "path", "type")
_TYPES = {"int": INT64, "double": DOUBLE, "string": STRING, "bool": BOOL}


@dataclass(frozen=True)
class AnchorValue:
    """A value that `anchor` declares, and the column it becomes."""

    column: str
    read: Read


def compile_anchor(declared: Mapping[str, Any], pointer: str, faults: Faults) -> list[AnchorValue]:
    """The values that a set declares, in file order; every column of the set's groups is claimed before."""
    at = f"{pointer}/{OWN_VALUES}"
    given = read_items(declared.get(OWN_VALUES), at, faults)
    if declared.get(OWN_VALUES, given) is None:
        faults.add(at, "is null; a list is required, or nothing")
    if len(given) > MOST_ANCHOR_VALUES:
        faults.add(at, f"declares {write_count(len(given), 'value')}; at most {MOST_ANCHOR_VALUES} are kept")
    return [_compile_value(one, f"{at}/{i}", faults) for i, one in enumerate(given)]


def _compile_value(given: Any, at: str, faults: Faults) -> AnchorValue:
    document = read_mapping(given, at, faults)
    faults.refuse_unknown_keys(at, document, _KEYS)
    name = read_name(document, "name", at, faults)
    column = f"anchor__{name}"
    if name:
        faults.claim_column(f"{at}/name", column)
    path = parse_path(document.get("path"), f"{at}/path", faults, columns=True)
    return AnchorValue(column, Read(path, parse_type(document.get("type"), f"{at}/type", faults)))


def read_keep_keys(declared: Mapping[str, Any], pointer: str, faults: Faults) -> bool:
    """Whether a set keeps the entity keys of its groups."""
    keeps = declared.get(KEEP_KEYS, False)
    if not isinstance(keeps, bool):
        faults.add(f"{pointer}/{KEEP_KEYS}", "is true or false")
    return keeps is True


def describe_anchor_value(value: AnchorValue, read: int) -> OwnColumn:
    """The column of a value; `read`: its place among the program's reads."""
    meaning = f"{format_path(value.read.path)} of the anchor itself; null where it has none"
    return OwnColumn(Column(value.column, _name_type(value.read.type), "anchor", meaning), read)


def describe_keys(groups: Sequence[Group], keys: Sequence[Key], pointer: str, faults: Faults) -> Iterator[OwnColumn]:
    """The parts of every group's key, as text, in the set's order."""
    for group in groups:
        key = keys[group.key]
        for place, part in enumerate(key.names):
            column = f"key__{group.name}__{part}"
            faults.claim_column(f"{pointer}/{KEEP_KEYS}", column)
            meaning = f"{part} of the anchor itself, as text in the key of {group.name}; null where it has none"
            described = Column(column, STRING, "identity", meaning, source=f"{group.name}@{group.version}")
            yield OwnColumn(described, None if key.online_core is not None else key.parts[place], key.online_core)


def _name_type(type_: ValueType) -> str:
    return name_decimal(type_.scale, type_.precision) if type_.kind == "decimal" else _TYPES[type_.kind]
