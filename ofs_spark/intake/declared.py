"""What somebody says of their own files: which column is what. Options of the command, or a map in YAML with the same names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ofs_spark.foundation.canonical import CanonicalError, digest
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.errors import show_text
from ofs_spark.foundation.files import read_file
from ofs_spark.foundation.nearest import find_nearest
from ofs_spark.foundation.ports import ObjectTooLarge
from ofs_spark.foundation.strict_yaml import MAX_YAML_BYTES, parse_yaml
from ofs_spark.intake.csv_rows import COMMA, COMMAS, SEPARATORS, Separator
from ofs_spark.intake.rows import is_path_part
from ofs_spark.labels.terms import VOCABULARY
from ofs_spark.pins.profile.model import MOST_GROUPS

FILES = ("events", "labels")
LISTS = ("id-from", "key")
PAIRS = "label-map"
SEPARATOR, LABEL_SEPARATOR = "separator", "label-separator"
COLUMNS = (
    "id",
    "time",
    "type",
    "arrival",
    "partition-by",
    "partition",
    "offset",
    "label-event",
    "label-value",
    "label-observed",
    "label-effective",
)
NAMES = (*FILES, *LISTS, PAIRS, SEPARATOR, LABEL_SEPARATOR, *COLUMNS, "type-is", "label-type")
"""Every name that an option, or a map, may state."""
DELIVERED = ("arrival", "offset", "partition")
_OF_LABELS = ("label-event", "label-type", "label-value", "label-observed")


@dataclass(frozen=True)
class Delivered:
    """Columns that say how an event was delivered, and are no part of it. "": not stated."""

    arrival: str = ""
    offset: str = ""
    partition: str = ""

    @property
    def columns(self) -> frozenset[str]:
        """Those that are stated."""
        return frozenset({self.arrival, self.offset, self.partition} - {""})

    @property
    def order(self) -> str:
        """What events of a partition are put in order by: `offset`, `arrival`, or "" for as they are read."""
        return "offset" if self.offset else "arrival" if self.arrival else ""


@dataclass(frozen=True)
class EventColumns:
    """What the columns of the events are. id_from: columns that an id is hashed from, where no column is one.

    type_is: the type of every event, where no column names it. "": not stated.
    """

    file: Path
    id: str
    id_from: tuple[str, ...]
    time: str
    type: str
    type_is: str
    keys: tuple[str, ...]
    delivered: Delivered
    partition_by: str
    separator: Separator = COMMAS

    @property
    def named(self) -> dict[str, str]:
        """Column → the option that names it."""
        single = {"--id": self.id, "--time": self.time, "--type": self.type, "--partition-by": self.partition_by}
        single |= {f"--{name}": getattr(self.delivered, name) for name in DELIVERED}
        several = {"--id-from": self.id_from, "--key": self.keys}
        listed = [(column, option) for option, columns in several.items() for column in columns]
        return dict([*listed, *((column, option) for option, column in single.items() if column)])


@dataclass(frozen=True)
class LabelColumns:
    """What the columns of the labels are. values: seen → meant; None: the file already has the words of the label type."""

    file: Path
    event: str
    type: str
    value: str
    observed: str
    effective: str
    values: Mapping[str, str] | None
    separator: Separator = COMMAS

    @property
    def named(self) -> dict[str, str]:
        """Column → the option that names it."""
        options = {
            "--label-event": self.event,
            "--label-value": self.value,
            "--label-observed": self.observed,
            "--label-effective": self.effective,
        }
        return {column: option for option, column in options.items() if column}


@dataclass(frozen=True)
class Declared:
    """What is imported, and how its columns are read."""

    events: EventColumns
    labels: LabelColumns | None
    digest: str
    """`H` of the names of columns and of what they mean; the files' own names are no part of it."""


def read_declared(stated: Mapping[str, Any], map_file: Path | None) -> Declared:
    """What options and map say together. WrongArgument where they clash, or leave out or contradict what is needed.

    stated: option, without dashes → path, column, list of columns or mapping; None where it is not given.
    """
    given = {name: one for name, one in stated.items() if one is not None}
    mapped = {} if map_file is None else _read_map(map_file)
    for name in mapped:
        if name in given:
            raise WrongArgument(f"--{name} is given, and {map_file} states {name} too: state it in one place")
    found = {**mapped, **given}
    _require_whole(found)
    labels = _describe_labels(found) if "labels" in found else None
    meant = {name: one for name, one in found.items() if name not in (*FILES, SEPARATOR, LABEL_SEPARATOR)}
    declared = digest({"recipe": "ofs.import.declared.v1", "columns": meant})
    return Declared(_describe_events(found), labels, declared)


def _describe_events(found: Mapping[str, Any]) -> EventColumns:
    def state(name: str) -> str:
        """What is stated, "" for nothing."""
        return str(found.get(name, ""))

    return EventColumns(
        file=Path(found["events"]),
        id=state("id"),
        id_from=tuple(found.get("id-from", ())),
        time=state("time"),
        type=state("type"),
        type_is=state("type-is"),
        keys=tuple(dict.fromkeys(found.get("key", ()))),
        delivered=Delivered(*map(state, DELIVERED)),
        partition_by=state("partition-by"),
        separator=_read_separator(found, SEPARATOR),
    )


