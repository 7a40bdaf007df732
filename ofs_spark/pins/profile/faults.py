"""Collecting every fault of a profile before refusing it once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ofs_spark.errors import Refusal, refuse


class Digits(str):
    """A number of the profile, by its digits as written."""

    __slots__ = ()


@dataclass
class Faults:
    """Faults found so far: JSON pointer and message, in the order of the document."""

    found: list[dict[str, str]] = field(default_factory=list)

    def add(self, pointer: str, message: str) -> None:
        """Notes one fault."""
        self.found.append({"code": "FEATURE_PROFILE_UNRESOLVED", "pointer": pointer, "message": message})

    def unknown_keys(self, pointer: str, document: Mapping[str, Any], known: Iterable[str]) -> None:
        """Notes every key that is not known here."""
        allowed = frozenset(known)
        for key in document:
            if key not in allowed:
                self.add(f"{pointer}/{key}", f"is not a key here; known are {', '.join(sorted(allowed))}")

    def refusal(self, ref: str) -> Refusal:
        """FEATURE_PROFILE_UNRESOLVED with all of them."""
        first = self.found[0]
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        told = f"{ref}{first['pointer']}: {first['message']}{more}"
        return refuse(
            "FEATURE_PROFILE_UNRESOLVED",
            told,
            f"ofs validate {ref} --contract feature_profile",
            ref=ref,
            faults=self.found,
        )


def mapping(value: Any, pointer: str, faults: Faults) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one and a fault."""
    if isinstance(value, dict):
        return value
    faults.add(pointer, "must be a mapping")
    return {}


def items(value: Any, pointer: str, faults: Faults) -> list[Any]:
    """The value if it is a list (None reads as empty), else an empty one and a fault."""
    if isinstance(value, list):
        return value
    if value is not None:
        faults.add(pointer, "must be a list")
    return []


def name_of(document: Mapping[str, Any], key: str, pointer: str, faults: Faults) -> str:
    """A required text member, "" and a fault otherwise."""
    value = document.get(key)
    if isinstance(value, str) and value and not isinstance(value, Digits):
        return value
    faults.add(f"{pointer}/{key}", "must be a text that is not empty")
    return ""
