"""The digests of a profile: of the whole file, as the online plane states it or by our own law, and of one selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.clock import SECOND_US
from ofs_spark.foundation.errors import refuse
from ofs_spark.pins.profile.faults import Digits, Faults
from ofs_spark.pins.profile.values import parse_duration

EXTENSION_KEYS = frozenset(
    {"key", "source", "values", "features", "derived", "context", "knowledge", "include_anchor", "delay"}
)
CORE_WINDOWS = ("1h", "24h", "7d")
CORE_KEY_TYPE = "flow_id"


def is_extended(document: Mapping[str, Any]) -> bool:
    """Whether a profile uses anything beyond the platform's own format."""
    return "feature_sets" in document or any(
        EXTENSION_KEYS & set(group) for group in document.get("feature_groups") or ()
    )


def digest_profile(document: Mapping[str, Any]) -> str:
    """64 hex: the file's content digest. Platform files have the platform's law, extended ones ours."""
    if is_extended(document):
        payload = {name: value for name, value in document.items() if name != "content_digest"}
        return digest({"recipe": "ofs.feature_profile.v2", "payload": to_plain(payload)})
    groups = [_platform_group(group) for group in document["feature_groups"]]
    return digest({"policy_id": document["policy_id"], "revision": document["revision"], "feature_groups": groups})


def require_stated(document: Mapping[str, Any], ref: str) -> str:
    """The profile's digest. FEATURE_PROFILE_MISMATCH if the file states another one."""
    found, stated = digest_profile(document), document.get("content_digest")
    if stated is not None and stated != found:
        raise refuse(
            "FEATURE_PROFILE_MISMATCH",
            f"{ref} states digest {stated}; its content has {found}",
            ref=ref,
            stated=str(stated),
            found=found,
        )
    return found


def digest_feature_set(set_id: str, set_version: str, groups: Sequence[Mapping[str, Any]]) -> str:
    """64 hex: what a dataset depends on of its profile, the selected set and the groups it names, in its order."""
    payload = {
        "feature_set_id": set_id,
        "feature_set_version": set_version,
        "groups": [to_plain(group) for group in groups],
    }
    return digest({"recipe": "ofs.feature_set.v1", "payload": payload})


def to_plain(value: Any) -> Any:
    """A parsed profile value as identities take it: every number is the text of its digits."""
    if isinstance(value, dict):
        return {name: to_plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Digits) else value


def _platform_group(group: Mapping[str, Any]) -> dict[str, Any]:
    windows = group.get("windows") or [{"window": w, "duration": w, "ttl": w} for w in CORE_WINDOWS]
    listed = [
        {"window": one["window"], "duration_seconds": _seconds(one["duration"]), "ttl_seconds": _seconds(one["ttl"])}
        for one in windows
    ]
    return {
        "name": group["name"],
        "version": group["version"],
        "key_type": group.get("key_type", CORE_KEY_TYPE),
        "windows": listed,
    }


def _seconds(text: Any) -> int:
    return parse_duration(text, "", Faults()) // SECOND_US
