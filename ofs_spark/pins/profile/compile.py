"""A profile document and a feature set's name → a `Program`, or every reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.canonical import CanonicalError, encode_canonical
from ofs_spark.foundation.collect import Collector
from ofs_spark.foundation.contracts import DocumentFault, is_line
from ofs_spark.foundation.documents import DocumentKind, fetch_document
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import name_profile
from ofs_spark.foundation.strict_yaml import parse_yaml
from ofs_spark.pins.profile.compiler import Compiler
from ofs_spark.pins.profile.conditions import MOST_DEPTH
from ofs_spark.pins.profile.digest import (
    EXTENSION_KEYS,
    OLD_PROFILE_RECIPE,
    OLD_SET_RECIPE,
    PROFILE_RECIPE,
    SET_RECIPE,
    digest_feature_set,
    digest_profile,
    has_digest,
    require_stated,
    tag_numbers,
)
from ofs_spark.pins.profile.faults import Digits, Faults, read_items, read_mapping, read_name
from ofs_spark.pins.profile.model import (
    Program,
)
from ofs_spark.pins.profile.own import OWN_KEYS
from ofs_spark.pins.profile.values import compile_windows

PROFILE = DocumentKind(
    "feature_profile",
    "feature profile",
    "FEATURE_PROFILE_UNRESOLVED",
    "FEATURE_PROFILE_UNRESOLVED",
    "/feature_definition_set",
    root="profiles.root",
)
SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_Placed = tuple[str, dict[str, Any]]
"""The pointer of a mapping, and the mapping."""
_SET_KEYS = ("feature_set_id", "feature_set_version", "groups", *OWN_KEYS)
_MOST_NESTED = 2 * MOST_DEPTH + 16  # a list and a mapping for each level of a condition, and what stands around it


@dataclass(frozen=True)
class _Selection:
    """The groups of a set, in its order, and the set; None for a group that is asked for by its own name."""

    groups: Sequence[_Placed]
    declared: _Placed | None = None


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

    def to_document(self) -> dict[str, str]:
        """The selected set as plans and results name it."""
        return {
            "ref": self.ref,
            "digest": self.digest,
            "policy_id": self.policy_id,
            "revision": self.revision,
            "feature_set_id": self.set_id,
            "feature_set_version": self.set_version,
            "feature_set_digest": self.set_digest,
            "feature_set_recipe": SET_RECIPE,
        }

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
        document = parse_profile(raw)
    except CanonicalError as error:
        raise PROFILE.refuse(ref, str(error)) from None
    return compile_profile(document, set_id, set_version, ref)


def parse_profile(raw: bytes) -> Any:
    """The value of a profile's YAML, numbers as `Digits`; CanonicalError for a text that has none, or no digest."""
    document = parse_yaml(raw, what=f"the {PROFILE.noun}", number=Digits)
    encode_canonical(tag_numbers(document), max_depth=_MOST_NESTED)  # what its digests are made of
    return document


def compile_profile(document: Any, set_id: str, set_version: str, ref: str = "profile") -> Profile:
    """The set of a parsed profile (numbers as `Digits`). Refuses as `read_profile` does, all faults at once."""
    faults, told = Faults(), Collector()
    top, policy_id, revision = _read_top(document, faults)
    groups, sets = _read_groups(top, faults), _read_sets(top, faults)
    chosen = _select_groups(sets, groups, (set_id, set_version), faults)
    program = _compile_set(chosen, set_id, set_version, faults)
    if faults.found:
        told.add([faults.make_refusal(ref)])
    recipe = ""
    if has_digest(top, [fault.pointer for fault in faults.found]):
        recipe = told.attempt(lambda: require_stated(top, ref)) or ""
    told.raise_all()
    selected = [group for _, group in chosen.groups]
    declared = chosen.declared[1] if chosen.declared else {}
    return Profile(
        ref,
        policy_id,
        revision,
        digest_profile(top),
        set_id,
        set_version,
        digest_feature_set(set_id, set_version, selected, declared),
        digest_feature_set(set_id, set_version, selected, declared, OLD_SET_RECIPE),
        recipe,
        program,
    )


