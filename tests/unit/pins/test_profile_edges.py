"""Hostile profiles: whatever a file holds, it compiles or is refused by name and place; nothing else is raised."""

from __future__ import annotations

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.profile.compile import Profile, read_profile
from ofs_spark.pins.profile.conditions import MOST_DEPTH

PROFILE = """
policy_id: p
revision: r
feature_sets:
  - {feature_set_id: s, feature_set_version: v1, groups: [g@v1]}
feature_groups:
  - name: g
    version: v1
    key: [payload.card]
    values: {a: {path: payload.a, type: "decimal(12,2)"}}
    windows: [{window: 1h, duration: 1h, ttl: 1h}]
    features: [{name: n, aggregate: count}]
"""
G = "/feature_groups/0"


def read(text: str) -> Profile:
    return read_profile(MemoryObjects({"s.yaml": text.encode()}), "s", "v1")


def faults(*edits: tuple[str, str]) -> list[tuple[str, str]]:
    """(pointer, message) of the faults, in the order told."""
    text = PROFILE
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    with pytest.raises(Refusal) as caught:
        read(text)
    assert caught.value.code == "FEATURE_PROFILE_UNRESOLVED"
    return [(fault["pointer"], fault["message"]) for fault in caught.value.details["faults"]]


NAME, N_DERIVED, SET = f"{G}/features/0/name", f"{G}/derived/0/name", "/feature_sets/0"
AS_WELL = "aggregate: count, windows: []}]\n    derived: [{name: N, ratio: [n, n]}]"
ODD = {
    "a list as group name": ("[g@v1]", "[[g@v1]]", "/feature_sets/0/groups/0", "no group of this profile"),
    "a list as aggregate": ("aggregate: count", "aggregate: [count]", f"{G}/features/0/aggregate", "known are"),
    "a mapping as window": ("aggregate: count", "aggregate: count, windows: [{a: b}]", f"{G}/features/0/windows/0", "no window"),
    "a number as event type": ("key:", "source: {event_types: [1]}\n    key:", f"{G}/source/event_types", "event types"),
    "a window beyond 64 bits": ("duration: 1h", "duration: 999999999d", f"{G}/windows/0/duration", "at most"),
    "a delay beyond 64 bits": ("key:", "delay: 106751991d\n    key:", f"{G}/delay", "at most"),
    "a slash in a name": ("{a: {path: payload.a", '{"x/~": {path: nope', f"{G}/values/x~1~0/path", "below payload"),
    "a feature and a derived": ("aggregate: count}]", AS_WELL, N_DERIVED, f"stands at {NAME}"),
    "two windows, ignoring case": ("ttl: 1h}]", "ttl: 1h}, {window: 1H, duration: 1h, ttl: 1h}]", NAME, "two columns"),
    "a name no column has": ("name: n,", "name: n-1,", NAME, "no column name"),
    "an unknown key of a set": ("groups: [g@v1]", "groups: [g@v1], owner: me", f"{SET}/owner", "is not a key here"),
    "a number as set version": ("version: v1, groups", "version: 1, groups", f"{SET}/feature_set_version", "a text"),
    "a number as unit": ("(12,2)\"}", "(12,2)\", unit: 7}", f"{G}/values/a/unit", "must be a text"),
    "a list as unit": ("(12,2)\"}", "(12,2)\", unit: [EUR]}", f"{G}/values/a/unit", "must be a text"),
    "a list as values": ("{a: {path: payload.a, type: \"decimal(12,2)\"}}", "[]", f"{G}/values", "must be a mapping"),
    "a number as key type": ("    key:", "    key_type: 7\n    key:", f"{G}/key_type", "must be a text"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD.values(), ids=ODD.keys())
def test_an_odd_member_is_a_fault_at_its_place(case: tuple[str, str, str, str]) -> None:
    old, new, pointer, told = case
    assert [message for at, message in faults((old, new)) if at == pointer and told in message]


def test_faults_come_in_pointer_order() -> None:
    found = faults(("ttl: 1h", "ttl: 1s"), ("[payload.card]", "[]"), ("aggregate: count", "aggregate: nope"))
    assert [pointer for pointer, _ in found] == [f"{G}/features/0/aggregate", f"{G}/key", f"{G}/windows/0/ttl"]


@pytest.mark.parametrize(
    ("aggregate", "own"), [("percentile", "q: 0.95"), ("last_k", "k: 3"), ("histogram", "categories: [a]")]
)
def test_what_is_not_computed_yet_is_the_only_fault_told(aggregate: str, own: str) -> None:
    ((pointer, message),) = faults(("aggregate: count", f"aggregate: {aggregate}, value: a, {own}"))
    assert (pointer, message) == (f"{G}/features/0/aggregate", f"{aggregate} is not computed by this release")


@pytest.mark.parametrize("member", ['policy_id: "\\ud800"', "policy_id: " + "[" * 40 + "]" * 40])
def test_what_has_no_digest_is_refused_as_a_profile(member: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(PROFILE.replace("policy_id: p", member))
    assert caught.value.code == "FEATURE_PROFILE_UNRESOLVED"


def test_an_unquoted_number_is_not_the_window_of_that_name() -> None:
    window = ("window: 1h, duration: 1h, ttl: 1h", 'window: "1", duration: 1h, ttl: 1h')
    (fault,) = faults(window, ("aggregate: count", "aggregate: count, windows: [1]"))
    assert fault == (f"{G}/features/0/windows/0", "'1' is no window of the group")


@pytest.mark.parametrize("key_type", ["7", "null", "[flow_id]", '""'])
def test_the_key_type_of_a_core_group_is_a_text(key_type: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(f"policy_id: p\nrevision: r\nfeature_groups: [{{name: s, version: v1, key_type: {key_type}}}]\n")
    assert [fault["pointer"] for fault in caught.value.details["faults"]] == [f"{G}/key_type"]


@pytest.mark.parametrize("levels", [MOST_DEPTH, MOST_DEPTH + 1])
@pytest.mark.parametrize(("opening", "closing"), [("{not: ", "}"), ("{all: [", "]}")])
def test_conditions_nest_as_deep_as_is_told(levels: int, opening: str, closing: str) -> None:
    condition = opening * levels + "{path: payload.x, eq: 1}" + closing * levels
    edit = ("aggregate: count", f"aggregate: count, where: {condition}")
    if levels > MOST_DEPTH:
        assert f"at most {MOST_DEPTH} levels" in faults(edit)[0][1]
    else:
        assert len(read(PROFILE.replace(*edit)).program.conditions) == 1
