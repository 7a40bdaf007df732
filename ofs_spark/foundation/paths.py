"""What a ref may look like.

A *ref* is a path relative to the object root (`platform_…/ofs/manifests/dm_….json`) or the full address of the same.
"""

from __future__ import annotations

import re

from ofs_spark.foundation.errors import refuse

_PART = re.compile(r"[A-Za-z0-9_=:@+,~ .-]{1,255}")


def check_relative(ref: str) -> tuple[str, ...]:
    """The parts of a relative ref; REF_SCOPE_INVALID for traversal, empty parts, schemes, globs or odd characters."""
    parts = tuple(ref.split("/"))
    if len(ref) > 1024 or "://" in ref or any(p in (".", "..") or not _PART.fullmatch(p) for p in parts):
        raise refuse("REF_SCOPE_INVALID", "a ref is a plain path inside the object root", ref=ref[:200])
    return parts
