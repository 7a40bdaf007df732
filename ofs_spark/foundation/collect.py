"""Telling together what can be known together: refusals collected step by step, raised as one.

A step that fails is noted, and the next one goes on. A step that needs what a failed one did not give is not asked, so
that no fault is told that is only another one's shadow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, TypeVar

from ofs_spark.foundation.contracts import DocumentFault, describe_more, sort_faults
from ofs_spark.foundation.errors import Refusal, refuse, sort_refusals

T = TypeVar("T")


class Collector:
    """The refusals of some steps."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def attempt(self, step: Callable[[], T]) -> T | None:
        """What the step gives; None, and its refusal noted, where it refuses."""
        try:
            return step()
        except Refusal as refusal:
            self.refusals.append(refusal)
            return None

    def add(self, refusals: Iterable[Refusal]) -> None:
        """Notes refusals that no step raised."""
        self.refusals += refusals

    def raise_all(self) -> None:
        """Raises everything noted as one refusal; returns where nothing is."""
        if self.refusals:
            raise merge_refusals(self.refusals)


def keep_first(refusals: Iterable[Refusal], most: int) -> list[Refusal]:
    """The first `most` of the refusals in the order of telling; `fault_count` of the last counts the faults of the rest."""
    ordered = sort_refusals(refusals)
    kept, rest = ordered[:most], ordered[most:]
    if rest:
        kept[-1].details["fault_count"] = sum(map(count_faults, (kept[-1], *rest)))
    return kept


def merge_refusals(refusals: Iterable[Refusal]) -> Refusal:
    """One refusal for one or more: the first in the order of telling, `details["faults"]` holding the faults of all.

    Each fault is at least {code, pointer, message}. One that two steps found stands once.
    """
    ordered = sort_refusals(refusals)
    first, faults = ordered[0], _list_distinct(fault for one in ordered for fault in list_faults(one))
    others = list(dict.fromkeys(one.code for one in ordered if one.code != first.code))
    message = first.message + (f"; and {', '.join(others)}" if others else "")
    details = {**first.details, "faults": faults}
    if any("fault_count" in one.details for one in ordered):  # some kind lists fewer faults than it counts
        details["fault_count"] = sum(map(count_faults, ordered))
    return refuse(first.code, message, first.next_command, **details)


def list_faults(refusal: Refusal) -> list[dict[str, Any]]:
    """The faults of one refusal: those in its details, else itself as the only one."""
    own = {"code": refusal.code, "pointer": str(refusal.details.get("pointer", "")), "message": refusal.message}
    listed = refusal.details.get("faults") or ()
    return [{**own, **fault} for fault in listed if isinstance(fault, Mapping)] or [own]


def count_faults(refusal: Refusal) -> int:
    """How many faults a refusal stands for: those that it lists, or more where it says so."""
    return int(refusal.details.get("fault_count", len(list_faults(refusal))))


def refuse_all(found: Iterable[DocumentFault]) -> Refusal:
    """The refusal of a document's faults: of the first in pointer order, with all of them in its details."""
    ordered = sort_faults(found)
    first = ordered[0]
    message = f"{first.pointer or 'the document'}: {first.message}{describe_more(len(ordered))}"
    return refuse(first.code, message, pointer=first.pointer, faults=[fault.to_document() for fault in ordered])


def join_faults(found: Iterable[DocumentFault], late: Iterable[DocumentFault]) -> list[DocumentFault]:
    """Faults in fault order: those of a schema, and of the late ones those that no fault at or above their place tells."""
    first = list(found)
    told = {fault.pointer for fault in first if fault.pointer}
    return sort_faults([*first, *(fault for fault in late if not _is_covered(fault.pointer, told))])


def _is_covered(pointer: str, told: Set[str]) -> bool:
    """Whether a fault is told at the pointer or above it."""
    parts = pointer.split("/")
    return any("/".join(parts[:depth]) in told for depth in range(2, len(parts) + 1))


def _list_distinct(faults: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    distinct: list[dict[str, Any]] = []
    seen: set[str] = set()
    for fault in faults:
        key = repr(sorted(fault.items(), key=lambda one: one[0]))
        if key not in seen:
            seen.add(key)
            distinct.append(fault)
    return distinct
