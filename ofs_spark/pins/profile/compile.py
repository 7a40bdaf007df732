"""A profile document and a feature set's name → a `Program`, or every reason why not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ofs_spark.foundation.canonical import CanonicalError, encode_canonical
from ofs_spark.foundation.documents import DocumentKind, fetch_document
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import name_profile
from ofs_spark.foundation.strict_yaml import parse_yaml
from ofs_spark.pins.columns import Column
from ofs_spark.pins.profile.catalogue import CORE_FEATURES, describe_group
from ofs_spark.pins.profile.conditions import MOST_DEPTH, parse_path
from ofs_spark.pins.profile.digest import (
    CORE_KEY_TYPE,
    EXTENSION_KEYS,
    OLD_PROFILE_RECIPE,
    OLD_SET_RECIPE,
    PROFILE_RECIPE,
    SET_RECIPE,
    digest_feature_set,
    digest_profile,
    require_stated,
    tag_numbers,
)
from ofs_spark.pins.profile.faults import Digits, Faults, is_text, read_items, read_mapping, read_name
from ofs_spark.pins.profile.features import compile_derived, compile_features
from ofs_spark.pins.profile.model import (
    MOST_GROUPS,
    Condition,
    Group,
    Key,
    OnlineCoreRules,
    Program,
    Read,
    Value,
    ValueType,
)
from ofs_spark.pins.profile.values import compile_values, compile_windows

PROFILE = DocumentKind(
    "feature_profile",
    "feature profile",
    "FEATURE_PROFILE_UNRESOLVED",
    "FEATURE_PROFILE_UNRESOLVED",
    "/feature_definition_set",
)
SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SET_KEYS = ("feature_set_id", "feature_set_version", "groups")
_PLATFORM_KEYS = frozenset({"name", "version", "key_type", "windows", "key_precedence", "amount_fields"})
_MOST_NESTED = 2 * MOST_DEPTH + 16  # a list and a mapping for each level of a condition, and what stands around it


@dataclass(frozen=True)
class Profile:
    """A resolved feature set: where it stands, its digests, and what it compiled to."""

    ref: str
    policy_id: str
    revision: str
    digest: str
    set_id: str
    set_version: str
    set_digest: str
    old_set_digest: str
    stated_recipe: str
    program: Program

    def find_set_digest(self, recipe: str) -> str:
        """The selected set's digest by a recipe that a manifest states; manifests that state none were made by the older."""
        return self.set_digest if recipe == SET_RECIPE else self.old_set_digest

    def describe_differences(self) -> tuple[str, ...]:
        """What is said aloud of the file: that it states its digest by a recipe that is no longer written."""
        if self.stated_recipe != OLD_PROFILE_RECIPE:
            return ()
        return (f"{self.ref} states its content_digest by {OLD_PROFILE_RECIPE}; {PROFILE_RECIPE} gives {self.digest}",)


def read_profile(profiles: Objects, set_id: str, set_version: str) -> Profile:
    """The feature set `set_id`@`set_version` of the one file `{set_id}.yaml`.

    FEATURE_PROFILE_UNRESOLVED if the file is missing, unreadable, lacks the set or cannot compile;
    FEATURE_PROFILE_MISMATCH if it states another digest.
    """
    if not SET_NAME.fullmatch(set_id):
        message = f"{set_id!r:.140} is no name of a feature set"
        raise refuse("FEATURE_PROFILE_UNRESOLVED", message, pointer=PROFILE.pointer)
    ref = name_profile(set_id)
    raw = fetch_document(profiles, PROFILE, ref)
    try:
        document = parse_yaml(raw, what=f"the {PROFILE.noun}", number=Digits)
        encode_canonical(tag_numbers(document), max_depth=_MOST_NESTED)  # what its digests are made of
    except CanonicalError as error:
        raise PROFILE.refuse(ref, str(error)) from None
    return compile_profile(document, set_id, set_version, ref)


