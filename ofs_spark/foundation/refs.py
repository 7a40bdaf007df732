"""Refs: how an object is named, and the audit of the protected ones.

A *ref* is a path relative to the object root (`platform_…/ofs/manifests/dm_….json`) or the full address of the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ofs_spark.foundation.errors import Refusal, refuse

_PART = re.compile(r"[A-Za-z0-9_=:@+,~ .-]{1,255}")


@dataclass(frozen=True)
class Resolution:
    """One look at a protected ref: run facts, a gated output, a label extract. `outcome`: resolved or denied."""

    ref: str
    purpose: str
    outcome: str


Audit = list[Resolution]
"""Every resolution of a protected ref in one attempt, in order."""


@contextmanager
def audit_resolution(audit: Audit, ref: str, purpose: str) -> Iterator[None]:
    """Records in `audit` whether the block resolved the protected ref, or a refusal denied it."""
    try:
        yield
    except Refusal:
        audit.append(Resolution(ref, purpose, "denied"))
        raise
    audit.append(Resolution(ref, purpose, "resolved"))


def check_relative(ref: str) -> tuple[str, ...]:
    """The parts of a relative ref; REF_SCOPE_INVALID for traversal, empty parts, schemes, globs or odd characters."""
    parts = tuple(ref.split("/"))
    if len(ref) > 1024 or "://" in ref or any(p in (".", "..") or not _PART.fullmatch(p) for p in parts):
        raise refuse("REF_SCOPE_INVALID", "a ref is a plain path inside the object root", ref=ref[:200])
    return parts