def _read_separator(found: Mapping[str, Any], name: str) -> Separator:
    stated = found.get(name, found.get(SEPARATOR, COMMA))
    mark: str = SEPARATORS.get(stated, stated)
    if mark not in SEPARATORS.values():
        raise WrongArgument(f"--{name} {show_text(stated)}: one of {', '.join(SEPARATORS)} is required")
    return Separator(mark, f"--{name}")


def _describe_labels(found: Mapping[str, Any]) -> LabelColumns:
    kind = found["label-type"]
    if kind not in VOCABULARY:
        raise WrongArgument(f"--label-type {show_text(kind)}: {name_nearest(kind, VOCABULARY, 'label type')}")
    values = found.get(PAIRS)
    for meant in (values or {}).values():
        if meant not in VOCABULARY[kind]:
            message = f"--label-map: {show_text(meant)} is no value of {kind}; one of {', '.join(VOCABULARY[kind])} is required"
            raise WrongArgument(message)
    columns = (found["label-event"], kind, found["label-value"], found["label-observed"])
    return LabelColumns(
        Path(found["labels"]),
        *columns,
        found.get("label-effective", ""),
        values,
        _read_separator(found, LABEL_SEPARATOR),
    )


def _require_whole(found: Mapping[str, Any]) -> None:
    """WrongArgument unless everything that an import needs is stated, and nothing twice."""
    for name, stated in found.items():
        if name != PAIRS and not all(is_path_part(one) for one in (stated if name in LISTS else [str(stated)])):
            raise WrongArgument(f"--{name}: a name that is text, and not empty, is required")
    for name in ("events", "time"):
        if name not in found:
            raise WrongArgument(f"--{name} is required, as an option or in the map")
    for either, other in (("id", "id-from"), ("type", "type-is")):
        if (either in found) == (other in found):
            raise WrongArgument(f"one of --{either} and --{other} is required, and not both")
    _require_events(found)
    lacking = [name for name in _OF_LABELS if name not in found]
    if "labels" in found and lacking:
        raise WrongArgument(f"--labels needs --{lacking[0]} too")
    stray = [name for name in (*_OF_LABELS, "label-effective", LABEL_SEPARATOR, PAIRS) if name in found]
    if "labels" not in found and stray:
        raise WrongArgument(f"--{stray[0]} is given without --labels")


def _require_events(found: Mapping[str, Any]) -> None:
    """WrongArgument for what is said of events and contradicts itself, or can be in no profile and no archive."""
    if len(set(found.get("key", ()))) > MOST_GROUPS:
        raise WrongArgument(f"--key: a profile has {MOST_GROUPS} groups at most")
    if "partition" in found and "offset" not in found:
        raise WrongArgument("--partition is given without --offset; --partition-by deals events to partitions")
    if "partition-by" in found and "offset" in found:
        raise WrongArgument(
            "--partition-by is given beside --offset; --partition names the column that offsets belong to"
        )
    own = {one: name for name in ("id", "id-from", "key") for one in _list_columns(found.get(name, ()))}
    for name in DELIVERED:
        if found.get(name) in own:
            message = f"--{name} and --{own[found[name]]} name one column; how an event was delivered is no part of it"
            raise WrongArgument(message)
    kind = found.get("type-is")
    if kind is not None and (kind != kind.strip() or not kind.isprintable()):
        raise WrongArgument("--type-is: a line of text without blanks at its ends is required")


def _list_columns(stated: str | Iterable[str]) -> list[str]:
    return [stated] if isinstance(stated, str) else list(stated)


def _read_map(file: Path) -> dict[str, Any]:
    """The map's statements by name. Paths in it count from its own folder."""
    try:
        found = parse_yaml(read_file(file, MAX_YAML_BYTES), what=f"the map {file}", number=str)
    except (OSError, ObjectTooLarge) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no map"
        raise WrongArgument(f"cannot read the map {file}: {reason}") from None
    except CanonicalError as error:
        raise WrongArgument(str(error)) from None
    if not isinstance(found, dict):
        raise WrongArgument(f"the map {file} is no mapping of option names to columns")
    for name, value in found.items():
        if name not in NAMES:
            raise WrongArgument(f"the map {file}: {show_text(name)}: {name_nearest(name, NAMES, 'name')}")
        if not _fits(name, value):
            kind = "a list of columns" if name in LISTS else "a mapping" if name == PAIRS else "a text"
            raise WrongArgument(f"the map {file}: {name} must be {kind}")
    return {name: str(file.parent / value) if name in FILES else value for name, value in found.items()}


def _fits(name: str, value: Any) -> bool:
    if name == PAIRS:
        return isinstance(value, dict) and bool(value) and all(isinstance(one, str) for one in value.values())
    if name in LISTS:
        return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
    return isinstance(value, str)


def show_name(name: str) -> str:
    """A name as messages show it; in quotes where its ends could not be seen."""
    shown = show_text(name)
    return f'"{shown}"' if name == "" or name != name.strip() else shown


def name_nearest(name: str, known: Iterable[str], noun: str) -> str:
    """That a name is none of those known, and which of them is the nearest."""
    names = list(known)
    holding = (one for one in names if name and name.casefold() in one.casefold())
    near = find_nearest(name, names, 0.5) or next(holding, "")
    if near:
        return f"there is no such {noun}; the nearest is {show_name(near)}"
    listed = ", ".join(show_name(one) for one in names[:12])
    return (
        f"there is no such {noun}; there are {listed}{', …' if len(names) > 12 else ''}"
        if names
        else f"there is no {noun}"
    )
