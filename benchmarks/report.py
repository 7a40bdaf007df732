"""What every benchmark writes: the machine, the versions, each run; one JSON document a run under results/."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from ofs_spark.foundation.config import read_code_release

ROOT = Path(__file__).resolve().parents[1]


def describe_machine(**versions: str) -> dict[str, Any]:
    """This machine, its Python, the code release, and the versions of what was measured."""
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "platform": platform.platform(),
        "python": platform.python_version(),
        **versions,
        "release": read_code_release(),
    }


def name_results(kind: str) -> Path:
    """benchmarks/results/{UTC now}-{kind}.json, relative to the repository."""
    return Path("benchmarks", "results", f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{kind}.json")


def write_results(kind: str, document: dict[str, Any], target: Path | None = None) -> Path:
    """Writes a document as `target`, else as `name_results` says; the path, relative to the repository."""
    target = target or name_results(kind)
    (ROOT / target).write_text(json.dumps(document, indent=1, default=str) + "\n")
    return target


def find_newest(kind: str) -> Path:
    """The newest results of a kind."""
    return max((ROOT / "benchmarks" / "results").glob(f"*-{kind}.json"), key=lambda path: path.name)


def print_table(title: str, rows: Mapping[str, Mapping[str, float | str]]) -> None:
    """A table: a row per name, a column per figure that some row has."""
    table = Table(title=title)
    headings = list(dict.fromkeys(heading for row in rows.values() for heading in row))
    for heading in ("", *headings):
        table.add_column(heading)
    for name, row in rows.items():
        table.add_row(name, *(_write(row.get(heading, "")) for heading in headings))
    Console().print(table)


def _write(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.2f}"
