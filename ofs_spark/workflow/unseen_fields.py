"""What is told of a declared field that no event of the basis has: of a filter why nothing is left, of a column why it is empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.contracts import DocumentFault, format_pointer
from ofs_spark.foundation.errors import Refusal, refuse, show_text
from ofs_spark.pins.profile.compiler import list_columns
from ofs_spark.pins.profile.model import Condition, Derived, Group, Path, Program, format_path
from ofs_spark.replay.completeness import Completeness
from ofs_spark.replay.scan import conditions
from ofs_spark.replay.scan.field_watch import list_watched_paths
from ofs_spark.replay.scan.spec import ScanSpec

MOST_TOLD = 8
"""Fields that a manifest names."""


@dataclass(frozen=True)
class UnseenFields:
    """Path → the nearest path that events have, () for none, of every field that no in-scope event has; unmet filters."""

    nearest: Mapping[Path, Path]
    unmet: Sequence[str] = ()

    @classmethod
    def of(cls, spec: ScanSpec, found: Completeness) -> UnseenFields:
        """What a scan under `spec` found."""
        paths = list_watched_paths(spec)
        names = [one.field for one in spec.anchors.row_filters]
        nearest = {paths[one.field]: one.find_nearest(paths[one.field]) for one in found.unseen}
        return cls(nearest, [names[number] for number in found.unmet])

    def find_filter_faults(self) -> Iterator[DocumentFault]:
        """Every filter that leaves no anchor, and why: no event has its field, or none of its values."""
        for name in self.unmet:
            path = ("payload", name)
            why = (
                self.describe(path)
                if path in self.nearest
                else f"no in-scope event has one of its values in {_show(path)}"
            )
            yield DocumentFault("LABEL_SCOPE_EMPTY", format_pointer(["filters", name]), why)

    def describe(self, path: Path) -> str:
        """A sentence on a field that no event has."""
        near = self.nearest[path]
        return f"no in-scope event has {_show(path)}{_hint(near)}"

    def name_nearest(self, refusals: Sequence[Refusal], program: Program) -> list[Refusal]:
        """The refusals, those of a value that no event has with what is there instead."""
        said = {
            f"{group.name}.{value.name}": program.reads[value.read].path
            for group in program.groups
            for value in group.values
            if program.reads[value.read].path in self.nearest
        }
        return [self._extend(one, said.get(str(one.details.get("subject", "")))) for one in refusals]

    def _extend(self, refusal: Refusal, path: Path | None) -> Refusal:
        if path is None or refusal.code != "FEATURE_VALUE_INVALID":
            return refusal
        near = {"nearest": _show(self.nearest[path])} if self.nearest[path] else {}
        message = f"{refusal.message}; {self.describe(path)}"
        return refuse(refusal.code, message, refusal.next_command, **refusal.details, **near)

    def list_columns(self, program: Program) -> list[dict[str, Any]]:
        """Per field, in the order in which the scan reads them: path, first column that reads it, how many do, nearest path."""
        told: list[dict[str, Any]] = []
        for path, near in self.nearest.items():
            columns = _list_readers(program, path)
            if columns:
                nearest = {"nearest": _show(near)} if near else {}
                told.append({"path": _show(path), "column": show_text(columns[0]), "columns": len(columns), **nearest})
        return told[:MOST_TOLD]


def _show(path: Path) -> str:
    return show_text(format_path(path))


def _hint(near: Path) -> str:
    return f"; the nearest name is {_show(near)}" if near else ""


def _list_readers(program: Program, path: Path) -> list[str]:
    """The dataset's columns that come from a path, in order."""
    reads = {number for number, read in enumerate(program.reads) if read.path == path}
    own = [one.column.name for one in program.own if one.read in reads]
    return own + [name for group in program.groups for name in _list_group_readers(program, group, path, reads)]


def _list_group_readers(program: Program, group: Group, path: Path, reads: set[int]) -> list[str]:
    if reads.intersection(program.keys[group.key].parts):
        return list_columns(group)
    values = {place for place, value in enumerate(group.values) if value.read in reads}
    wheres = {n for n, where in enumerate(program.conditions) if _reads(where, path)}
    hit = {n for n, one in enumerate(group.features) if one.value in values or one.where in wheres}
    return [one.column for n, one in enumerate(group.features) if n in hit] + [
        one.column for one in group.derived if _has_operand(one, values, hit)
    ]


def _reads(where: Condition, path: Path) -> bool:
    return path in conditions.list_paths(where)


def _has_operand(derived: Derived, values: set[int], features: set[int]) -> bool:
    return any(one.index in (values if one.source == "value" else features) for one in (derived.left, derived.right))
