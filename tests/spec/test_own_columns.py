"""`anchor` and `keep_keys` of a feature set: the columns they become, and every reason why not."""

from __future__ import annotations

import pytest
import yaml

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.profile.catalogue import describe_dataset
from ofs_spark.pins.profile.compile import Profile, find_profile_faults, parse_profile, read_profile
from ofs_spark.pins.profile.model import MOST_ANCHOR_VALUES, Read, ValueType

PROFILE = """
policy_id: p
revision: r
feature_sets:
  - feature_set_id: s
    feature_set_version: v1
    groups: [g@v1, core_features@v1]
    anchor:
      - {name: amount, path: payload.amount, type: "decimal(12,2)"}
      - {name: country, path: payload.geo.country, type: string}
      - {name: kind, path: event_type, type: string}
    keep_keys: true
  - {feature_set_id: s, feature_set_version: v2, groups: [g@v1]}
feature_groups:
  - name: g
    version: v1
    key: [payload.card, payload.shop.id]
    values: {amount: {path: payload.amount, type: "decimal(12,2)"}}
    windows: [{window: 1h, duration: 1h, ttl: 1h}]
    features: [{name: spend, aggregate: sum, value: amount}]
  - {name: core_features, version: v1}
"""
SET, ANCHOR = "/feature_sets/0", "/feature_sets/0/anchor"


def read(text: str = PROFILE, version: str = "v1") -> Profile:
    return read_profile(MemoryObjects({"s.yaml": text.encode()}), "s", version)


def edited(*edits: tuple[str, str]) -> str:
    text = PROFILE
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def faults(text: str) -> dict[str, str]:
    """Pointer → message, the same from a build and from `ofs validate`."""
    with pytest.raises(Refusal) as caught:
        read(text)
    assert caught.value.code == "FEATURE_PROFILE_UNRESOLVED"
    found = {fault["pointer"]: fault["message"] for fault in caught.value.details["faults"]}
    told = {fault.pointer: fault.message for fault in find_profile_faults(parse_profile(text.encode()))}
    assert found.items() <= told.items()
    return found


def test_they_stand_behind_the_time_with_their_types_and_roles() -> None:
    shown = [(c.name, c.type, c.role) for c in describe_dataset(read().program, [])[3:-3]]
    assert shown[:7] == [
        ("ts_utc", "timestamp[us, tz=UTC]", "identity"),
        ("anchor__amount", "decimal128(12, 2)", "anchor"),
        ("anchor__country", "string", "anchor"),
        ("anchor__kind", "string", "anchor"),
        ("key__g__card", "string", "identity"),
        ("key__g__id", "string", "identity"),
        ("key__core_features__key", "string", "identity"),
    ]
    assert {role for _, _, role in shown[7:]} == {"feature"}


@pytest.mark.parametrize(
    ("type_", "column"),
    [("int", "int64"), ("double", "double"), ("bool", "bool"), ("decimal(38,0)", "decimal128(38, 0)")],
)
def test_a_column_has_the_type_that_is_declared(type_: str, column: str) -> None:
    text = edited(("path: payload.geo.country, type: string", f'path: payload.geo.country, type: "{type_}"'))
    types = {one.column.name: one.column.type for one in read(text).program.own}
    assert types["anchor__country"] == column


def test_a_set_without_them_compiles_to_what_it_always_did() -> None:
    program = read(version="v2").program
    assert program.own == ()
    assert [c.role for c in describe_dataset(program, [])][:5] == ["identity"] * 4 + ["feature"]
    assert program.reads == read(edited(("groups: [g@v1, core_features@v1]", "groups: [g@v1]"))).program.reads[:3]


def test_a_path_that_a_group_reads_is_read_once() -> None:
    program = read().program
    amount = Read(("payload", "amount"), ValueType("decimal", 12, 2))
    assert program.reads.count(amount) == 1
    assert [one.read for one in program.own if one.column.name == "anchor__amount"] == [program.reads.index(amount)]


def test_a_meaning_says_where_a_column_comes_from() -> None:
    said = {one.column.name: (one.column.meaning, one.column.source) for one in read().program.own}
    assert said["anchor__country"] == ("payload.geo.country of the anchor itself; null where it has none", "")
    key = "id of the anchor itself, as text in the key of g; null where it has none"
    assert said["key__g__id"] == (key, "g@v1")


