"""Which declared fields no event of a task has, and which filters none meets: looked for only until one is found.

A field that events have is met in the first block, and costs nothing from then on. Of one that none has the scan says the
nearest name that stands in its place, from a few events: what was meant, most often.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.pins.profile.model import RECORD, Path
from ofs_spark.replay import rows as r
from ofs_spark.replay.scan import conditions
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.spec import ScanSpec
from ofs_spark.replay.unseen import UnseenField

SAMPLED = 50
"""Events whose members' names are looked at."""
MOST_NAMES, MOST_LENGTH = 200, 200
"""Names that are compared, and how long one may be."""
MOST_COMPARED = 16
"""Fields for which a name is looked for."""


def list_watched_paths(spec: ScanSpec) -> list[Path]:
    """The fields that are watched: every path of values, keys, own values, conditions and filters; not of core rules.

    Core rules take the first of several fields, so that one of them is expected to be absent.
    """
    wanted = [*spec.program.conditions, *spec.anchors.conditions]
    found = [read.path for read in spec.program.reads]
    found += [path for condition in wanted for path in conditions.list_paths(condition)]
    return [path for path in dict.fromkeys(found) if path[0] != RECORD]


class FieldWatch:
    """What one task has not met so far: fields by path, and filters by condition, each with its number."""

    def __init__(self, spec: ScanSpec) -> None:
        self._unseen = dict(enumerate(() if spec.online else list_watched_paths(spec)))
        self._unmet = dict(enumerate(() if spec.online else spec.anchors.conditions))
        self._sample: list[str] = []
        self._has_events = False

    def look(self, tokens: t.Tokens, typed: pa.RecordBatch, good: Array, envelopes: pa.Array) -> None:
        """One block of records: tokens, typed rows and envelopes in one order; `good`: those that are events."""
        if not (self._unseen or self._unmet):
            return
        events = good & ((np.asarray(typed.column(r.FLAGS)) & r.IN_SCOPE) != 0)
        if not events.any():
            return
        self._has_events = True
        self._unseen = {n: p for n, p in self._unseen.items() if not (events & (tokens.kind[p] != t.ABSENT)).any()}
        self._unmet = {
            n: one for n, one in self._unmet.items() if not (events & conditions.judge_condition(tokens, one)).any()
        }
        missing = SAMPLED - len(self._sample)
        if self._unseen and missing:
            self._sample += envelopes.take(pa.array(np.flatnonzero(events)[:missing])).to_pylist()

    def list_unmet(self) -> list[int] | None:
        """The filters that no event met; None where there was no event."""
        return list(self._unmet) if self._has_events else None

    def list_unseen(self) -> list[UnseenField] | None:
        """The fields that no event had; None where there was no event."""
        return list(self._find_nearest()) if self._has_events else None

    def _find_nearest(self) -> Iterator[UnseenField]:
        documents = [_parse(text) for text in self._sample] if self._unseen else []
        for place, (number, path) in enumerate(self._unseen.items()):
            yield _find_nearest(number, path, documents) if place < MOST_COMPARED else UnseenField(number)


def _parse(text: str) -> dict[str, Any]:
    """An envelope that the scan has found to be an object; its numbers, which may be of any length, as text."""
    document: dict[str, Any] = json.loads(text, parse_int=str, parse_float=str)
    return document


def _find_nearest(number: int, path: Path, documents: Iterable[Mapping[str, Any]]) -> UnseenField:
    """The field with the name that resembles its first absent part most, among the names that stand in its place."""
    holders = list(documents)
    for depth, part in enumerate(path):
        below = [one[part] for one in holders if isinstance(one.get(part), dict)]
        if not below or depth == len(path) - 1:
            return _choose_name(number, depth, part, holders)
        holders = below
    return UnseenField(number)


def _choose_name(number: int, depth: int, part: str, holders: Iterable[Mapping[str, Any]]) -> UnseenField:
    names = {
        name for one in holders for name in one if 0 < len(name) <= MOST_LENGTH and not t.has_unpaired_surrogate(name)
    }
    rated = [(-_measure_likeness(part, name), name) for name in sorted(names)[:MOST_NAMES]]
    if not rated:
        return UnseenField(number)
    likeness, name = min(rated)
    return UnseenField(number, depth, name, -likeness)


def _measure_likeness(one: str, other: str) -> int:
    """How much two names resemble each other, whatever their case: 0 to 1000."""
    return round(1000 * SequenceMatcher(None, one[:MOST_LENGTH].casefold(), other.casefold(), autojunk=False).ratio())
