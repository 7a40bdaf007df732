"""The digests of a profile: of the whole file, as the online plane states it or by our own law, and of one selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.clock import SECOND_US
from ofs_spark.foundation.contracts import shorten
from ofs_spark.foundation.errors import refuse
from ofs_spark.pins.profile.faults import Digits, Faults
from ofs_spark.pins.profile.own import OWN_KEYS
from ofs_spark.pins.profile.values import parse_duration

EXTENSION_KEYS = frozenset(
    {"key", "source", "values", "features", "derived", "context", "knowledge", "include_anchor", "delay"}
)
CORE_WINDOWS = ("1h", "24h", "7d")
CORE_KEY_TYPE = "flow_id"
PROFILE_RECIPE, OLD_PROFILE_RECIPE = "ofs.feature_profile.v3", "ofs.feature_profile.v2"
SET_RECIPE, OLD_SET_RECIPE = "ofs.feature_set.v2", "ofs.feature_set.v1"
"""The older recipes gave 1 and "1" one digest. They are still read: files state them, manifests were made by them."""


def is_extended(document: Mapping[str, Any]) -> bool:
    """Whether a profile uses anything beyond the platform's own format."""
    groups = document.get("feature_groups")
    return "feature_sets" in document or any(
        EXTENSION_KEYS & set(group) for group in (groups if isinstance(groups, list) else ()) if isinstance(group, dict)
    )


def digest_profile(document: Mapping[str, Any], recipe: str = PROFILE_RECIPE) -> str:
    """64 hex: the file's content digest. Platform files have the platform's law, extended ones that of the recipe."""
    if is_extended(document):
        payload = {name: value for name, value in document.items() if name != "content_digest"}
        return digest({"recipe": recipe, "payload": _NUMBERS[recipe](payload)})
    groups = [_describe_platform_group(group) for group in document["feature_groups"]]
    return digest({"policy_id": document["policy_id"], "revision": document["revision"], "feature_groups": groups})


def require_stated(document: Mapping[str, Any], ref: str) -> str:
    """The recipe of the digest that the file states, "" where it states none. FEATURE_PROFILE_MISMATCH for another."""
    stated = document.get("content_digest")
    if stated is None:
        return ""
    for recipe in (PROFILE_RECIPE, OLD_PROFILE_RECIPE):
        if stated == digest_profile(document, recipe):
            return recipe
    found, shown = digest_profile(document), shorten(str(stated))
    message = f"{ref} states digest {shown}; its content has {found}"
    fault = {"pointer": "/content_digest", "message": message, "ref": ref}
    raise refuse("FEATURE_PROFILE_MISMATCH", message, ref=ref, faults=[fault], stated=shown, found=found)


def has_digest(document: Mapping[str, Any], faults: Iterable[str]) -> bool:
    """Whether a profile with faults at these pointers has a digest all the same.

    One with extensions always has: it is that of the text. The platform's law needs every group and name in order.
    """
    return is_extended(document) or not any(
        at.startswith(("/feature_groups", "/policy_id", "/revision")) for at in faults
    )


def digest_feature_set(
    set_id: str,
    set_version: str,
    groups: Sequence[Mapping[str, Any]],
    declared: Mapping[str, Any],
    recipe: str = SET_RECIPE,
) -> str:
    """64 hex: what a dataset depends on of its profile, the selected set and the groups it names, in its order.

    declared: the set's entry, {} where there is none. What it keeps of a row's own event is said only where it keeps
    something, so that a set without has the digest that it always had.
    """
    payload = {
        "feature_set_id": set_id,
        "feature_set_version": set_version,
        "groups": [_NUMBERS[recipe](group) for group in groups],
        **{name: _NUMBERS[recipe](declared[name]) for name in OWN_KEYS if declared.get(name)},
    }
    return digest({"recipe": recipe, "payload": payload})


def tag_numbers(value: Any) -> Any:
    """A parsed profile value as identities take it: a number is {"n": its digits as written}, so that 1 is not "1"."""
    return _replace_numbers(value, lambda digits: {"n": str(digits)})


def _write_numbers(value: Any) -> Any:
    """As the older recipes took it: a number was the text of its digits."""
    return _replace_numbers(value, str)


def _replace_numbers(value: Any, replace: Callable[[Digits], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _replace_numbers(item, replace) for name, item in value.items()}
    if isinstance(value, list):
        return [_replace_numbers(item, replace) for item in value]
    return replace(value) if isinstance(value, Digits) else value


_NUMBERS: Mapping[str, Callable[[Any], Any]] = {
    PROFILE_RECIPE: tag_numbers,
    SET_RECIPE: tag_numbers,
    OLD_PROFILE_RECIPE: _write_numbers,
    OLD_SET_RECIPE: _write_numbers,
}


def _describe_platform_group(group: Mapping[str, Any]) -> dict[str, Any]:
    windows = group.get("windows") or [{"window": w, "duration": w, "ttl": w} for w in CORE_WINDOWS]
    listed = [
        {
            "window": one["window"],
            "duration_seconds": _parse_seconds(one["duration"]),
            "ttl_seconds": _parse_seconds(one["ttl"]),
        }
        for one in windows
    ]
    return {
        "name": group["name"],
        "version": group["version"],
        "key_type": group.get("key_type", CORE_KEY_TYPE),
        "windows": listed,
    }


def _parse_seconds(text: Any) -> int:
    return parse_duration(text, "", Faults()) // SECOND_US
