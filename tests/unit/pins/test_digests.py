"""Digests of profiles: the platform's law for its files, ours for extended ones, and what a dataset depends on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.strict_yaml import parse_yaml
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.profile.compile import Profile, read_profile
from ofs_spark.pins.profile.digest import OLD_PROFILE_RECIPE, digest_profile
from ofs_spark.pins.profile.faults import Digits

ONLINE = Path(__file__).parents[2] / "golden" / "online"
EXTENDED = """
policy_id: p
revision: r
feature_sets:
  - {feature_set_id: s, feature_set_version: v1, groups: [g@v1]}
feature_groups:
  - {name: g, version: v1, key: [payload.card], include_anchor: true, features: [{name: n, aggregate: rate, where: {path: payload.x, gt: 1.50}}]}
  - {name: h, version: v1, key: [payload.shop], features: [{name: n, aggregate: count}]}
"""  # noqa: E501  # a group on a line


def read(text: str, name: str = "s", version: str = "v1") -> Profile:
    return read_profile(MemoryObjects({f"{name}.yaml": text.encode()}), name, version)


def test_the_platforms_own_file_has_the_digest_its_snapshots_state() -> None:
    profile = read((ONLINE / "profile.yaml").read_text(), "core_features")
    stated = {
        s["feature_def_policy_rev"]["content_digest"] for s in json.loads((ONLINE / "snapshots.json").read_text())
    }
    assert stated == {profile.digest}
    assert profile.digest.startswith("43272072")
    assert (profile.policy_id, profile.revision) == ("ofp.features.v0", "r1")


def test_a_platform_file_that_leaves_its_defaults_out_has_the_same_digest() -> None:
    bare = "policy_id: ofp.features.v0\nrevision: r1\nfeature_groups: [{name: core_features, version: v1}]\n"
    assert read(bare, "core_features").digest == read((ONLINE / "profile.yaml").read_text(), "core_features").digest


def test_the_law_of_extended_files_tags_numbers_and_keeps_their_digits() -> None:
    groups = [
        {
            "name": "g",
            "version": "v1",
            "key": ["payload.card"],
            "include_anchor": True,
            "features": [{"name": "n", "aggregate": "rate", "where": {"path": "payload.x", "gt": {"n": "1.50"}}}],
        },
        {"name": "h", "version": "v1", "key": ["payload.shop"], "features": [{"name": "n", "aggregate": "count"}]},
    ]
    sets = [{"feature_set_id": "s", "feature_set_version": "v1", "groups": ["g@v1"]}]
    payload = {"policy_id": "p", "revision": "r", "feature_sets": sets, "feature_groups": groups}
    profile = read(EXTENDED)
    assert profile.digest == digest({"recipe": "ofs.feature_profile.v3", "payload": payload})
    selected = {"feature_set_id": "s", "feature_set_version": "v1", "groups": groups[:1]}
    assert profile.set_digest == digest({"recipe": "ofs.feature_set.v2", "payload": selected})


def test_the_order_of_keys_and_comments_changes_nothing() -> None:
    other = EXTENDED.replace("policy_id: p\nrevision: r", "revision: r   # the seventh\npolicy_id: p")
    assert read(other) == read(EXTENDED)


@pytest.mark.parametrize(
    ("old", "new"), [("revision: r", "revision: r2"), ("payload.shop", "payload.store"), ("name: h", "name: other")]
)
def test_what_surrounds_the_set_changes_the_file_not_the_set(old: str, new: str) -> None:
    changed, before = read(EXTENDED.replace(old, new)), read(EXTENDED)
    assert changed.digest != before.digest
    assert changed.set_digest == before.set_digest
    assert changed.program == before.program


OWN = "groups: [g@v1], anchor: [{name: a, path: payload.a, type: int}], keep_keys: true"


def test_what_rows_keep_of_their_event_is_part_of_the_sets_digest_as_it_is_written() -> None:
    kept, before = read(EXTENDED.replace("groups: [g@v1]", OWN)), read(EXTENDED)
    assert kept.digest != before.digest
    group = {
        "name": "g",
        "version": "v1",
        "key": ["payload.card"],
        "include_anchor": True,
        "features": [{"name": "n", "aggregate": "rate", "where": {"path": "payload.x", "gt": {"n": "1.50"}}}],
    }
    selected = {"feature_set_id": "s", "feature_set_version": "v1", "groups": [group]}
    own = {"anchor": [{"name": "a", "path": "payload.a", "type": "int"}], "keep_keys": True}
    assert kept.set_digest == digest({"recipe": "ofs.feature_set.v2", "payload": selected | own})
    assert kept.old_set_digest not in (before.old_set_digest, kept.set_digest)


@pytest.mark.parametrize("own", ["anchor: []", "keep_keys: false", "anchor: [], keep_keys: false"])
def test_a_set_that_keeps_nothing_has_the_digest_of_one_that_does_not_speak_of_it(own: str) -> None:
    assert read(EXTENDED.replace("groups: [g@v1]", f"groups: [g@v1], {own}")).set_digest == read(EXTENDED).set_digest


@pytest.mark.parametrize(
    ("old", "new"),
    [("name: a", "name: b"), ("payload.a", "payload.c"), ("type: int", "type: double"), ("true", "false")],
)
def test_every_member_of_what_is_kept_counts(old: str, new: str) -> None:
    text = EXTENDED.replace("groups: [g@v1]", OWN)
    place = text.index("anchor:")
    changed = text[:place] + text[place:].replace(old, new, 1)
    assert read(changed).set_digest != read(text).set_digest


@pytest.mark.parametrize(("old", "new"), [("payload.card", "payload.pan"), ("gt: 1.50", "gt: 1.5"), ("gt:", "ge:")])
def test_what_the_set_names_changes_both(old: str, new: str) -> None:
    changed, before = read(EXTENDED.replace(old, new)), read(EXTENDED)
    assert changed.digest != before.digest
    assert changed.set_digest != before.set_digest


def test_a_number_is_not_its_text() -> None:
    number, text = read(EXTENDED), read(EXTENDED.replace("gt: 1.50", 'gt: "1.50"'))
    assert number.digest != text.digest
    assert number.set_digest != text.set_digest
    assert number.old_set_digest == text.old_set_digest  # what the older recipe could not tell apart


def test_a_digest_stated_by_the_older_recipe_is_accepted_and_said_aloud() -> None:
    parsed = parse_yaml(EXTENDED.encode(), number=Digits)
    profile = read(f"{EXTENDED}content_digest: {digest_profile(parsed, OLD_PROFILE_RECIPE)}\n")
    assert profile.digest == read(EXTENDED).digest
    assert [OLD_PROFILE_RECIPE in said for said in profile.describe_differences()] == [True]
    assert read(f"{EXTENDED}content_digest: {profile.digest}\n").describe_differences() == ()


@pytest.mark.parametrize("text", [EXTENDED, (ONLINE / "profile.yaml").read_text()], ids=["extended", "platform"])
def test_a_stated_digest_is_compared_and_enters_no_digest(text: str) -> None:
    name = "s" if text is EXTENDED else "core_features"
    found = read(text, name)
    assert replace(read(f"{text}content_digest: {found.digest}\n", name), stated_recipe="") == found
    with pytest.raises(Refusal, match="FEATURE_PROFILE_MISMATCH") as caught:
        read(f'{text}content_digest: "{"0" * 64}"\n', name)
    assert (caught.value.details["stated"], caught.value.details["found"]) == ("0" * 64, found.digest)