ONE_FAULT = {
    "an unknown key": ("name: country,", "name: country, missing: fail,", f"{ANCHOR}/1/missing", "is not a key here"),
    "a unit": ("name: country,", "name: country, unit: EUR,", f"{ANCHOR}/1/unit", "is not a key here"),
    "no name": ("name: country, ", "", f"{ANCHOR}/1/name", "must be a text"),
    "a number as name": ("name: country", "name: 7", f"{ANCHOR}/1/name", "must be a text"),
    "an empty name": ("name: country", 'name: ""', f"{ANCHOR}/1/name", "must be a text"),
    "no column name": ("name: country", "name: the-country", f"{ANCHOR}/1/name", "is no column name"),
    "a name too long": ("name: country", f"name: {'n' * 1_020}", f"{ANCHOR}/1/name", "1024 at most"),
    "a name twice": ("name: country", "name: amount", f"{ANCHOR}/1/name", f"the other stands at {ANCHOR}/0/name"),
    "a name twice, ignoring case": ("name: country", "name: AMOUNT", f"{ANCHOR}/1/name", "would be two columns"),
    "no path": (", path: payload.geo.country", "", f"{ANCHOR}/1/path", "is required"),
    "a path above the payload": ("payload.geo.country", "event_id", f"{ANCHOR}/1/path", "below payload"),
    "no path grammar": ("payload.geo.country", "payload..country", f"{ANCHOR}/1/path", "below payload"),
    "no type": (", type: string}\n      - {name: kind", "}\n      - {name: kind", f"{ANCHOR}/1/type", "is required"),
    "no such type": ('"decimal(12,2)"}\n      - ', "text}\n      - ", f"{ANCHOR}/0/type", "is required"),
    "no such decimal": ('"decimal(12,2)"}\n      - ', '"decimal(39,2)"}\n      - ', f"{ANCHOR}/0/type", "1 ≤ p ≤ 38"),
    "no mapping": ("{name: kind, path: event_type, type: string}", "kind", f"{ANCHOR}/2", "must be a mapping"),
    "a text as keep_keys": ("keep_keys: true", 'keep_keys: "true"', f"{SET}/keep_keys", "is true or false"),
    "null as keep_keys": ("keep_keys: true", "keep_keys: null", f"{SET}/keep_keys", "is true or false"),
    "keep_keys on a group": ("    key:", "    keep_keys: true\n    key:", "/feature_groups/0/keep_keys", "is not a key here"),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_FAULT.values(), ids=ONE_FAULT.keys())
def test_one_fault_is_told_where_it_stands(case: tuple[str, str, str, str]) -> None:
    old, new, pointer, told = case
    assert told in faults(edited((old, new)))[pointer]


@pytest.mark.parametrize(
    ("given", "told"), [("null", "is null"), ("{a: b}", "must be a list"), ("text", "must be a list")]
)
def test_anchor_is_a_list(given: str, told: str) -> None:
    document = yaml.safe_load(PROFILE)
    document["feature_sets"][0]["anchor"] = yaml.safe_load(given)
    assert told in faults(yaml.safe_dump(document))[ANCHOR]


@pytest.mark.parametrize("more", [0, 1])
def test_so_many_values_are_kept(more: int) -> None:
    document = yaml.safe_load(PROFILE)
    values = [{"name": f"a{i}", "path": f"payload.a{i}", "type": "int"} for i in range(MOST_ANCHOR_VALUES + more)]
    document["feature_sets"][0]["anchor"] = values
    text = yaml.safe_dump(document)
    if more:
        assert f"at most {MOST_ANCHOR_VALUES}" in faults(text)[ANCHOR]
    else:
        assert len(read(text).program.own) == MOST_ANCHOR_VALUES + 3


def test_a_column_of_a_group_may_not_be_one_of_them() -> None:
    document = yaml.safe_load(PROFILE)
    group = {**document["feature_groups"][0], "name": "anchor", "windows": []}
    group["features"] = [{"name": "amount", "aggregate": "sum", "value": "paid"}]
    group["values"] = {"paid": group["values"]["amount"]}
    for declared in document["feature_sets"]:
        declared["groups"] = ["anchor@v1"]
    document["feature_groups"] = [group]
    assert faults(yaml.safe_dump(document)) == {
        f"{ANCHOR}/0/name": "anchor__amount would be two columns, ignoring case: the other stands at "
        "/feature_groups/0/features/0/name"
    }


def test_the_keys_of_two_groups_may_not_make_one_column() -> None:
    other = "{name: G, version: v1, key: [payload.CARD], features: [{name: n, aggregate: count}]}"
    text = edited(("{name: core_features, version: v1}", other), ("core_features@v1", "G@v1"))
    assert "key__G__CARD would be two columns" in faults(text)[f"{SET}/keep_keys"]


def test_a_part_that_no_column_can_be_named_after_is_told_of_the_set_that_keeps_it() -> None:
    text = edited(("payload.shop.id", 'payload."shop.id"'))
    assert "'key__g__shop.id' is no column name" in faults(text)[f"{SET}/keep_keys"]
    assert read(text, "v2").program.own == ()
