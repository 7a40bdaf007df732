"""Collecting every fault of a profile before refusing it once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ofs_spark.foundation.contracts import DocumentFault, describe_more, is_line, sort_faults
from ofs_spark.foundation.contracts import format_pointer as member
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.wording import write_count

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Digits(str):
    """A number of the profile, by its digits as written."""

    __slots__ = ()


@dataclass
class Faults:
    """Faults found so far, and the columns named so far: lower-case name → pointer of the first that has it."""

    found: list[DocumentFault] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)

    def add(self, pointer: str, message: str) -> None:
        """Notes one fault."""
        self.found.append(DocumentFault("FEATURE_PROFILE_UNRESOLVED", pointer, message))

    def refuse_unknown_keys(self, pointer: str, document: Mapping[str, Any], known: Iterable[str]) -> None:
        """Notes every key that is not known here."""
        allowed = frozenset(known)
        for key in document:
            if key not in allowed:
                self.add(f"{pointer}{member([key])}", f"is not a key here; known are {', '.join(sorted(allowed))}")

    def claim_column(self, pointer: str, name: str) -> None:
        """Notes a name that is no column's, or is one that another place has taken, ignoring case."""
        if not _COLUMN.fullmatch(name):
            self.add(pointer, f"{name!r:.80} is no column name: letters, digits and _ only")
        if not is_line(name):
            self.add(
                pointer, f"{name:.80}… would be a column's name of {write_count(len(name), 'character')}; 1024 at most"
            )
        if name.lower() in self.columns:
            other = self.columns[name.lower()]
            self.add(pointer, f"{name} would be two columns, ignoring case: the other stands at {other}")
        self.columns.setdefault(name.lower(), pointer)

    def make_refusal(self, ref: str) -> Refusal:
        """FEATURE_PROFILE_UNRESOLVED with all of them, in fault order."""
        found = sort_faults(set(self.found))
        message = f"{ref}{found[0].pointer}: {found[0].message}{describe_more(len(found))}"
        return refuse(
            "FEATURE_PROFILE_UNRESOLVED",
            message,
            ref=ref,
            faults=[{**fault.to_document(), "ref": ref} for fault in found],
        )


def read_mapping(value: Any, pointer: str, faults: Faults) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one and a fault."""
    if isinstance(value, dict):
        return value
    faults.add(pointer, "must be a mapping")
    return {}


def read_items(value: Any, pointer: str, faults: Faults) -> list[Any]:
    """The value if it is a list (None reads as empty), else an empty one and a fault."""
    if isinstance(value, list):
        return value
    if value is not None:
        faults.add(pointer, "must be a list")
    return []


def is_text(value: Any) -> bool:
    """Whether the value is a text that is not empty; a number is none."""
    return isinstance(value, str) and value != "" and not isinstance(value, Digits)


def read_name(document: Mapping[str, Any], key: str, pointer: str, faults: Faults) -> str:
    """A required text member of one line, as plan and manifest hold it; "" and a fault otherwise."""
    value = document.get(key)
    if not is_text(value):
        faults.add(f"{pointer}/{key}", "must be a text that is not empty")
    elif not is_line(str(value)):
        faults.add(f"{pointer}/{key}", "must be one line of at most 1024 characters, without blanks at its ends")
    else:
        return str(value)
    return ""
