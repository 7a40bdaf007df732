"""Answers, refusals and wrong use, as people read them. A value is whole unless the last line says that it was cut."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from ofs_spark.console.places import show_where
from ofs_spark.console.screen import GAP, Screen, Styled, TableColumn
from ofs_spark.foundation.wording import write_count

SHOWN = 20
"""Elements of a list that people are shown."""
NOTHING = "—"
ORPHANS = (TableColumn("KIND", True), TableColumn("HOURS", True), TableColumn("BYTES", True), TableColumn("REF", True))


def print_json(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """An answer for programs: one JSON object on one line, ASCII, members sorted."""
    (stream or sys.stdout).write(json.dumps(answer, ensure_ascii=True, sort_keys=True) + "\n")


def print_answer(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """An answer's members, a key and its value a line."""
    screen = Screen(stream or sys.stdout)
    where = {"where": show_where(answer["where"])} if "where" in answer else {}
    screen.print_pairs(describe(screen, {**answer, **where}, indent=0))


def print_validation(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Whether documents are valid, and every fault, one a line; a blank line between two files."""
    screen = Screen(stream or sys.stdout)
    for number, one in enumerate(answer.get("files", [answer])):
        if number:
            screen.print_line()
        screen.print_pairs({name: [show_value(one[name])] for name in ("file", "valid", "contract") if name in one})
        for fault in one["faults"]:
            screen.print_line("  ", _style_place(fault), f" {fault['code']}: {fault['message']}")


def print_checks(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """A verification: one line per check, and what was found where one failed."""
    screen = Screen(stream or sys.stdout)
    for check in answer["checks"]:
        verdict = Styled("ok    ", "green") if check["ok"] else Styled("FAILED", "red")
        screen.print_line(verdict, GAP, check["name"])
        if not check["ok"]:
            screen.print_line("        found    ", check["found"])
            screen.print_line("        expected ", check["expected"])
    passed = sum(check["ok"] for check in answer["checks"])
    screen.print_line()
    verdict = Styled("verified" if answer["verified"] else "NOT verified", "bold")
    screen.print_line(verdict, f": {passed} of {write_count(len(answer['checks']), 'check')}")


def print_manifest(
    manifest: Mapping[str, Any], stream: TextIO | None = None, addresses: Mapping[str, str] | None = None
) -> None:
    """A manifest's main facts; `--json` has all of it. addresses: of `table` and `manifest`, where they can be shown."""
    screen, known = Screen(stream or sys.stdout), dict(addresses or {})
    table, labels, columns = manifest["materialization"], manifest["labels"], manifest["columns"]
    counts, feature_set = manifest["replay"]["counts"], manifest["feature_definition_set"]
    features = [column["name"] for column in columns if column["role"] == "feature"]
    coverage = [f"{name} {one['ratios']['coverage']:.4%} resolved" for name, one in labels["coverage"].items()]
    replay = [f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items() if value]
    gates = [f"{gate['name']} {'passed' if gate['passed'] else 'FAILED'}" for gate in manifest["gates"]]
    indent = len("features" + GAP)
    facts = {
        "dataset": [manifest["dataset_manifest_id"]],
        "status": [manifest["status"]],
        "run": [manifest["platform_run_id"]],
        "features": [f"{_name_set(feature_set)}, {write_count(len(features), 'column')}"],
        "labels": screen.fill([*coverage, f"as of {labels['label_asof_utc']}"], ", ", indent),
        "replay": screen.fill(replay, ", ", indent),
        "gates": screen.fill(gates, ", ", indent),
        "rows": [f"{table['row_count']:,} in {write_count(table['files']['count'], 'file')}"],
        "digest": [table["content_digest"]],
        "table": [known.get("table") or table["path"]],
        **({"manifest": [known["manifest"]]} if known.get("manifest") else {}),
        "plan": [manifest["plan_id"]],
        "evidence": [one["ref"] for _, one in sorted(manifest["evidence"].items())],
        **({"chain": list(_describe_chain(manifest["chain"]))} if "chain" in manifest else {}),
        **({"retired": _describe_retirement(screen, manifest["retired"], indent)} if "retired" in manifest else {}),
    }
    screen.print_pairs(facts)


def _name_set(feature_set: Mapping[str, Any]) -> str:
    return f"{feature_set['feature_set_id']} {feature_set['feature_set_version']}"


def _describe_retirement(screen: Screen, retired: Mapping[str, Any], indent: int) -> list[str]:
    """Since when, and why."""
    return screen.fill([f"since {retired['retired_at_utc']}:", *retired["reason"].split()], " ", indent)


def _describe_chain(chain: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A dataset of a chain a line, the oldest first; this one is marked."""
    for place, one in enumerate(chain):
        more, mark = one.get("more", False), f"{GAP}this one" if one["role"] == "self" else ""
        why = f"{GAP}{one['reason_code']}" if "reason_code" in one else ""
        if more and not place:
            yield "… older ones"
        yield f"{one['dataset_manifest_id']}{mark}{why}"
        if more and place:
            yield "… newer ones"


def print_gc(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """What nobody refers to, and what became of it: one line per orphan, the totals, what was left as it is."""
    screen = Screen(stream or sys.stdout)
    found, removed, scanned = answer["found"], answer["removed"], answer["scanned"]
    if answer["orphans"]:
        rows = ([one["kind"], f"{one['age_hours']:,.1f}", f"{one['bytes']:,}", one["ref"]] for one in answer["orphans"])
        screen.print_table(ORPHANS, rows)
        screen.print_line()
    more = found["orphans"] - len(answer["orphans"])
    facts = {
        "scanned": [
            f"{write_count(scanned['objects'], 'object')} of {write_count(scanned['platform_runs'], 'platform run')}"
        ],
        "orphans": [f"{found['orphans']:,}: {_weigh(found)}"],
        "not shown": [f"{more:,} more"] if more else [],
        "kept": [", ".join(f"{count:,} {reason}" for reason, count in answer["kept"].items()) or NOTHING],
        "grace": [f"{answer['grace_hours']:g} h"],
        "removed": [_weigh(removed)] if answer["applied"] else [],
        "receipts": answer["receipts"],
        "left": answer["warnings"],
    }
    screen.print_pairs({name: lines for name, lines in facts.items() if lines})
    if found["orphans"] and not answer["applied"]:
        screen.print_line()
        screen.print_line("nothing was removed; `--apply` removes them")


def _weigh(objects: Mapping[str, int]) -> str:
    return f"{write_count(objects['objects'], 'object')}, {write_count(objects['bytes'], 'byte')}"


def print_refusal(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """A refusal, on standard error: code, message, every fault, what to do, the next command."""
    screen = Screen(stream or sys.stderr)
    screen.print_line(Styled(answer["code"], "red"), f" ({answer['room']}): {answer['message']}")
    details = dict(answer["details"])
    for fault in details.pop("faults", []):
        screen.print_line("  ", _style_place(fault), f" {fault.get('code', '')}: {fault.get('message', '')}")
    screen.print_pairs(describe(screen, details, indent=2), indent="  ")
    if "where" in answer:
        screen.print_line("where: ", show_where(answer["where"]))
    if "do" in answer:
        done = answer["do"]
        where = " at ".join(done[name] for name in ("file", "pointer") if name in done)
        screen.print_line("do:    ", done["text"], f" ({where})" if where else "")
    if answer["next"]:
        screen.print_line("next:  ", Styled(answer["next"], "bold"))


def _style_place(fault: Mapping[str, Any]) -> Styled:
    """Where a fault is: the document, where that is another one than was given, and the pointer inside it."""
    places = (fault.get(name) for name in ("ref", "pointer"))
    return Styled(" ".join(str(place) for place in places if place), "yellow")


def print_usage_error(message: str, usage: str = "", stream: TextIO | None = None) -> None:
    """Wrong use of the command, on standard error: how it is used, and what was wrong."""
    screen = Screen(stream or sys.stderr)
    for line in usage.splitlines():
        screen.print_line(line)
    screen.print_line(f"ofs: {message}")


def print_failure(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """An end that is no refusal, on standard error."""
    screen = Screen(stream or sys.stderr)
    stopped, stands = answer["reason"] in ("INTERRUPTED", "CANCELLED"), answer.get("manifest_ref")
    rest = f"the dataset stands: {stands}" if stands else "run the same command again to start over"
    said = f"stopped; {rest}" if stopped else f"{answer['message']}{f'; {rest}' if stands else ''}"
    screen.print_line()
    screen.print_line(f"ofs: {said}")


def describe(screen: Screen, members: Mapping[str, Any], indent: int) -> dict[str, Sequence[str]]:
    """Each member's lines: an element of a list begins one, an object's members fill as many as they need."""
    indent += max(map(len, members), default=0) + len(GAP)
    described: dict[str, Sequence[str]] = {}
    for key, value in members.items():
        if isinstance(value, list) and value:
            more = [f"… and {len(value) - SHOWN} more"] if len(value) > SHOWN else []
            described[key] = [line for one in value[:SHOWN] for line in _describe_value(screen, one, indent)] + more
        else:
            described[key] = _describe_value(screen, value, indent)
    return described


def _describe_value(screen: Screen, value: Any, indent: int) -> list[str]:
    """The lines of one value, those after the first set in."""
    if not (isinstance(value, dict) and value):
        return [show_value(value)]
    members = (f"{name}={show_value(one)}" for name, one in value.items())
    first, *others = screen.fill(members, GAP, indent + len(GAP))
    return [first, *(GAP + line for line in others)]


def show_minute(instant: str | None) -> str:
    """The minute of an instant."""
    return f"{instant[:16]}Z" if instant else NOTHING


def show_value(value: Any) -> str:
    """A member's value on one line."""
    if isinstance(value, dict) and value:
        return GAP.join(f"{name}={show_value(one)}" for name, one in value.items())
    if isinstance(value, list) and value:
        return ", ".join(show_value(one) for one in value[:SHOWN]) + (
            f", … and {len(value) - SHOWN} more" * (len(value) > SHOWN)
        )
    if isinstance(value, float):
        return f"{value:.6g}"
    return NOTHING if value is None or value in ("", [], {}) else str(value)
