"""The roll of a platform run: what its sums need of every run that ended, in a file that is read and written in a moment.

It is no document for readers: whatever it says follows from the runs' contributions, and it is made again from them. It
is read by every run that ends, so it is no JSON: 88 bytes a run, which are parsed by copying them. They carry their own
digest: a roll that is not the one that was written is none.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

Entry = Mapping[str, Any]

RECIPE = "ofs.reconciliation_roll.v1"
REFS = ("attempted", "resolved", "denied")
COUNTS = ("delivered", "redeliveries", "conflicts", "invalid")
_ID = 32
"""Hexadecimal digits of a run key, and of a dataset's id behind its prefix."""
_NO_DATASET = _ID * "0"
_IDS = ("run_key", "dataset")
_TEXTS = ("outcome", "reason")
_NUMBERS = {"attempt": "i", **dict.fromkeys(REFS, "i"), **dict.fromkeys(COUNTS, "q")}
"""Column → type code of its numbers."""
_MOST = {"i": 2**31 - 1, "q": 2**63 - 1}
"""Contracts bound no count: a larger one, which no run has, must not keep the others from being counted."""


@dataclass
class Roll:
    """Runs as columns, one element a run, in the order in which they were first told. places: run key → index."""

    columns: dict[str, Any] = field(default_factory=lambda: {n: [] for n in (*_IDS, *_TEXTS)} | _make_arrays())
    places: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(entries: Iterable[Entry]) -> Roll:
        """The roll of these entries."""
        roll = Roll()
        roll.tell(entries)
        return roll

    def tell(self, entries: Iterable[Entry]) -> bool:
        """Puts in each run as its entry tells it, in place of what was told of it. Whether that changed anything."""
        changed = False
        for entry in entries:
            if self.agrees(entry):
                continue
            row, changed = _make_row(entry), True
            place = self.places.setdefault(row["run_key"], len(self.places))
            for name, column in self.columns.items():
                if place == len(column):
                    column.append(row[name])
                else:
                    column[place] = row[name]
        return changed

    def agrees(self, entry: Entry) -> bool:
        """Whether the roll says of the entry's run what the entry says."""
        place = self.places.get(entry["run_key"])
        if place is None:
            return False
        row = _make_row(entry)
        return all(column[place] == row[name] for name, column in self.columns.items())

    def list_outdated(self, tokens: Sequence[tuple[str, int]], mine: Entry) -> list[str]:
        """Runs that neither `mine` nor the roll tells as of the attempt that the ledger knows. A token of 0 is none."""
        untold = set(tokens).difference(zip(self.columns["run_key"], self.columns["attempt"], strict=True))
        untold.discard((mine["run_key"], mine.get("attempt", 0)))
        return [one[0] for one in tokens if one in untold and one[1]] if untold else []

    def count_datasets(self) -> dict[str, int]:
        """How many datasets there are, and the sum of each count, each dataset once however many runs met it."""
        places = dict(zip(self.columns["dataset"], range(len(self.places)), strict=True))
        places.pop(_NO_DATASET, None)
        if not places:
            return dict.fromkeys(("datasets", *COUNTS), 0)
        pick = itemgetter(*places.values(), 0)  # two places or more: of one it would give no tuple
        return {"datasets": len(places), **{name: sum(pick(self.columns[name])[:-1]) for name in COUNTS}}

    def encode(self) -> bytes:
        """The roll's bytes: a line with the digest of the others, a line of JSON, then column after column."""
        names = sorted(set().union(*(self.columns[name] for name in _TEXTS)))
        codes = {name: code for code, name in enumerate(names)}
        ids = [bytes.fromhex("".join(self.columns[name])) for name in _IDS]
        texts = [array("i", map(codes.__getitem__, self.columns[name])).tobytes() for name in _TEXTS]
        body = b"".join((*ids, *texts, *(self.columns[name].tobytes() for name in _NUMBERS)))
        head = {"schema_version": RECIPE, "byteorder": sys.byteorder, "runs": len(self.places), "names": names}
        return _sign(json.dumps(head).encode() + b"\n" + body)


def decode_roll(raw: bytes) -> Roll | None:
    """The roll of these bytes; None if they are not those of a roll as this release writes it on such a machine."""
    signed = raw.partition(b"\n")[2]
    if raw != _sign(signed):
        return None
    line, _, body = signed.partition(b"\n")
    head = json.loads(line)
    if (head["schema_version"], head["byteorder"]) != (RECIPE, sys.byteorder):
        return None
    count, names = head["runs"], head["names"]
    columns: dict[str, Any] = {}
    at = 0
    for name in _IDS:
        digits = body[at : at + count * _ID // 2].hex()
        columns[name] = [digits[i : i + _ID] for i in range(0, len(digits), _ID)]
        at += count * _ID // 2
    for name, kind in {**dict.fromkeys(_TEXTS, "i"), **_NUMBERS}.items():
        column = array(kind)
        size = count * column.itemsize
        column.frombytes(body[at : at + size])
        columns[name] = list(map(names.__getitem__, column)) if name in _TEXTS else column
        at += size
    return Roll(columns, dict(zip(columns["run_key"], range(count), strict=True)))


def _make_arrays() -> dict[str, Any]:
    return {name: array(kind) for name, kind in _NUMBERS.items()}


def _sign(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _make_row(entry: Entry) -> dict[str, Any]:
    counts = entry.get("counts")
    numbers = {**(counts or {}), **entry["protected_refs"], "attempt": entry.get("attempt", 0)}
    return {
        "run_key": entry["run_key"],
        "outcome": entry["outcome"],
        "reason": entry.get("code", entry["outcome"]),
        "dataset": _NO_DATASET if counts is None else entry.get("dataset_manifest_id", _NO_DATASET)[-_ID:],
        **{name: min(numbers.get(name, 0), _MOST[kind]) for name, kind in _NUMBERS.items()},
    }
