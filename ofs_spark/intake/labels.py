"""What a row says of a label, and the label extract that is made of all of them.

An assertion's id is a hash of what it says: a row that stands twice is one assertion, one that differs is another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.intake import rows as r
from ofs_spark.intake.declared import LabelColumns
from ofs_spark.intake.events import read_names
from ofs_spark.intake.times import format_times
from ofs_spark.intake.world import MICROS, Run, write_parquet
from ofs_spark.labels.terms import VOCABULARY

FILE_ROWS = 250_000
RECIPE = "ofs.import.label_assertion_id.v1"
_SOURCE = "EXTERNAL"

LABELS = pa.schema(
    [
        pa.field("event_id", pa.string(), False),
        pa.field("label_value", pa.string(), False),
        pa.field("effective", pa.int64(), False),
        pa.field("observed", pa.int64(), False),
    ]
)
"""Judged labels, in the order of the file; times in µs."""


def judge_labels(block: r.Block, columns: LabelColumns) -> tuple[pa.RecordBatch, list[r.Reject]]:
    """The labels of a block as `LABELS`, and the rows that are none."""
    events = read_names(block.read(columns.event))
    values, bad_values = _read_values(block.read(columns.value), columns)
    observed = block.read_times(columns.observed)
    effective = block.read_times(columns.effective) if columns.effective else observed
    bad: dict[int, r.Reject] = {}
    faults: list[tuple[str, Mapping[int, str]]] = [
        (columns.event, events.bad),
        (columns.value, bad_values),
        (columns.observed, observed.bad),
        (columns.effective, effective.bad if columns.effective else {}),
    ]
    for column, found in faults:
        for row, reason in found.items():
            bad.setdefault(row, r.Reject(block.lines[row], column, reason))
    kept = [row for row in range(len(block.lines)) if row not in bad]
    arrays = [
        pa.array([events.values[row] for row in kept], pa.string()),
        pa.array([values[row] for row in kept], pa.string()),
        pa.array(effective.micros[kept]),
        pa.array(observed.micros[kept]),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=LABELS), [bad[row] for row in sorted(bad)]


def _read_values(seen: list[Any], columns: LabelColumns) -> tuple[list[str], dict[int, str]]:
    """The label values that are meant, "" for none; row → why there is none."""
    known = columns.values if columns.values is not None else {one: one for one in VOCABULARY[columns.type]}
    odd = r.NO_VALUE if columns.values is None else r.UNMAPPED
    texts = ["" if one is None else one if type(one) is str else r.write_value(one) for one in seen]
    meant = [known.get(text, "") for text in texts]
    return meant, {row: odd if texts[row] else r.MISSING for row, one in enumerate(meant) if not one}


@dataclass
class LabelFiles:
    """The files of an extract as they are written. latest: the greatest observed time, µs; None before there is one."""

    root: Path
    run: Run
    type: str
    count_unknown: Callable[[list[str]], int]
    files: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    unknown: int = 0
    latest: int | None = None
    _held: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, labels: pa.RecordBatch) -> None:
        """Keeps a batch of `LABELS`, and writes a file once there are enough."""
        if not labels.num_rows:
            return
        self.count += labels.num_rows
        self.unknown += self.count_unknown(labels.column("event_id").to_pylist())
        seen = int(np.asarray(labels.column("observed")).max())
        self.latest = seen if self.latest is None else max(self.latest, seen)
        self._held.append(labels)
        if sum(one.num_rows for one in self._held) >= FILE_ROWS:
            self._write()

    def close(self) -> list[dict[str, Any]]:
        """Writes what is left; the files as the extract's manifest states them. One without a row where there is no label."""
        if self._held or not self.files:
            self._write()
        return self.files

    def _write(self) -> None:
        labels = pa.Table.from_batches(self._held, LABELS).combine_chunks()
        self._held = []
        ref = f"{self.run.extract_folder}/part-{len(self.files):04d}.parquet"
        table = make_assertions(labels, self.run.platform_run_id, self.type)
        self.files.append({**write_parquet(self.root, ref, table), "row_count": table.num_rows})


def make_assertions(labels: pa.Table, platform_run_id: str, label_type: str) -> pa.Table:
    """Rows of the label timeline."""
    n = labels.num_rows
    hashes = [sha256(text.encode()).hexdigest() for text in _write_assertions(labels, label_type)]
    ids = pa.array([one[:32] for one in hashes], pa.string())
    times = {name: labels.column(name).cast(MICROS) for name in ("effective", "observed")}
    return pa.table(
        {
            "label_assertion_id": ids,
            "platform_run_id": pa.repeat(platform_run_id, n),
            "event_id": labels.column("event_id"),
            "label_type": pa.repeat(label_type, n),
            "label_value": labels.column("label_value"),
            "effective_time": times["effective"],
            "observed_time": times["observed"],
            "source_type": pa.repeat(_SOURCE, n),
            "actor_id": pa.nulls(n, pa.string()),
            "payload_hash": pa.array(hashes, pa.string()),
            "evidence_refs_json": pa.repeat("[]", n),
            "assertion_ref": ids,
            "committed_at_utc": times["observed"],
        }
    )


def _write_assertions(labels: pa.Table, label_type: str) -> list[str]:
    """What each label says, as canonical JSON: its id and payload hash are made of it."""
    instants = (format_times(np.asarray(labels.column(name))).to_pylist() for name in ("effective", "observed"))
    said = zip(labels.column("event_id").to_pylist(), labels.column("label_value").to_pylist(), *instants, strict=True)
    head = f'{{"recipe":"{RECIPE}","says":['
    return [
        f'{head}{r.quote_json(event)},"{label_type}","{value}","{effective}","{observed}"]}}'
        for event, value, effective, observed in said
    ]
