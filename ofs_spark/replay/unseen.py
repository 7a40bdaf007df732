"""Declared fields that no event of a basis has: what the scan's tasks saw of them, put together.

A field is known here by its place among `watched_paths` of the scan. Nothing is refused for it: a field may be rare. It is
told beside what it explains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ofs_spark.pins.profile.model import Path

Document = Mapping[str, Any]


@dataclass(frozen=True)
class UnseenField:
    """A field that no in-scope event has, by its number, and the name that resembles the first part of it that is absent.

    depth: of that part in the path; name: "" where no event was looked at; likeness: 0 to 1000.
    """

    field: int
    depth: int = 0
    name: str = ""
    likeness: int = 0

    def find_nearest(self, path: Path) -> Path:
        """The nearest path that events have; () where none is known. path: the field's own."""
        return (*path[: self.depth], self.name) if self.name else ()


def merge_unseen(summaries: Iterable[Document]) -> tuple[UnseenField, ...]:
    """The fields that every task with an event missed, by number; of each the name that resembles it most, equals by code point."""
    best: dict[int, UnseenField] | None = None
    for summary in summaries:
        if summary.get("unseen") is None:
            continue
        own = {one["field"]: UnseenField(**one) for one in summary["unseen"]}
        best = own if best is None else {n: _choose(one, own[n]) for n, one in best.items() if n in own}
    return tuple(one for _, one in sorted((best or {}).items()))


def merge_unmet(summaries: Iterable[Document]) -> tuple[int, ...]:
    """The filters that no event of any task meets, by number."""
    found: set[int] | None = None
    for summary in summaries:
        if summary.get("unmet") is None:
            continue
        own = set(summary["unmet"])
        found = own if found is None else found & own
    return tuple(sorted(found or ()))


def _choose(one: UnseenField, other: UnseenField) -> UnseenField:
    """The better guess: one at a deeper part is of a path that goes on further."""
    return min(one, other, key=lambda guess: (not guess.name, -guess.depth, -guess.likeness, guess.name.encode()))


def describe_unseen(found: Sequence[UnseenField] | None) -> list[dict[str, Any]] | None:
    """As a summary and the record of a scan hold them; None where no event was looked at."""
    return None if found is None else [asdict(one) for one in found]
