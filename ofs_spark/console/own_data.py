"""What people see of an import."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from ofs_spark.console.screen import Screen, Styled, TableColumn
from ofs_spark.foundation.wording import write_count

REASONS = (
    TableColumn("ROWS", True),
    TableColumn("FIRST LINE", True),
    TableColumn("FILE"),
    TableColumn("COLUMN"),
    TableColumn("REASON", True),
)
SHOWN = 20
"""Reasons that people are shown."""


def print_import(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Where everything stands, how many rows were taken, why others were not, and the command that builds."""
    screen = Screen(stream or sys.stdout)
    where = f", each in {answer['rejected_path']}" if answer["rejected"] else ""
    facts = {
        "run": [answer["platform_run_id"]],
        "events": [f"{answer['events']:,}"],
        "labels": [f"{answer['labels']:,}, known up to {answer['label_asof_utc']}"],
        "rejected": [f"{write_count(answer['rejected'], 'row')}{where}"],
        "knowledge": [answer["knowledge"]],
        **{name: [answer[name]] for name in ("wiring", "intent", "profile", "policy", "sample") if name in answer},
        **{name: [answer[f"{name}_ref"]] for name in ("index", "extract")},
    }
    screen.print_pairs(facts)
    reasons = answer["reasons"]
    if reasons:
        screen.print_line()
        screen.print_table(REASONS, map(_list_cells, reasons[:SHOWN]))
        if len(reasons) > SHOWN:
            screen.print_line(f"and {len(reasons) - SHOWN:,} more reasons; `--json` lists all")
    for note in answer["notes"]:
        screen.print_line()
        screen.print_line("note: ", note)
    screen.print_line()
    screen.print_line("next: ", Styled(answer["next"], "bold"))


def _list_cells(reason: Mapping[str, Any]) -> list[str]:
    return [
        f"{reason['rows']:,}",
        str(reason["first_line"]),
        reason["file"],
        reason["column"] or "the row",
        reason["reason"],
    ]
