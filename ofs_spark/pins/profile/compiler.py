"""Compiling the groups of a set: what they read, their conditions, keys and online-core rules, shared by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ofs_spark.foundation.wording import write_count
from ofs_spark.pins.columns import Column
from ofs_spark.pins.profile.catalogue import CORE_FEATURES, describe_group
from ofs_spark.pins.profile.conditions import parse_path
from ofs_spark.pins.profile.digest import (
    CORE_KEY_TYPE,
    EXTENSION_KEYS,
)
from ofs_spark.pins.profile.faults import Faults, is_text, read_items, read_mapping, read_name
from ofs_spark.pins.profile.features import compile_derived, compile_features
from ofs_spark.pins.profile.model import (
    MOST_GROUPS,
    Condition,
    Group,
    Key,
    OnlineCoreRules,
    OwnColumn,
    Program,
    Read,
    Value,
    ValueType,
)
from ofs_spark.pins.profile.own import compile_anchor, describe_anchor_value, describe_keys, read_keep_keys
from ofs_spark.pins.profile.values import compile_values, compile_windows

_PLATFORM_KEYS = frozenset({"name", "version", "key_type", "windows", "key_precedence", "amount_fields"})


def list_columns(group: Group) -> list[str]:
    """Names of a group's columns: features, then derived."""
    if group.online_core is not None:
        return [f"{group.name}__{name}" for name in CORE_FEATURES]
    return [f.column for f in group.features] + [d.column for d in group.derived]


@dataclass
class Compiler:
    """Groups compiled so far; reads, conditions, keys and core laws are shared by all of them."""

    faults: Faults
    reads: list[Read] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    online_core_rules: list[OnlineCoreRules] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    own: list[OwnColumn] = field(default_factory=list)

    def freeze_program(self, set_id: str, set_version: str) -> Program:
        """Everything added, frozen."""
        if len(self.groups) > MOST_GROUPS:
            self.faults.add(
                "/feature_sets",
                f"names {write_count(len(self.groups), 'group')}; at most {MOST_GROUPS} are computed together",
            )
        return Program(
            set_id,
            set_version,
            tuple(self.reads),
            tuple(self.conditions),
            tuple(self.keys),
            tuple(self.online_core_rules),
            tuple(self.groups),
            tuple(self.columns),
            tuple(self.own),
        )

    def keep_own(self, declared: Mapping[str, Any], pointer: str) -> None:
        """What the set, all of whose groups are added, keeps of a row's own event."""
        for value in compile_anchor(declared, pointer, self.faults):
            self.own.append(describe_anchor_value(value, _number(self.reads, value.read)))
        if read_keep_keys(declared, pointer, self.faults):
            self.own += describe_keys(self.groups, self.keys, pointer, self.faults)

    def add(self, group: Mapping[str, Any], pointer: str) -> None:
        """Compiles one group."""
        if "key_type" in group:
            read_name(group, "key_type", pointer, self.faults)
        made = (
            self._compile_extended(group, pointer)
            if EXTENSION_KEYS & set(group)
            else self._compile_core(group, pointer)
        )
        self.groups.append(made)
        if not self.faults.found:  # a catalogue describes what can be computed
            self.columns += describe_group(made, self.reads, self.keys[made.key].names)

    def _compile_core(self, group: Mapping[str, Any], pointer: str) -> Group:
        precedence = self._read_names(group.get("key_precedence"), f"{pointer}/key_precedence") or _derive_precedence(
            group
        )
        rules = OnlineCoreRules(
            precedence, self._read_names(group.get("amount_fields"), f"{pointer}/amount_fields") or ("amount",)
        )
        number = _number(self.online_core_rules, rules)
        key = _number(self.keys, Key((), ("key",), number))
        name = str(group.get("name"))
        for column in CORE_FEATURES:
            self.faults.claim_column(f"{pointer}/name", f"{name}__{column}")
        return Group(name, str(group.get("version")), key, None, "as_observed", True, (), (), (), number)

    def _read_names(self, given: Any, pointer: str) -> tuple[str, ...]:
        names = read_items(given, pointer, self.faults)
        for i, name in enumerate(names):
            if not is_text(name) or ":" in name:
                self.faults.add(f"{pointer}/{i}", "must be the name of a payload field, without a colon")
        return tuple(map(str, names))

    def _compile_extended(self, group: Mapping[str, Any], pointer: str) -> Group:
        faults = self.faults
        faults.refuse_unknown_keys(
            pointer, group, EXTENSION_KEYS | _PLATFORM_KEYS - {"key_precedence", "amount_fields"}
        )
        if group.get("context"):
            faults.add(f"{pointer}/context", "context columns are not computed by this release")
        windows, declared = compile_windows(group, pointer, faults), compile_values(group, pointer, faults)
        features = compile_features(group, windows, declared, self._number_condition, pointer, faults)
        derived = compile_derived(group, features, declared, pointer, faults)
        if not features:
            faults.add(f"{pointer}/features", "declares no feature")
        knowledge: Literal["as_observed", "event_time"] = (
            "event_time" if group.get("knowledge") == "event_time" else "as_observed"
        )
        if group.get("knowledge", knowledge) != knowledge:
            faults.add(f"{pointer}/knowledge", "is as_observed or event_time")
        if not isinstance(group.get("include_anchor", True), bool):
            faults.add(f"{pointer}/include_anchor", "is true or false")
        values = tuple(Value(v.name, _number(self.reads, Read(v.path, v.type)), v.missing, v.unit) for v in declared)
        return Group(
            str(group.get("name")),
            str(group.get("version")),
            self._compile_key(group, pointer),
            self._read_event_types(group, pointer),
            knowledge,
            group.get("include_anchor", True) is not False,
            values,
            tuple(features),
            tuple(derived),
        )

    def _number_condition(self, where: Condition) -> int:
        return _number(self.conditions, where)

    def _compile_key(self, group: Mapping[str, Any], pointer: str) -> int:
        given = read_items(group.get("key"), f"{pointer}/key", self.faults)
        if not given:
            self.faults.add(f"{pointer}/key", "names no payload path")
        paths = [parse_path(one, f"{pointer}/key/{i}", self.faults) for i, one in enumerate(given)]
        names = tuple(path[-1] for path in paths)
        if len(set(names)) != len(names):
            self.faults.add(f"{pointer}/key", "two paths end in one name")
        return _number(
            self.keys, Key(tuple(_number(self.reads, Read(path, ValueType("key"))) for path in paths), names)
        )

    def _read_event_types(self, group: Mapping[str, Any], pointer: str) -> tuple[str, ...] | None:
        source = group.get("source")
        if source is None:
            return None
        at = f"{pointer}/source"
        document = read_mapping(source, at, self.faults)
        if "labels" in document:
            self.faults.add(f"{at}/labels", "label-derived features are not computed by this release")
            return None
        self.faults.refuse_unknown_keys(at, document, ("event_types",))
        types = read_items(document.get("event_types"), f"{at}/event_types", self.faults)
        if not types or not all(map(is_text, types)):
            self.faults.add(f"{at}/event_types", "is a list of event types that is not empty")
        return tuple(sorted(set(map(str, types))))


def _derive_precedence(group: Mapping[str, Any]) -> tuple[str, ...]:
    return str(group.get("key_type", CORE_KEY_TYPE)), "event_id"


def _number(known: list[Any], one: Any) -> int:
    """The place of `one` in `known`, appended if it is new."""
    if one not in known:
        known.append(one)
    return known.index(one)
