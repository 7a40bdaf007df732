"""The fold of a scan: from staged rows to the states of every key after every cell, in one job, and the record of it.

Every task reads the staged files itself and keeps its share. The record is an asset, as a scan's is: whoever reads it proves
every file that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.dataflow import Step
from ofs_spark.foundation.columnar.notes import read_notes
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.documents import DocumentKind, digest_content, read_document
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import OwnedRef, name_fold_record, name_staged_rows
from ofs_spark.parity.cells import CellMap, map_cells
from ofs_spark.parity.folding import FoldKeys, Shard
from ofs_spark.parity.repeats import CellCounts, FindRepeats, add_counts
from ofs_spark.replay.scan_job import Scan
from ofs_spark.replay.staged import StagedFile, prove_staged

SCHEMA_VERSION = "ofs.fold_record.v1"
KIND = DocumentKind(SCHEMA_VERSION, "fold record", "REF_ACCESS_DENIED", "SCHEMA_INVALID", max_bytes=256 * 1024 * 1024)
SHARE_ROWS = 1_500_000
"""Rows of a task's share: some 200 bytes each."""


@dataclass(frozen=True)
class Folded:
    """counts: int64 of shape (cells, KINDS), what each cell adds whatever the anchor. cells: where positions lie."""

    shards: tuple[Shard, ...]
    counts: Array
    cells: CellMap
    made_of: str

    @property
    def files(self) -> list[StagedFile]:
        """All files of all shards."""
        return [file for one in self.shards for file in (one.keys, one.states, one.rivals)]


def fold_states(
    engine: Engine, objects: Objects, scan: Scan, cells: int, folder: OwnedRef, share_rows: int = SHARE_ROWS
) -> Folded:
    """The states after each of `cells` cells: the basis that was scanned. Files go to `folder`.

    An earlier fold of the same staged rows is taken as it stands, if its files are whole.
    """
    made_of = digest_inputs(scan, cells)
    found = find_folded(objects, folder, scan, cells)
    if found and prove_staged(engine, objects, found.files):
        return found
    files, located = tuple(scan.staged), map_cells(cells, scan.completeness.slices)
    width = max(1, -(-sum(file.rows for file in files) // share_rows))
    steps = [
        Step("find repeats", FindRepeats(objects, files, located, width, width), width),
        Step("fold keys", FoldKeys(objects, folder, files, located, width), 0),
    ]
    notes = engine.run([str(share).encode() for share in range(width)] if files else [], steps)
    shards = sorted(read_notes(notes, Shard), key=lambda one: one.keys.sha256)
    folded = Folded(tuple(shards), add_counts(read_notes(notes, CellCounts), cells), located, made_of)
    _write_record(objects, folder, folded)
    return folded


def digest_inputs(scan: Scan, cells: int) -> str:
    """What a fold is made of: the staged rows, and the cells as order numbers."""
    slices = [[one.ordinal, one.partition_ordinal, one.first_seq, one.last_seq] for one in scan.completeness.slices]
    return digest(
        {"cells": cells, "slices": slices, "staged": sorted([one.sha256, one.arrival_before] for one in scan.staged)}
    )


def _write_record(objects: Objects, folder: OwnedRef, folded: Folded) -> None:
    counted = np.flatnonzero(folded.counts.any(axis=1))
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "made_of": folded.made_of,
        "counts": [[int(cell), *folded.counts[cell].tolist()] for cell in counted],
        "shards": [
            {
                name: {"sha256": file["sha256"], "rows": file["rows"], "bytes": file["bytes"]}
                for name, file in asdict(one).items()
            }
            for one in folded.shards
        ],
    }
    document["digest"] = digest_content(document)
    require_valid(document, SCHEMA_VERSION)
    objects.replace(name_fold_record(folder), encode_canonical(document))


def find_folded(objects: Objects, folder: OwnedRef, scan: Scan, cells: int) -> Folded | None:
    """What a fold of these staged rows left, as far as its record says; None where there is none. Files are not proven."""
    try:
        document = read_document(objects, KIND, name_fold_record(folder))
    except (Refusal, OSError):
        return None
    made_of = digest_inputs(scan, cells)
    if document["made_of"] != made_of or document["digest"] != digest_content(document):
        return None
    counts = add_counts(
        [CellCounts([one[0] for one in document["counts"]], [one[1:] for one in document["counts"]])], cells
    )
    shards = [Shard(**{name: _read_file(folder, file) for name, file in one.items()}) for one in document["shards"]]
    return Folded(tuple(shards), counts, map_cells(cells, scan.completeness.slices), made_of)


def _read_file(folder: OwnedRef, one: Mapping[str, Any]) -> StagedFile:
    return StagedFile(name_staged_rows(folder, one["sha256"]), one["sha256"], one["rows"], one["bytes"])
