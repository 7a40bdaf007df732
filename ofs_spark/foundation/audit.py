"""The audit of protected refs: every look at run facts, a gated output or a label extract, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.errors import Refusal, show_text


@dataclass(frozen=True)
class Resolution:
    """One look at a protected ref: run facts, a gated output, a label extract. `outcome`: resolved or denied."""

    ref: str
    purpose: str
    outcome: str


Audit = list[Resolution]
"""Every resolution of a protected ref in one attempt, in order."""

KEPT = "protected_refs"
"""Where the detail of a ledger's event holds the audit of the attempt that it ends."""


def describe_audit(audit: Audit) -> dict[str, Any]:
    """The audit as the ledger keeps it and receipts tell it: {protected_refs: [{ref, purpose, outcome}]}."""
    return {KEPT: [{"ref": show_text(one.ref), "purpose": one.purpose, "outcome": one.outcome} for one in audit]}


def read_audit(detail: Mapping[str, Any]) -> Audit | None:
    """The audit that an event's detail holds; None for an event of an earlier release, which holds none."""
    return [Resolution(**one) for one in detail[KEPT]] if KEPT in detail else None


@contextmanager
def audit_resolution(audit: Audit, ref: str, purpose: str) -> Iterator[None]:
    """Records in `audit` whether the block resolved the protected ref, or a refusal denied it."""
    try:
        yield
    except Refusal:
        audit.append(Resolution(ref, purpose, "denied"))
        raise
    audit.append(Resolution(ref, purpose, "resolved"))
