"""The policy: what changes meaning, and the bounds of a run. Unknown keys are refused.

Its files are digested into pins, except the launcher's bounds and the names of the revisions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.config import find_conf_root, read_conf
from ofs_spark.foundation.errors import Refusal, refuse

DIGESTED = ("features.yaml", "labels.yaml", "layout.yaml", "replay.yaml")
"""Policy files that can change rows or admission, ascending."""
UNDIGESTED = ("launcher.yaml", "revision.yaml")


@dataclass(frozen=True)
class Policy:
    """What changes meaning, as loaded, and the bounds of a run."""

    policy_revision: str
    config_revision: str
    arrival: Literal["published_at_utc", "archived_at_utc"]
    window_truncated: Literal["allow", "refuse"]
    rows_per_bucket: int
    leaf_rows: int
    coverage: Mapping[str, Any]
    min_mature_anchor_ratio: int | float
    require_marker: bool
    attempts: int
    publish_retries: int
    lease_seconds: int
    file_digests: Mapping[str, str]

    @property
    def run_config_digest(self) -> str:
        """`H` of the policy files that can change rows or admission."""
        return digest({"recipe": "ofs.run_config.v1", "files": dict(self.file_digests)})


def load_policy(folder: Path | None) -> Policy:
    """The policy in `folder` (default: OFS_POLICY, else conf/policy). ENVIRONMENT_UNFIT for a missing, unknown or odd key."""
    stated = folder or os.environ.get("OFS_POLICY")
    root: Traversable = Path(stated) if stated else find_conf_root() / "policy"
    documents = {name: _policy_file(root / name) for name in DIGESTED + UNDIGESTED}
    values = {key: value for document in documents.values() for key, value in document.items()}
    _check_places(documents)
    _check_policy(values)
    coverage = {name: values[name] for name in ("min_coverage_by_label_type", "max_conflict_ratio")}
    others = {name: value for name, value in values.items() if name not in coverage}
    return Policy(coverage=coverage, file_digests={name: digest(documents[name]) for name in DIGESTED}, **others)


def _check_places(documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Each key in the one file it is of: elsewhere it could change rows without entering the digest."""
    for name, document in documents.items():
        for key in document:
            if key in _PLACES and _PLACES[key] != name:
                raise _unfit(f"the policy: {key} stands in {name}; its file is {_PLACES[key]}")


def _policy_file(file: Traversable) -> dict[str, Any]:
    document = read_conf(file, "the policy file")
    if not isinstance(document, dict):
        raise _unfit(f"the policy file {file} is not a mapping")
    return document


_PLACES: Mapping[str, str] = {
    "policy_revision": "revision.yaml",
    "config_revision": "revision.yaml",
    "arrival": "replay.yaml",
    "window_truncated": "features.yaml",
    "rows_per_bucket": "layout.yaml",
    "leaf_rows": "layout.yaml",
    "min_coverage_by_label_type": "labels.yaml",
    "max_conflict_ratio": "labels.yaml",
    "min_mature_anchor_ratio": "labels.yaml",
    "require_marker": "labels.yaml",
    "attempts": "launcher.yaml",
    "publish_retries": "launcher.yaml",
    "lease_seconds": "launcher.yaml",
}


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= least


def _share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "policy_revision": (_text, "a name"),
    "config_revision": (_text, "a name"),
    "arrival": (lambda v: v in ("published_at_utc", "archived_at_utc"), "published_at_utc or archived_at_utc"),
    "window_truncated": (lambda v: v in ("allow", "refuse"), "allow or refuse"),
    "rows_per_bucket": (_whole(1), "a whole number from 1"),
    "leaf_rows": (_whole(1), "a whole number from 1"),
    "min_coverage_by_label_type": (
        lambda v: isinstance(v, dict) and all(map(_share, v.values())),
        "label type → 0 to 1",
    ),
    "max_conflict_ratio": (_share, "a number from 0 to 1"),
    "min_mature_anchor_ratio": (_share, "a number from 0 to 1"),
    "require_marker": (lambda v: isinstance(v, bool), "true or false"),
    "attempts": (_whole(1), "a whole number from 1"),
    "publish_retries": (_whole(1), "a whole number from 1"),
    "lease_seconds": (_whole(3), "a whole number from 3"),
}


def _check_policy(values: Mapping[str, Any]) -> None:
    faults = [f"{name} is not a policy key" for name in sorted(set(values) - set(_CHECKS))]
    for name, (good, required) in _CHECKS.items():
        if name not in values:
            faults.append(f"{name} is missing: {required} is required")
        elif not good(values[name]):
            faults.append(f"{name} is {values[name]!r:.60}: {required} is required")
    if faults:
        raise _unfit(f"the policy: {faults[0]}", faults=[{"pointer": "", "message": fault} for fault in faults])


def _unfit(message: str, **details: Any) -> Refusal:
    return refuse("ENVIRONMENT_UNFIT", message, **details)
