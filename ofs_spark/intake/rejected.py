"""Rows that are not taken: a JSON line for each, and how many there are for each reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ofs_spark.intake.rows import Reject

SAMPLES = 3
"""Rejected rows that are told where nothing is left."""


@dataclass
class Rejected:
    """Writes each of them. counts: by (file, column, reason); "" for the row as a whole."""

    file: TextIO
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many there are."""
        return self.counts.total()

    def add(self, path: Path, rejects: Iterable[Reject]) -> None:
        """Writes the rows of a file that are not taken."""
        for one in rejects:
            said = {"file": str(path), "line": one.line, "column": one.column, "reason": one.reason}
            self.file.write(json.dumps(said, ensure_ascii=True) + "\n")
            self.counts[str(path), one.column or "", one.reason] += 1
            if len(self.first) < SAMPLES:
                self.first.append(f"line {one.line}: {one.column or 'the row'} {one.reason}")

    def to_document(self) -> list[dict[str, Any]]:
        """The reasons counted, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))
        return [
            {"file": file, "column": column or None, "reason": reason, "rows": rows}
            for (file, column, reason), rows in ordered
        ]
