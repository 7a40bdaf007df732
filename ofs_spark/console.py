"""What people see: which room is at work, an answer as a short table, a refusal with the next command."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ofs_spark.foundation.clock import format_instant

ROOMS = ("intent", "pins", "replay", "labels", "features", "publish", "signals")


def silent(room: str, detail: str) -> None:
    """Reports nothing."""


class Progress:
    """One line per piece of work: seconds since the start, the room, what it does. Plain text without a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._start = time.monotonic()

    def __call__(self, room: str, detail: str) -> None:
        """Tells people that `room` now does `detail`."""
        elapsed = time.monotonic() - self._start
        self._console.print(f"[dim]{elapsed:6.1f}s[/dim]  [bold]{room:<9}[/bold] {escape(detail)}")


def print_answer(answer: dict[str, Any]) -> None:
    """An answer's scalars as a two-column table; what is nested is indented JSON."""
    _print_pairs({key: _text(value) for key, value in answer.items()})


def _print_pairs(pairs: Mapping[str, str]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # what people copy is never cut off
    for key, value in pairs.items():
        table.add_row(f"[bold]{key}[/bold]", escape(value))
    Console(highlight=False).print(table)


def print_checks(answer: dict[str, Any]) -> None:
    """A verification: one line per check, and what was found where one failed."""
    console = Console(highlight=False)
    for check in answer["checks"]:
        verdict = "[green]ok[/green]    " if check["ok"] else "[red]FAILED[/red]"
        console.print(f"{verdict}  {check['name']}", soft_wrap=True)
        if not check["ok"]:
            console.print(f"        found    {escape(check['found'])}", soft_wrap=True)
            console.print(f"        expected {escape(check['expected'])}", soft_wrap=True)
    passed = sum(check["ok"] for check in answer["checks"])
    verdict = "verified" if answer["verified"] else "NOT verified"
    console.print(f"\n[bold]{verdict}[/bold]: {passed} of {len(answer['checks'])} checks", soft_wrap=True)


def print_manifest(manifest: dict[str, Any]) -> None:
    """A manifest's main facts; `--json` has all of it."""
    table, labels, columns = manifest["materialization"], manifest["labels"], manifest["columns"]
    counts, feature_set = manifest["replay"]["counts"], manifest["feature_definition_set"]
    features = [column["name"] for column in columns if column["role"] == "feature"]
    coverage = [f"{name} {one['ratios']['coverage']:.4%} resolved" for name, one in labels["coverage"].items()]
    facts = {
        "dataset": manifest["dataset_manifest_id"],
        "status": manifest["status"],
        "run": manifest["platform_run_id"],
        "features": f"{feature_set['feature_set_id']} {feature_set['feature_set_version']}, {len(features)} columns",
        "labels": f"{', '.join(coverage)}, as of {labels['label_asof_utc']}",
        "replay": ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items() if value),
        "gates": ", ".join(f"{gate['name']} {'passed' if gate['passed'] else 'FAILED'}" for gate in manifest["gates"]),
        "rows": f"{table['row_count']:,} in {table['files']['count']} files",
        "digest": table["content_digest"],
        "table": table["path"],
        "plan": manifest["plan_id"],
        "evidence": "\n".join(one["ref"] for _, one in sorted(manifest["evidence"].items())),
    }
    _print_pairs(facts)


def print_status(answer: dict[str, Any]) -> None:
    """Runs of a ledger, one line each; of one run also its transitions."""
    console = Console(highlight=False)
    runs = answer.get("runs", [answer])
    for run in runs:
        ended = f"{run['state']:<15} {run['outcome'] or '—'}"
        console.print(f"[bold]{run['run_key']}[/bold]  {ended}  {escape(run['request_id'])}", soft_wrap=True)
    for event in answer.get("events", []):
        change = f"{event['before'] or '—'} → {event['after']}"
        console.print(f"  {format_instant(event['at'])}  {change}  {event['reason']}", soft_wrap=True)
    if not runs:
        console.print("the ledger holds no run")


def print_refusal(answer: dict[str, Any]) -> None:
    """A refusal: code, message, every fault, the next command."""
    console = Console(stderr=True, highlight=False)
    console.print(
        f"[bold red]{answer['code']}[/bold red] ({answer['room']}): {escape(answer['message'])}", soft_wrap=True
    )
    details = dict(answer["details"])
    for fault in details.pop("faults", []):
        console.print(
            f"  [yellow]{escape(fault.get('pointer', ''))}[/yellow] {fault.get('code', '')}: {escape(fault.get('message', ''))}",
            soft_wrap=True,
        )
    for key, value in details.items():
        console.print(f"  {key}: {escape(_text(value))}", soft_wrap=True)
    if answer["next"]:
        console.print(f"next: [bold]{escape(answer['next'])}[/bold]", soft_wrap=True)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{k}={_text(v)}" for k, v in value.items())
    if isinstance(value, list) and value:
        return "\n".join(_text(v) for v in value[:20]) + (f"\n… and {len(value) - 20} more" if len(value) > 20 else "")
    if isinstance(value, float):
        return f"{value:.6g}"
    return "—" if value is None or value in ("", []) else str(value)
