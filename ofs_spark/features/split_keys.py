"""Keys that are too large for one piece: what a worker split, written down with the dataset's layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from ofs_spark.features.group_rows import KeyedTable
from ofs_spark.features.pieces import Cut
from ofs_spark.foundation.columnar.notes import Note


@dataclass(frozen=True, order=True)
class SplitKey(Note):
    """One key whose rows were computed in several pieces. Its value is not told: it may name a person.

    key: its names, as the profile has them. rows: exact, of all pieces. looked_back: rows that pieces had before them, for
    their windows, once for each piece that had them.
    """

    kind: ClassVar[str] = "split_key"
    key: tuple[str, ...]
    rows: int
    pieces: int
    looked_back: int

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The record that `content` wrote."""
        return cls(**{**content, "key": tuple(content["key"])})

    def describe(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {**self.to_note(), "key": list(self.key)}


@dataclass
class SplitKeys:
    """Counts the pieces of one target's split keys. names: those of its key."""

    names: tuple[str, ...]
    _found: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def add(self, cut: Cut, keyed: KeyedTable) -> None:
        """Counts a piece."""
        if keyed.is_split:
            rows, pieces, looked_back = self._found.get(cut.first, (0, 0, 0))
            before = 0 if keyed.before is None else keyed.before.num_rows
            self._found[cut.first] = rows + keyed.table.num_rows, pieces + 1, looked_back + before

    def list_notes(self) -> Iterator[SplitKey]:
        """One per key that has several pieces."""
        yield from (SplitKey(self.names, *counts) for counts in self._found.values() if counts[1] > 1)


def describe_split_keys(found: Iterable[SplitKey]) -> dict[str, Any]:
    """What a layout says of them, the largest first: nothing where no key was split."""
    told = [one.describe() for one in sorted(found, key=lambda one: (-one.rows, one))]
    return {"split_keys": told} if told else {}
