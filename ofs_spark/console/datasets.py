"""Published datasets, as people read them: the page of `ofs datasets`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from ofs_spark.console.answers import NOTHING, show_minute
from ofs_spark.console.screen import Screen, TableColumn
from ofs_spark.foundation.wording import write_count

DATASETS = (
    TableColumn("DATASET", least=13),
    TableColumn("STATUS", True),
    TableColumn("ROWS", True),
    TableColumn("FEATURES"),
    TableColumn("AS OF", True),
    TableColumn("BUILT", True),
    TableColumn("TABLE", True, below=True),
)
_STANDING = ("TRAINING_READY", "NON_TRAINING")
_MIDNIGHT = "T00:00"


def print_datasets(answer: Mapping[str, Any], stream: TextIO | None = None, program: str = "ofs") -> None:
    """Datasets, the newest first, one a line. `program`: as it was called, for what to run next."""
    screen, shown = Screen(stream or sys.stdout), answer["datasets"]
    if not shown:
        screen.print_line("the ledger knows no dataset")
        return
    cut = screen.print_table(DATASETS, map(_list_cells, shown))
    older = answer["total"] - len(shown)
    if older > 0:
        screen.print_line()
        screen.print_line(f"and {write_count(older, 'older dataset')}; all of them: {program} datasets --all")
    if cut:
        screen.print_line()
        screen.print_line(f"… marks what was cut; whole: {program} --json datasets")


def _list_cells(dataset: Mapping[str, Any]) -> list[str]:
    superseded = dataset["superseded_by"] and dataset["status"] in _STANDING
    rows, as_of = dataset["rows"], show_minute(dataset["label_asof_utc"])
    return [
        dataset["dataset_manifest_id"],
        "SUPERSEDED" if superseded else dataset["status"],
        NOTHING if rows is None else f"{rows:,}",
        dataset["feature_set"] or NOTHING,
        as_of.removesuffix(f"{_MIDNIGHT}Z"),
        show_minute(dataset["committed_at_utc"]),
        dataset.get("table_path") or dataset["table_ref"] or NOTHING,
    ]
