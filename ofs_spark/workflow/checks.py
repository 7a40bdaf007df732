"""One check of `ofs verify`: what was found, against what must be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.errors import Refusal

AGREES = "agrees"
Finding = tuple[str, str]
"""(found, expected): a check has passed where they are equal."""


@dataclass(frozen=True)
class Check:
    """A named check and its finding. code: of what refused it, "" where nothing did."""

    name: str
    found: str
    expected: str
    code: str = ""

    @property
    def passed(self) -> bool:
        """Whether what was found is what must be."""
        return self.found == self.expected

    def to_document(self) -> dict[str, Any]:
        """What `ofs verify` answers of it."""
        return {"name": self.name, "ok": self.passed, "expected": self.expected, "found": self.found}


def run_check(name: str, judge: Callable[[], Finding]) -> Check:
    """The check that `judge` decides. What it refuses, or what documents lack that it needs, is a failed check."""
    try:
        return Check(name, *judge())
    except Refusal as refusal:
        return Check(name, f"{refusal.code}: {refusal.message}", "as published", refusal.code)
    except (KeyError, ValueError, TypeError) as odd:  # an open member of a document, which no contract judges
        return Check(name, f"cannot be recomputed: {type(odd).__name__} {odd}", AGREES)


def compare(found: Mapping[str, Any], expected: Mapping[str, Any]) -> Finding:
    """Members compared as JSON, so that 1, 1.0 and true differ: the ones that differ, or that all agree."""
    names = sorted(name for name in {*found, *expected} if _write(found.get(name)) != _write(expected.get(name)))
    told = (f"{name} is {_write(found.get(name)):.200}, not {_write(expected.get(name)):.200}" for name in names)
    return "; ".join(told) or AGREES, AGREES


def _write(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
