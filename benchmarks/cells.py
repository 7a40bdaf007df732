"""Where a table differs from the build's, cell by cell, and why.

    python -m benchmarks.cells BUILT HINDSIGHT TABLE

Rows are matched by event id. HINDSIGHT is a build of the same intent whose features may know what was delivered after the
anchor. A cell that differs is, in this order, one of

- `rounding`: of a float, and within a billionth of the build's;
- `hindsight`: what the build with hindsight has, within a billionth where it is a float;
- `conflict`: a label where the build says that assertions contradict each other;
- `other`.

Prints one JSON document.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb

CLOSE = 1e-9
REASONS = ("rounding", "hindsight", "conflict", "other")


def compare_cells(built: Path, hindsight: Path, table: Path) -> dict[str, Any]:
    """`rows` of both, how many of the build's are `missing`, the `columns`, and per column that differs its cells by reason."""
    with duckdb.connect() as connection:
        for name, folder in (("built", built), ("late", hindsight), ("peer", table)):
            files = sorted(str(file) for file in folder.rglob("*.parquet") if "_delta_log" not in file.parts)
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({files})")
        described = connection.execute("DESCRIBE built").fetchall()
        columns = {name: kind for name, kind, *_ in described if name != "event_id"}
        counted = [_count(name, kind == "DOUBLE") for name, kind in columns.items()]
        question = f"SELECT count(*), count(peer.event_id), {', '.join(counted)} FROM built JOIN late USING (event_id)"
        ((rows, matched, *cells),) = connection.execute(f"{question} LEFT JOIN peer USING (event_id)").fetchall()
        ((theirs,),) = connection.execute("SELECT count(*) FROM peer").fetchall()
    each = zip(columns, (cells[at : at + len(REASONS)] for at in range(0, len(cells), len(REASONS))), strict=True)
    differing = {name: dict(zip(REASONS, own, strict=True)) for name, own in each if any(own)}
    matching = {"rows": rows, "rows_of_peer": theirs, "missing": rows - matched}
    return {**matching, "columns": list(columns), "differing": differing}


def _count(name: str, is_float: bool) -> str:
    differs = f"peer.event_id IS NOT NULL AND built.{name} IS DISTINCT FROM peer.{name}"
    close = f"coalesce(abs({{0}}.{name} - peer.{name}) <= {CLOSE} * abs({{0}}.{name}), false)" if is_float else "false"
    rounding = close.format("built")
    hindsight = f"({close.format('late')} OR late.{name} IS NOT DISTINCT FROM peer.{name})"
    conflict = f"('{name}' LIKE 'label\\_\\_%' ESCAPE '\\' AND built.{_find_status(name)} = 'CONFLICT')"
    tests = (
        rounding,
        f"NOT {rounding} AND {hindsight}",
        f"NOT {rounding} AND NOT {hindsight} AND {conflict}",
        f"NOT {rounding} AND NOT {hindsight} AND NOT {conflict}",
    )
    return ", ".join(f"count(*) FILTER ({differs} AND {test})" for test in tests)


def _find_status(name: str) -> str:
    """The status column of a label's column; of any other column the event id, which is no status."""
    parts = name.split("__")
    return f"{parts[0]}__{parts[1]}__status" if parts[0] == "label" else "event_id"


def main() -> None:
    """Compares the columns that the build has."""
    built, hindsight, table = map(Path, sys.argv[1:])
    print(json.dumps(compare_cells(built, hindsight, table)))


if __name__ == "__main__":
    main()
