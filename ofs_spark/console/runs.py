"""Runs, as people read them: the pages of `ofs status`, `ofs ledger` and `ofs cancel`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TextIO

from ofs_spark.console.answers import NOTHING, describe, show_minute, show_value
from ofs_spark.console.screen import GAP, Screen, Styled, TableColumn
from ofs_spark.foundation.clock import SECOND_US, format_instant, parse_instant
from ofs_spark.foundation.wording import write_count

RUN = TableColumn("RUN", least=10)
RUNS = (
    RUN,
    TableColumn("STARTED", True),
    TableColumn("STATE", True),
    TableColumn("OUTCOME"),
    TableColumn("DATASET", least=13),
    TableColumn("REQUEST"),
)
LEDGER = (RUN, TableColumn("STATE", True), TableColumn("STARTED", True), TableColumn("TOOK", True))
CANCELLED = {
    "CANCEL_REQUESTED": "asked to end: its driver {owner} does at its next heartbeat, or at the fence before its commit",
    "CANCELLED": "ended: its driver was gone, and the run is FAILED; the same build command starts it again",
    "ALREADY_PUBLISHED": "nothing was cancelled: the dataset stands",
    "NOT_RUNNING": "nothing runs: the run is {state}",
}
"""What `ofs cancel` says of each outcome."""
EVENTS = (TableColumn("AT", whole=True), TableColumn("CHANGE"), TableColumn("REASON"))


def print_status(answer: Mapping[str, Any], stream: TextIO | None = None, program: str = "ofs") -> None:
    """Runs of a ledger, one line each; one run whole, with its transitions. `program`: as it was called, for what to run
    next."""
    screen = Screen(stream or sys.stdout)
    if "runs" not in answer:
        _print_run(screen, answer, program)
        return
    runs = answer["runs"]
    if not runs:
        screen.print_line("the ledger holds no run")
        return
    cut = screen.print_table(RUNS, map(_list_cells, runs))
    older = answer.get("total", len(runs)) - len(runs)
    if older > 0:
        screen.print_line()
        screen.print_line(f"and {write_count(older, 'older run')}; all of them: {program} status --all")
    _tell_of_cuts(screen, cut, f"{program} --json status")


def _list_cells(run: Mapping[str, Any]) -> list[str]:
    dataset, request = (show_value(run[name]) for name in ("dataset_manifest_id", "request_id"))
    minute, outcome = show_minute(run["started_at_utc"]), show_value(run["outcome"])
    return [run["run_key"], minute, run["state"], outcome, dataset, request]


def _print_run(screen: Screen, run: Mapping[str, Any], program: str) -> None:
    """One run: everything that its line in a list has, and its transitions."""
    names = {
        "run": "run_key",
        "request": "request_id",
        "state": "state",
        "outcome": "outcome",
        "attempts": "attempts",
        "dataset": "dataset_manifest_id",
        "started": "started_at_utc",
        "ended": "ended_at_utc",
    }
    screen.print_pairs({name: [show_value(run[member])] for name, member in names.items()})
    screen.print_line()
    changes = (
        (format_instant(one["at"]), f"{one['before'] or NOTHING} → {one['after']}", one["reason"])
        for one in run["events"]
    )
    cut = screen.print_table(EVENTS, changes)
    _tell_of_cuts(screen, cut, f"{program} --json status {run['run_key']}")


def _tell_of_cuts(screen: Screen, cut: bool, whole: str) -> None:
    if cut:
        screen.print_line()
        screen.print_line(f"… marks what was cut; whole: {whole}")


def print_ledger_list(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Runs, one a line, with the minute in which they began and how long they took."""
    screen = Screen(stream or sys.stdout)
    if not answer["runs"]:
        screen.print_line("the ledger holds no such run")
        return
    rows = []
    for run in answer["runs"]:
        began, ended = run["started_at_utc"], run["ended_at_utc"]
        took = str(timedelta(seconds=(parse_instant(ended) - parse_instant(began)) // SECOND_US)) if ended else NOTHING
        rows.append((run["run_key"], run["state"], show_minute(began), took))
    screen.print_table(LEDGER, rows)


def print_ledger_run(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Everything that the ledger holds of a run; an event's detail a key and its value a line."""
    screen = Screen(stream or sys.stdout)
    told = {name: value for name, value in answer.items() if name not in ("events", "last_answer", "where")}
    screen.print_pairs(describe(screen, told, indent=0))
    for event in answer["events"]:
        screen.print_line()
        change = f"{event['before'] or NOTHING} → {event['after']}"
        screen.print_line(
            event["at_utc"], GAP, change, GAP, Styled(event["reason"], "bold"), f"  claim {event['token']}"
        )
        screen.print_pairs(describe(screen, event["detail"], indent=2), indent="  ")


def print_cancel(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """What became of the wish to end a run, and when another driver may take it over."""
    screen = Screen(stream or sys.stdout)
    said = CANCELLED[answer["outcome"]].format(owner=answer["owner"], state=answer["state"])
    screen.print_line(Styled(f"run {answer['run_key']}", "bold"), f" {said}")
    if answer.get("manifest_ref"):
        screen.print_line("manifest: ", answer.get("manifest_path") or answer["manifest_ref"])
    elif answer["lease_until"]:
        until = f"after {answer['lease_until']}, should the driver be gone, cancel or build again to take the run over"
        screen.print_line(until, "; on the driver's own machine at once")
    if answer["next"]:
        screen.print_line("next: ", Styled(answer["next"], "bold"))
