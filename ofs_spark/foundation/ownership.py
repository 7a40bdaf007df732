"""Where OFS may write: `contracts/ownership_boundaries.json`, read once, asked before every write."""

from __future__ import annotations

import re
from functools import cache

from ofs_spark.foundation.contracts import load_contract_file
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.paths import check_relative

OFS = "ofs"
BOUNDARIES = "ownership_boundaries.json"
_RUN = r"platform_[0-9]{8}T[0-9]{6}Z"


def find_owner(ref: str) -> str | None:
    """Who owns a relative ref: the owner of the longest prefix that covers it; None if no prefix does.

    REF_SCOPE_INVALID for a ref that is no plain path. A prefix ending in "/" covers all below it, another only itself.
    """
    check_relative(ref)
    covering = [(len(prefix), owner) for prefix, pattern, owner in _read_boundaries() if pattern.fullmatch(ref)]
    return max(covering)[1] if covering else None


def require_owned(ref: str) -> None:
    """OWNERSHIP_BOUNDARY_VIOLATION unless OFS owns the relative ref it is about to write."""
    owner = find_owner(ref)
    if owner != OFS:
        message = f"OFS does not write {ref}: it belongs to {owner or 'nobody known'}"
        raise refuse("OWNERSHIP_BOUNDARY_VIOLATION", message, ref=ref, owner=owner, boundaries=BOUNDARIES)


def is_platform_run(name: str) -> bool:
    """Whether a name is a platform run's: the first part of every ref that OFS may write."""
    return re.fullmatch(_RUN, name) is not None


@cache
def _read_boundaries() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    entries = load_contract_file(BOUNDARIES)["boundaries"]
    return tuple((entry["prefix"], _compile_pattern(entry["prefix"]), entry["owner"]) for entry in entries)


def _compile_pattern(prefix: str) -> re.Pattern[str]:
    exact = _RUN.join(re.escape(part) for part in prefix.split("{platform_run_id}"))
    return re.compile(exact + (".+" if prefix.endswith("/") else ""))