def find_profile_faults(document: Any) -> Iterator[DocumentFault]:
    """Why a parsed profile would be refused, whichever of its sets is asked for, or whichever group that none names."""
    faults = Faults()
    top, _, _ = _read_top(document, faults)
    groups, sets = _read_groups(top, faults), _read_sets(top, faults)
    used: set[str] = set()
    for name in sets:
        own = Faults()
        chosen = _select_groups(sets, groups, name, own)
        _compile_set(chosen, *name, own)
        used.update(at for at, _ in chosen.groups)
        faults.found += own.found
    for at, group in groups.values():
        if at not in used:
            own = Faults()
            _compile_set(_Selection([(at, group)]), "", "", own)
            faults.found += own.found
    yield from set(faults.found)
    if has_digest(top, [fault.pointer for fault in faults.found]):
        try:
            require_stated(top, "the file")
        except Refusal as refusal:
            yield from (
                DocumentFault(refusal.code, one["pointer"], refusal.message) for one in refusal.details["faults"]
            )


def _read_top(document: Any, faults: Faults) -> tuple[dict[str, Any], str, str]:
    """The profile as a mapping, its policy_id and its revision."""
    top = read_mapping(document, "", faults)
    faults.refuse_unknown_keys("", top, ("policy_id", "revision", "content_digest", "feature_sets", "feature_groups"))
    return top, read_name(top, "policy_id", "", faults), read_name(top, "revision", "", faults)


def _compile_set(chosen: _Selection, set_id: str, set_version: str, faults: Faults) -> Program:
    compiler = Compiler(faults)
    for pointer, group in chosen.groups:
        compiler.add(group, pointer)
    if chosen.declared:
        pointer, declared = chosen.declared
        compiler.keep_own(declared, pointer)
    return compiler.freeze_program(set_id, set_version)


def _read_groups(top: Mapping[str, Any], faults: Faults) -> dict[str, _Placed]:
    """name@version → (pointer, group) of every group of the file."""
    groups: dict[str, _Placed] = {}
    for i, one in enumerate(read_items(top.get("feature_groups"), "/feature_groups", faults)):
        at = f"/feature_groups/{i}"
        group = read_mapping(one, at, faults)
        name = f"{read_name(group, 'name', at, faults)}@{read_name(group, 'version', at, faults)}"
        if name in groups:
            faults.add(at, f"{name} is declared twice")
        if not is_line(name):
            faults.add(f"{at}/version", "makes a source, name@version, of more than 1024 characters")
        if not EXTENSION_KEYS & set(group):  # the platform's digest holds every group's windows, selected or not
            compile_windows(group, at, faults)
        groups[name] = (at, group)
    return groups


def _read_sets(top: Mapping[str, Any], faults: Faults) -> dict[tuple[str, str], list[_Placed]]:
    """(feature_set_id, feature_set_version) → (pointer, set) of every declared set of that name."""
    sets: dict[tuple[str, str], list[_Placed]] = {}
    for i, one in enumerate(read_items(top.get("feature_sets"), "/feature_sets", faults)):
        at = f"/feature_sets/{i}"
        declared = read_mapping(one, at, faults)
        sets.setdefault(_read_set_name(declared, at, faults), []).append((at, declared))
    return sets


def _select_groups(
    sets: Mapping[tuple[str, str], Sequence[_Placed]],
    groups: Mapping[str, _Placed],
    name: tuple[str, str],
    faults: Faults,
) -> _Selection:
    """The set of this name; where no such set is declared, the group so named."""
    set_id, set_version = name
    found = sets.get(name, ())
    if len(found) > 1:
        faults.add("/feature_sets", f"declares {set_id} {set_version} twice")
    if found:
        at, declared = found[0]
        named = read_items(declared.get("groups"), f"{at}/groups", faults)
        return _Selection(_find_groups(named, groups, f"{at}/groups", faults), found[0])
    if f"{set_id}@{set_version}" in groups:
        return _Selection([groups[f"{set_id}@{set_version}"]])
    faults.add("/feature_sets", f"holds no set {set_id} {set_version}, and no group of that name and version")
    return _Selection([])


def _read_set_name(declared: Mapping[str, Any], at: str, faults: Faults) -> tuple[str, str]:
    faults.refuse_unknown_keys(at, declared, _SET_KEYS)
    return read_name(declared, "feature_set_id", at, faults), read_name(declared, "feature_set_version", at, faults)


def _find_groups(names: Sequence[Any], groups: Mapping[str, _Placed], pointer: str, faults: Faults) -> list[_Placed]:
    if not names:
        faults.add(pointer, "names no group")
    seen: set[str] = set()
    for i, name in enumerate(names):
        if not isinstance(name, str) or name not in groups:
            faults.add(f"{pointer}/{i}", f"{name!r:.80} is no group of this profile")
        elif name in seen:
            faults.add(f"{pointer}/{i}", f"names {name} twice")
        else:
            seen.add(name)
    return [groups[name] for name in dict.fromkeys(map(str, names)) if name in groups]
