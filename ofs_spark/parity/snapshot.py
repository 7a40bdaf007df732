"""The online plane's snapshot as a document: its hash, the digest of its basis, the text of one key's state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.pins.profile.compile import Profile

HASHED = (
    "pins", "as_of_time_utc", "feature_groups", "feature_def_policy_rev", "eb_offset_basis", "graph_version",
    "run_config_digest", "features", "freshness",
)  # fmt: skip
"""What a snapshot's hash is of; `graph_version` is null where the snapshot has none."""
FRESH: Mapping[str, Any] = {"stale_groups": [], "missing_groups": []}
"""The freshness of a materialized snapshot."""
_FEATURES = "features"


@dataclass(frozen=True)
class SnapshotFrame:
    """The canonical text of a snapshot's hashed content, without its features: what stands before and after them.

    `before + b"{" + b",".join(states) + b"}" + after` is the text whose SHA-256 is the snapshot hash; `states` are the texts
    that `write_state` gives, by key in code-point order.
    """

    before: bytes
    after: bytes


def frame_snapshot(content: Mapping[str, Any]) -> SnapshotFrame:
    """The frame of a snapshot whose members other than `features` are those of `content`; absent ones are null."""
    before, after = (
        encode_canonical(
            {name: content.get(name) for name in HASHED if (name < _FEATURES) is first and name != _FEATURES}
        )
        for first in (True, False)
    )
    return SnapshotFrame(before[:-1] + b',"features":', b"," + after[1:])


def hash_snapshot(content: Mapping[str, Any]) -> str:
    """The snapshot hash: `H` of HASHED, absent members as null."""
    return digest({name: content.get(name) for name in HASHED})


def digest_basis(basis: Mapping[str, Any]) -> str:
    """The digest of a snapshot's basis: `H({stream, offset_kind, offsets})`."""
    return digest({name: basis[name] for name in ("stream", "offset_kind", "offsets")})


def write_key(key: str) -> str:
    """A key as the canonical text of a snapshot has it, with its colon."""
    return json.dumps(key) + ":"


def write_state(key_text: str, event_count: int, amount_sum: float, last_event_ts_utc: str) -> str:
    """The canonical text of one key's state; `key_text` is `write_key`'s."""
    return (
        f'{key_text}{{"amount_sum":{amount_sum!r},"event_count":{event_count},'
        f'"last_event_ts_utc":{json.dumps(last_event_ts_utc)}}}'
    )


def sort_groups(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Feature groups as a snapshot lists them: name and version, sorted."""
    named = ({"name": one["name"], "version": one["version"]} for one in groups)
    return sorted(named, key=lambda one: (one["name"], one["version"]))


def describe_version(profile: Profile) -> dict[str, Any]:
    """What a snapshot says of the profile that it was made by."""
    groups = [{"name": group.name, "version": group.version} for group in profile.program.groups]
    revision = {"policy_id": profile.policy_id, "revision": profile.revision, "content_digest": profile.digest}
    return {"feature_groups": sort_groups(groups), "feature_def_policy_rev": revision}
