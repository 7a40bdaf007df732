"""Worlds and expectations as small text tables, for people who read the rules rather than the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.worlds.model import TOPIC, Row, Segment, World, envelope

DIVIDER = re.compile(r'\|(?=(?:[^"]*"[^"]*")*[^"]*$)')
COLUMNS = ("part", "offset", "event", "time", "arrives", "type", "run", "scenario")


@dataclass(frozen=True)
class Case:
    """A rule, a world, and what must come out of it: rows (only the columns shown), counts, coverage, or a code.

    `rows` maps event id to the shown columns; `columns` are all names of a row, in order.
    """

    rule: str
    world: World
    rows: Mapping[str, Mapping[str, Any]] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    coverage: Mapping[str, Mapping[str, Fraction]] = field(default_factory=dict)
    truncated: Mapping[str, int] = field(default_factory=dict)
    code: str | None = None
    columns: tuple[str, ...] = ()

    def shown(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Every row, by event id, cut down to the columns that this case shows of it."""
        wanted = self.rows or {}
        return {row["event_id"]: {k: row[k] for k in wanted.get(row["event_id"], ())} for row in rows}


def exactly(rows: Mapping[str, Mapping[str, Any]] | None) -> Any:
    """Rows that are equal only if every value has the same type, sign of zero and scale, too."""
    return rows and {event: {name: repr(value) for name, value in row.items()} for event, row in rows.items()}


def cells(text: str) -> list[dict[str, str]]:
    """Lines of cells divided by `|` outside quotes; the first line names the columns."""
    lines = [[cell.strip() for cell in DIVIDER.split(line)] for line in text.strip().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def moment(text: str) -> str:
    """`10:00:00` is on 2026-02-10; `17T10:00` on the 17th; short times are filled up with zeros."""
    day, _, clock = text.rpartition("T")
    return f"2026-02-{day or '10'}T{clock}{':00' * (2 - clock.count(':'))}Z"


def stream(text: str, topic: str = TOPIC, **index: Any) -> tuple[Segment, ...]:
    """One segment per partition. Columns beyond COLUMNS are payload fields as JSON text; an empty cell is absent."""
    rows: dict[int, list[Row]] = {}
    for number, line in enumerate(cells(text)):
        payload = "{" + ",".join(f"{json.dumps(k)}:{v}" for k, v in line.items() if k not in COLUMNS and v) + "}"
        columns: dict[str, Any] = {"event_type": line.get("type") or "card_payment"}
        columns |= {
            name: line[c] for c, name in (("run", "platform_run_id"), ("scenario", "scenario_run_id")) if line.get(c)
        }
        columns |= {"published_at_utc": moment(line["arrives"])} if line.get("arrives") else {}
        ts = moment(line["time"])
        body = envelope(line["event"], columns["event_type"], ts, payload)
        offset = int(line.get("offset") or number)
        rows.setdefault(int(line.get("part") or 0), []).append(Row(offset, line["event"], ts, body, **columns))
    return tuple(Segment(topic, part, tuple(same), **index) for part, same in sorted(rows.items()))


def expected(text: str, group: str = "g") -> dict[str, dict[str, Any]]:
    """event id → {column: value}; cells are JSON, an empty cell is null; a bare column name belongs to `group`."""
    table = {}
    for line in cells(text):
        event = line.pop("event")
        own = {c: c if "__" in c or c.startswith("_") else f"{group}__{c}" for c in line}
        table[event] = {own[c]: json.loads(v) if v else None for c, v in line.items()}
    return table
