"""The audit of protected refs: every look at run facts, a gated output or a label extract, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ofs_spark.foundation.errors import Refusal


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
