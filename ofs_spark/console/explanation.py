"""Where a value comes from, as people read it: the value, its arithmetic, and its events or assertions, one a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from ofs_spark.console.answers import NOTHING, SHOWN
from ofs_spark.console.screen import GAP, Screen, Styled


def print_explanation(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """One column with what was considered for it; of a row every column with its arithmetic."""
    screen = Screen(stream or sys.stdout)
    about = _describe_event(answer)
    if "columns" in answer:
        screen.print_pairs(about)
        for one in answer["columns"]:
            screen.print_line()
            screen.print_line(Styled(one["name"], "bold"), GAP, _show_json(one["value"]))
            screen.print_line(GAP, one["arithmetic"])
        return
    told = {**about, **_describe_column(answer)}
    screen.print_pairs({name: lines for name, lines in told.items() if lines})
    shown = answer["contributing"][:SHOWN]
    if shown:
        screen.print_line()
    for one in shown:
        mark = Styled("counts  ", "green") if one["counted"] else Styled("not     ", "dim")
        screen.print_line(mark, *_describe_considered(one))
    more = len(answer["contributing"]) - len(shown) + answer["not_listed"]
    if more:
        screen.print_line()
        screen.print_line(f"and {more:,} more; `--json` lists {len(answer['contributing']):,}")


def _describe_event(answer: Mapping[str, Any]) -> dict[str, list[str]]:
    event, segments = answer["event"], answer["segments"]
    asked = segments["asked_for_arrivals"]
    arrivals = f", {asked:,} more for their arrivals" if asked else ""
    return {
        "dataset": [answer["dataset_manifest_id"]],
        "event": [event["event_id"]],
        "of": [f"{event['ts_utc']}  {event['event_type']}  {_show_position(event['position'])}"],
        "segments": [f"{segments['read']:,} of {segments['of']:,} read{arrivals}"],
    }


def _describe_column(answer: Mapping[str, Any]) -> dict[str, list[str]]:
    column, window, key = answer["column"], answer.get("window"), answer.get("key")
    return {
        "column": [f"{column['name']}: {column['meaning']}"],
        "value": [_show_json(answer["value"])],
        "stored": [_show_json(answer["stored"])],
        "arithmetic": [answer["arithmetic"]],
        "key": [GAP.join(f"{part}={text}" for part, text in key.items())] if key else [],
        "window": [f"after {window['after'] or NOTHING}, until {window['until'] or NOTHING}"] if window else [],
        "counted": [f"{answer['counted']:,}"],
        "not counted": [f"{count:,} {reason}" for reason, count in answer["reasons"]["not_counted"].items()],
    }


def _describe_considered(one: Mapping[str, Any]) -> tuple[str, ...]:
    """An event: when, where, its value. An assertion: its two times, its id, where it stands, its value."""
    times = [one[name] for name in ("ts_utc", "effective_time", "observed_time") if name in one]
    named = [one["assertion_id"]] if "assertion_id" in one else []
    operand = f"{one['operand']}: " if one.get("operand") else ""
    value = [] if one["value"] is None else [f"{operand}{_show_json(one['value'])}"]
    return (GAP.join([*times, *named, _show_position(one["position"]), *value, one["reason"]]),)


def _show_position(position: Mapping[str, Any]) -> str:
    if "file" in position:
        return f"{position['file']} row {position['row']}"
    return f"{position['topic']}/{position['partition']}/{position['offset']}"


def _show_json(value: Any) -> str:
    """A value with all its digits; a text as it is."""
    return value if isinstance(value, str) else json.dumps(value)
