"""The starter profile: small, commented, and made only of what the rows themselves show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import yaml

from ofs_spark.intake.numbers import Digits
from ofs_spark.pins.profile.model import format_path

SET_ID, SET_VERSION = "starter", "v1"
WINDOWS = ("1d", "7d", "30d")
MOST_VALUES = 4
"""Number columns that are summed; more are named in a comment."""
_CONSTANTS = ("true", "false", "null")
_HEAD = """\
# A starter profile, written by `ofs import` from the rows themselves. It is yours to change: every key, aggregate and
# condition is in docs/profile-reference.md. Once a dataset was built from a group, change the group under a new version.
"""
_NO_ARRIVAL = """\
# Arrival times are unknown: `knowledge: event_time` lets a feature see every event up to the anchor in event time, as if
# each had been known the moment it happened. With --arrival, `as_observed` sees only what had been delivered by then.
"""


def compose_starter(keys: Sequence[str], ids: Sequence[str], numbers: Mapping[str, Digits], knowledge: str) -> str:
    """The text of the profile: a group per key column; without one, a group of each event by itself.

    ids: the columns that tell events apart. numbers: the columns that are numbers in every row.
    """
    typed = {name: digits.type for name, digits in numbers.items()}
    summed = [name for name, kind in typed.items() if kind][:MOST_VALUES]
    groups = [[name] for name in keys] or [list(ids)]
    names = name_parts([columns[0] for columns in groups] if keys else ["event"])
    listed = ", ".join(f"{name}@v1" for name in names)
    text = _HEAD + (_NO_ARRIVAL if knowledge == "event_time" else "")
    text += "policy_id: own.features\nrevision: r1\nfeature_sets:\n"
    text += (
        f"  - {{feature_set_id: {SET_ID}, feature_set_version: {SET_VERSION}, groups: [{listed}]}}\nfeature_groups:\n"
    )
    for name, columns in zip(names, groups, strict=True):
        text += _write_group(name, columns, {one: typed[one] for one in summed}, knowledge)
    return text + _tell_left_out(typed, summed)


def _write_group(name: str, key: Sequence[str], values: Mapping[str, str], knowledge: str) -> str:
    lines = [f"  - name: {name}", "    version: v1", f"    key: [{', '.join(map(_write_path, key))}]"]
    lines.append(f"    knowledge: {knowledge}")
    named = dict(zip(name_parts(list(values)), values, strict=True))
    if named:
        lines.append("    values:    # a number in every row; text that is exactly a number is one too")
    for short, column in named.items():
        lines.append(f'      {short}: {{path: {_write_path(column)}, type: "{values[column]}", missing: fail}}')
    lines.append("    windows:")
    lines += [f"      - {{window: {one}, duration: {one}, ttl: {one}}}" for one in WINDOWS]
    lines += ["    features:", "      - {name: count, aggregate: count}"]
    for short in named:
        lines += [f"      - {{name: {short}_{what}, aggregate: {what}, value: {short}}}" for what in ("sum", "mean")]
    return "\n".join(lines) + "\n"


def _tell_left_out(typed: Mapping[str, str], summed: Sequence[str]) -> str:
    """A comment with the number columns that no group sums."""
    others = [name for name in typed if name not in summed]
    if not others:
        return ""
    shown = ", ".join(quote_yaml(name) for name in others[:20]) + (", …" if len(others) > 20 else "")
    return f"# Numbers in every row, too, and not summed here: {shown}\n"


def _write_path(column: str) -> str:
    return quote_yaml(format_path(("payload", column)))


def quote_yaml(text: str) -> str:
    """A text as YAML has it: plain where that is safe, else in double quotes."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text) and text.lower() not in _CONSTANTS:
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=False, width=2**31).rstrip("\n")


def name_parts(columns: Sequence[str]) -> list[str]:
    """A name for each column, of letters, digits and _, no two equal whatever their case, and none a constant of YAML."""
    found: list[str] = []
    taken = set(_CONSTANTS)
    for column in columns:
        bare = re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_")[:60] or "column"
        bare = bare if not bare[0].isdigit() else f"c_{bare}"
        name, number = bare, 2
        while name.lower() in taken:
            name, number = f"{bare}_{number}", number + 1
        taken.add(name.lower())
        found.append(name)
    return found
