"""The closed grammar of conditions: {path, one comparison}, {path, is_null}, {all|any: […]}, {not: …}."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ofs_spark.pins.profile.faults import Digits, Faults, read_items
from ofs_spark.pins.profile.model import PLAIN_NAME, RECORD, RECORD_COLUMNS, Condition, Path

COMPARISONS = ("eq", "ne", "in", "lt", "le", "gt", "ge")
MOST_DEPTH = 16


_PART = re.compile(rf'"(?:[^"\\]|\\.)*"|{PLAIN_NAME}')
"""One part of a path: a name as it is, or in double quotes as a JSON string."""


def parse_path(value: Any, pointer: str, faults: Faults, columns: bool = False) -> Path:
    """A dotted path below `payload` as member names from the envelope's root; with `columns` also the record's columns."""
    parts = split_path(value) if isinstance(value, str) and not isinstance(value, Digits) else ()
    if columns and parts in RECORD_COLUMNS:
        return (RECORD, *parts)
    if len(parts) < 2 or parts[0] != "payload":
        also = f" or one of {', '.join(name for (name,) in RECORD_COLUMNS)}" if columns else ""
        required = 'a path below payload, such as payload.amount or payload."card.id"'
        faults.add(pointer, f"is {value!r:.80}; {required}{also}, is required")
        return ("payload", "?")
    return parts


def split_path(text: str) -> Path:
    """The parts of a dotted path; () for a text that is none. A part in double quotes is read as a JSON string."""
    parts: list[str] = []
    at = 0
    while found := _PART.match(text, at):
        part = _read_part(found[0])
        if not part:
            return ()
        parts.append(part)
        at = found.end()
        if at == len(text):
            return tuple(parts)
        if text[at] != ".":
            return ()
        at += 1
    return ()


def _read_part(written: str) -> str:
    """The name a part stands for; "" for one that is no JSON string, or that UTF-8 cannot hold."""
    try:
        name: str = json.loads(written) if written[0] == '"' else written
        name.encode()
    except ValueError:
        return ""
    return name


def compile_condition(document: Any, pointer: str, faults: Faults, depth: int = 0) -> Condition:
    """The condition a document states."""
    nothing = Condition("all")
    if not isinstance(document, Mapping) or depth > MOST_DEPTH:
        faults.add(pointer, f"must be a condition, at most {MOST_DEPTH} levels deep")
        return nothing
    if "path" in document:
        return _compile_leaf(document, pointer, faults)
    if len(document) == 1 and (op := next(iter(document))) in ("all", "any", "not"):
        given = [document[op]] if op == "not" else read_items(document[op], f"{pointer}/{op}", faults)
        if not given:
            faults.add(f"{pointer}/{op}", "needs at least one condition")
            return nothing
        at = f"{pointer}/{op}"
        return Condition(
            op,
            parts=tuple(
                compile_condition(part, at if op == "not" else f"{at}/{i}", faults, depth + 1)
                for i, part in enumerate(given)
            ),
        )
    faults.add(pointer, "is one of {path, eq|ne|in|lt|le|gt|ge|is_null: …}, {all: […]}, {any: […]}, {not: …}")
    return nothing


def _compile_leaf(document: Mapping[str, Any], pointer: str, faults: Faults) -> Condition:
    path = parse_path(document["path"], f"{pointer}/path", faults, columns=True)
    ops = [key for key in document if key != "path"]
    if len(ops) != 1 or ops[0] not in (*COMPARISONS, "is_null"):
        faults.add(pointer, f"needs exactly one of {', '.join((*COMPARISONS, 'is_null'))} beside path")
        return Condition("all")
    op, at = ops[0], f"{pointer}/{ops[0]}"
    if op == "in":
        given = read_items(document[op], at, faults)
        if not given:
            faults.add(at, "needs at least one constant")
        return Condition(op, path, tuple(_compile_constant(item, f"{at}/{i}", faults) for i, item in enumerate(given)))
    constant = _compile_constant(document[op], at, faults)
    if op == "is_null" and constant[0] != "bool":
        faults.add(at, "must be true or false")
    return Condition(op, path, (constant,))


def _compile_constant(value: Any, pointer: str, faults: Faults) -> tuple[str, str]:
    if isinstance(value, bool):
        return "bool", "true" if value else "false"
    if isinstance(value, Digits):
        return "number", str(value)
    if isinstance(value, str):
        return "string", value
    faults.add(pointer, "is no constant: a text, a number or a boolean is required (use is_null for null)")
    return "string", ""
