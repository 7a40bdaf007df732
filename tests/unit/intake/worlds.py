"""Small files of events and labels, and what an import of them wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ofs_spark.intake.command import import_own_data
from ofs_spark.intake.declared import read_declared

RELEASES = {"policy_revision": "p1", "config_revision": "c1", "ofs_code_release_id": "test"}
EVENTS: dict[str, Any] = {"id": "id", "time": "at", "type-is": "payment"}
LABELS: dict[str, Any] = {
    "label-event": "id",
    "label-type": "fraud_disposition",
    "label-value": "verdict",
    "label-observed": "seen",
}


@dataclass(frozen=True)
class Imported:
    """An import's folder and its answer."""

    root: Path
    answer: dict[str, Any]

    @property
    def rejected(self) -> list[tuple[int, str | None, str]]:
        """(line, column, reason) of every rejected row, in order."""
        lines = (self.root / self.answer["rejected_ref"]).read_text().splitlines()
        return [(one["line"], one["column"], one["reason"]) for one in map(json.loads, lines)]

    @property
    def index(self) -> dict[str, Any]:
        return self.read(self.answer["index_ref"])

    @property
    def extract(self) -> dict[str, Any]:
        return self.read(self.answer["extract_ref"])

    @property
    def intent(self) -> dict[str, Any]:
        return dict(json.loads(Path(self.answer["intent"]).read_bytes()))

    @property
    def profile(self) -> str:
        return Path(self.answer["profile"]).read_text()

    def read(self, ref: str) -> dict[str, Any]:
        return dict(json.loads((self.root / ref).read_bytes()))

    def archived(self) -> list[dict[str, Any]]:
        """The archive's rows, in the order of the index."""
        files = [self.root / one["path"] for one in self.index["segments"]]
        return [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]

    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(row["envelope"])["payload"] for row in self.archived()]

    def assertions(self) -> list[dict[str, Any]]:
        files = [self.root / one["path"] for one in self.extract["files"]]
        return [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]


def run_import(folder: Path, events: Path, **stated: Any) -> Imported:
    """An import of `events` with EVENTS and whatever else is stated; `_` stands for `-`, None takes a name away."""
    named = {name.replace("_", "-"): one for name, one in stated.items()}
    declared = read_declared({**EVENTS, "events": events, **named}, None)
    return Imported(folder, import_own_data(declared, folder, RELEASES, lambda _room, _doing: None))


def write_text(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    return write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def hash_files(root: Path) -> dict[str, str]:
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    return {file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
