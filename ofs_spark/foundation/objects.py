"""The object store port: what every room may ask of the place where documents and files live.

A *ref* is a path relative to the object root (`platform_…/ofs/manifests/dm_….json`) or the full address of the same.
Adapters resolve refs inside their root only and are small picklable values: workers use them as the driver does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ofs_spark.foundation.errors import Refusal, refuse

_PART = re.compile(r"[A-Za-z0-9_=:@+,~ .-]{1,255}")


class ObjectMissing(LookupError):
    """No object stands at a ref that is inside the root."""


class Put(Enum):
    """What a conditional put found."""

    CREATED = "created"
    EXISTS = "exists"


class Objects(Protocol):
    """An object store limited to one root. All methods raise REF_SCOPE_INVALID for a ref outside it."""

    def read(self, ref: str) -> bytes:
        """The whole object. ObjectMissing if there is none; REF_ACCESS_DENIED if it cannot be read."""
        ...

    def exists(self, ref: str) -> bool:
        """Whether an object stands at `ref`."""
        ...

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        """Writes the object durably unless one stands there; exactly one of any number of racing writers creates it."""
        ...

    def replace(self, ref: str, body: bytes) -> None:
        """Writes the object, replacing any other: for derived, repeatable documents only."""
        ...

    def relative(self, ref: str) -> str:
        """The checked ref relative to the root."""
        ...

    def locate(self, ref: str) -> str:
        """The full address of a checked ref, for engines that open it themselves."""
        ...


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
