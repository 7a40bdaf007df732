"""The policy: what changes meaning, and the bounds of a run.

The contract `policy` says of each key what it may be and which file it stands in.

Its files are digested into pins, except the launcher's bounds, the names of the revisions, and keys of which the contract
says that they change no dataset.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.config import find_conf_root, read_code_release, read_conf
from ofs_spark.foundation.contracts import (
    DocumentFault,
    describe_more,
    find_faults,
    format_pointer,
    load_schema,
    sort_faults,
)
from ofs_spark.foundation.errors import Refusal, refuse

CONTRACT = "policy"
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
    archive_int96: Literal["refuse", "utc"] = "refuse"
    most_decoded_bytes: int = 8 * 1024**3
    run_limit_hours: int = 24
    parity_tolerances: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Column → {absolute, relative}, decimal texts: how far a value logged online may be from the rebuilt one."""

    @property
    def int96_is_utc(self) -> bool:
        """Whether INT96 columns of archive and label extract are times, in UTC."""
        return self.archive_int96 == "utc"

    @property
    def run_config_digest(self) -> str:
        """`H` of the policy files that can change rows or admission."""
        return digest_run_config(self.file_digests)


def digest_run_config(files: Mapping[str, str]) -> str:
    """run_config_digest: `H` of the digests of the policy files, by name."""
    return digest({"recipe": "ofs.run_config.v1", "files": dict(files)})


def load_policy(folder: Path | None) -> Policy:
    """The policy in `folder` (default: OFS_POLICY, else conf/policy). ENVIRONMENT_UNFIT for a missing, unknown or odd key."""
    stated = folder or os.environ.get("OFS_POLICY")
    root: Traversable = Path(stated) if stated else find_conf_root() / "policy"
    documents = {name: _read_file(root / name) for name in DIGESTED + UNDIGESTED}
    _require_places(documents, root)
    values = _require_valid(documents, root)
    coverage = {name: values[name] for name in ("min_coverage_by_label_type", "max_conflict_ratio")}
    others = {name: value for name, value in values.items() if name not in coverage}
    return Policy(coverage=coverage, file_digests={name: _digest_file(documents[name]) for name in DIGESTED}, **others)


def state_releases(policy: Policy) -> dict[str, str]:
    """What an intent of now says that it was written for: the revisions that are loaded, and the running code."""
    return {
        "policy_revision": policy.policy_revision,
        "config_revision": policy.config_revision,
        "ofs_code_release_id": read_code_release(),
    }


def _digest_file(document: Mapping[str, Any]) -> str:
    """Digest of a policy file without the keys that change neither rows nor admission, as the contract says of each."""
    keys = load_schema(CONTRACT)["properties"]
    return digest({key: value for key, value in document.items() if keys[key].get("x-digested", True)})


def _read_file(file: Traversable) -> dict[str, Any]:
    document = read_conf(file, "the policy file")
    if not isinstance(document, dict):
        raise _refuse_unfit(f"the policy file {file} is not a mapping", file=str(file))
    return document


def _require_places(documents: Mapping[str, Mapping[str, Any]], root: Traversable) -> None:
    """Each key in the one file it is of: elsewhere it could change rows without entering the digest."""
    for name, document in documents.items():
        for key in document:
            own = _find_file(key)
            if own not in ("", name):
                message = f"the policy: {key} stands in {name}; its file is {own}"
                raise _refuse_unfit(message, file=str(root / name), pointer=format_pointer([key]))


def find_file_faults(document: Any, name: str) -> list[DocumentFault]:
    """Why the policy file `name` would be refused, whatever stands in the others; of another name: why all files would be
    that are one document."""
    keys = load_schema(CONTRACT)["properties"]
    if name not in DIGESTED + UNDIGESTED or not isinstance(document, dict):
        return find_faults(document, CONTRACT)
    others = {key: value for key, value in _read_shipped().items() if keys[key].get("x-file") != name}
    misplaced = [key for key in document if _find_file(key) not in ("", name)]
    own = {key: value for key, value in document.items() if key not in misplaced}
    stray = (
        DocumentFault("ENVIRONMENT_UNFIT", format_pointer([key]), f"stands in {name}; its file is {_find_file(key)}")
        for key in misplaced
    )
    return sort_faults([*find_faults({**others, **own}, CONTRACT), *stray])


def _read_shipped() -> dict[str, Any]:
    """The keys of the policy files that come with OFS."""
    root = find_conf_root() / "policy"
    return {key: value for name in DIGESTED + UNDIGESTED for key, value in _read_file(root / name).items()}


def _require_valid(documents: Mapping[str, Mapping[str, Any]], root: Traversable) -> dict[str, Any]:
    """The keys of all files with their values, valid under the contract."""
    values = {key: value for document in documents.values() for key, value in document.items()}
    faults = find_faults(values, CONTRACT)
    if faults:
        first, more = faults[0], describe_more(len(faults))
        file = _find_file(first.pointer.split("/")[1]) or "its files"
        message = f"the policy: {first.pointer} of {file}: {first.message}{more}"
        raise _refuse_unfit(message, faults=[_describe_fault(fault, documents, root) for fault in faults])
    return values


def _describe_fault(
    fault: DocumentFault, documents: Mapping[str, Mapping[str, Any]], root: Traversable
) -> dict[str, str]:
    """The fault, and the file of the policy that its key stands in, or must stand in."""
    key = fault.pointer.split("/")[1]
    file = next((name for name, document in documents.items() if key in document), _find_file(key))
    return {**fault.to_document(), **({"file": str(root / file)} if file else {})}


def _find_file(key: str) -> str:
    """The one file that a key stands in, as the contract says; "" for a key that is none of the policy's."""
    return str(load_schema(CONTRACT)["properties"].get(key, {}).get("x-file", ""))


def _refuse_unfit(message: str, **details: Any) -> Refusal:
    return refuse("ENVIRONMENT_UNFIT", message, **details)
