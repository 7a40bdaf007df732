"""Rows that are not taken: a JSON line for each, and how many there are for each reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ofs_spark.foundation.wording import write_count
from ofs_spark.intake.rows import Reject

SAMPLES = 3
"""Rejected rows that are told where nothing is left."""


@dataclass
class Rejected:
    """Writes each of them. counts: by (file, column, reason), "" for the row as a whole; lines: the first of each of these.

    samples: the first of the file that is being read, in words; here: how many it has.
    """

    file: TextIO
    path: str = ""
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    lines: dict[tuple[str, str, str], int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)
    here: int = 0

    @property
    def total(self) -> int:
        """How many there are."""
        return self.counts.total()

    def begin(self, path: Path) -> None:
        """The rows that follow are of this file."""
        self.path, self.samples, self.here = str(path), [], 0

    def add(self, rejects: Iterable[Reject]) -> None:
        """Writes rows of the file that are not taken."""
        for one in rejects:
            said = {"file": self.path, "line": one.line, "column": one.column, "reason": one.reason}
            self.file.write(json.dumps(said, ensure_ascii=True) + "\n")
            kind = self.path, one.column or "", one.reason
            self.counts[kind] += 1
            self.lines.setdefault(kind, one.line)
            self.here += 1
            if len(self.samples) < SAMPLES:
                self.samples.append(f"line {one.line}: {one.column or 'the row'} {one.reason}")

    def has(self, *reasons: str) -> bool:
        """Whether a row is not taken for one of these reasons."""
        return any(reason in reasons for _, _, reason in self.counts)

    def describe(self) -> str:
        """How many rows of the file are not taken, and the first of them."""
        return f"all of it is rejected, {write_count(self.here, 'row')}: {'; '.join(self.samples)}"

    def to_document(self) -> list[dict[str, Any]]:
        """The reasons counted, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))
        return [
            {
                "file": kind[0],
                "column": kind[1] or None,
                "reason": kind[2],
                "rows": rows,
                "first_line": self.lines[kind],
            }
            for kind, rows in ordered
        ]