def compile_profile(document: Any, set_id: str, set_version: str, ref: str = "profile") -> Profile:
    """The set of a parsed profile (numbers as `Digits`). Refuses as `read_profile` does, all faults at once."""
    faults = Faults()
    top = read_mapping(document, "", faults)
    faults.refuse_unknown_keys("", top, ("policy_id", "revision", "content_digest", "feature_sets", "feature_groups"))
    policy_id, revision = read_name(top, "policy_id", "", faults), read_name(top, "revision", "", faults)
    chosen = _select_groups(top, set_id, set_version, faults)
    compiler = _Compiler(faults)
    for pointer, group in chosen:
        compiler.add(group, pointer)
    program = compiler.freeze_program(set_id, set_version)
    if faults.found:
        raise faults.refusal(ref)
    groups = [group for _, group in chosen]
    return Profile(
        ref,
        policy_id,
        revision,
        digest_profile(top),
        set_id,
        set_version,
        digest_feature_set(set_id, set_version, groups),
        digest_feature_set(set_id, set_version, groups, OLD_SET_RECIPE),
        require_stated(top, ref),
        program,
    )


def _select_groups(
    top: Mapping[str, Any], set_id: str, set_version: str, faults: Faults
) -> list[tuple[str, dict[str, Any]]]:
    """(pointer, group) of each group of the set, in its order; where no such set is declared, the group so named."""
    groups: dict[str, tuple[str, dict[str, Any]]] = {}
    for i, one in enumerate(read_items(top.get("feature_groups"), "/feature_groups", faults)):
        at = f"/feature_groups/{i}"
        group = read_mapping(one, at, faults)
        name = f"{read_name(group, 'name', at, faults)}@{read_name(group, 'version', at, faults)}"
        if name in groups:
            faults.add(at, f"{name} is declared twice")
        if not EXTENSION_KEYS & set(group):  # the platform's digest holds every group's windows, selected or not
            compile_windows(group, at, faults)
        groups[name] = (at, group)
    sets = [
        read_mapping(one, f"/feature_sets/{i}", faults)
        for i, one in enumerate(read_items(top.get("feature_sets"), "/feature_sets", faults))
    ]
    named = [_read_set_name(declared, f"/feature_sets/{i}", faults) for i, declared in enumerate(sets)]
    if named.count((set_id, set_version)) > 1:
        faults.add("/feature_sets", f"declares {set_id} {set_version} twice")
    for i, declared in enumerate(sets):
        if named[i] == (set_id, set_version):
            return _find_groups(
                read_items(declared.get("groups"), f"/feature_sets/{i}/groups", faults),
                groups,
                f"/feature_sets/{i}/groups",
                faults,
            )
    if f"{set_id}@{set_version}" in groups:
        return [groups[f"{set_id}@{set_version}"]]
    faults.add("/feature_sets", f"holds no set {set_id} {set_version}, and no group of that name and version")
    return []


def _read_set_name(declared: Mapping[str, Any], at: str, faults: Faults) -> tuple[str, str]:
    faults.refuse_unknown_keys(at, declared, _SET_KEYS)
    return read_name(declared, "feature_set_id", at, faults), read_name(declared, "feature_set_version", at, faults)


def _find_groups(
    names: Sequence[Any], groups: Mapping[str, tuple[str, dict[str, Any]]], pointer: str, faults: Faults
) -> list[tuple[str, dict[str, Any]]]:
    if not names:
        faults.add(pointer, "names no group")
    for i, name in enumerate(names):
        if not isinstance(name, str) or name not in groups:
            faults.add(f"{pointer}/{i}", f"{name!r:.80} is no group of this profile")
        elif name in names[:i]:
            faults.add(f"{pointer}/{i}", f"names {name} twice")
    return [groups[name] for name in dict.fromkeys(map(str, names)) if name in groups]


def list_columns(group: Group) -> list[str]:
    """Names of a group's columns: features, then derived."""
    if group.online_core is not None:
        return [f"{group.name}__{name}" for name in CORE_FEATURES]
    return [f.column for f in group.features] + [d.column for d in group.derived]


@dataclass
class _Compiler:
    """Groups compiled so far; reads, conditions, keys and core laws are shared by all of them."""

    faults: Faults
    reads: list[Read] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    online_core_rules: list[OnlineCoreRules] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)

    def freeze_program(self, set_id: str, set_version: str) -> Program:
        """Everything added, frozen."""
        if len(self.groups) > MOST_GROUPS:
            self.faults.add(
                "/feature_sets", f"names {len(self.groups)} groups; at most {MOST_GROUPS} are computed together"
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
        )

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
