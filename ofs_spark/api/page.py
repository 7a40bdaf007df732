"""What a notebook shows of a dataset: facts of its manifest, in one line or as a small table. None of the rows' values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.wording import write_count

SHOWN = 8
"""Names of one role that are shown."""
LONGEST = 120
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Facts:
    """A manifest, and the period of the part that is shown: since ≤ ts_utc < until, µs, None where it is open."""

    manifest: Mapping[str, Any]
    since: int | None
    until: int | None

    @property
    def part(self) -> str:
        """The period, "" for the whole dataset."""
        bounds = [("from", self.since), ("before", self.until)]
        return " ".join(f"{word} {_show_instant(at)}" for word, at in bounds if at is not None)


def describe_line(facts: Facts) -> str:
    """The dataset in one line."""
    manifest = facts.manifest
    roles = Counter(column["role"] for column in manifest["columns"])
    said = (
        write_count(manifest["materialization"]["row_count"], "row"),
        write_count(roles["feature"], "feature"),
        f"labels {', '.join(manifest['labels']['types']) or 'none'}",
        manifest["status"],
    )
    part = f", the part {facts.part}" if facts.part else ""
    return f"<Dataset {manifest['dataset_manifest_id']}: {', '.join(said)}{part}>"


def describe_html(facts: Facts) -> str:
    """The dataset as a small table: every text escaped, and cut where it is long."""
    rows = "".join(f"<tr><th>{_show(name)}</th><td>{_show(text)}</td></tr>" for name, text in _list_facts(facts))
    return f"<table><caption>OFS dataset</caption><tbody>{rows}</tbody></table>"


def _list_facts(facts: Facts) -> Iterator[tuple[str, str]]:
    manifest = facts.manifest
    table, labels, set_ = manifest["materialization"], manifest["labels"], manifest["feature_definition_set"]
    yield "dataset", manifest["dataset_manifest_id"]
    if facts.part:
        yield "part", facts.part
    yield "status", manifest["status"]
    yield "rows", f"{table['row_count']:,}{' in the whole' if facts.part else ''}"
    yield "feature set", f"{set_['feature_set_id']} {set_['feature_set_version']}"
    for name, one in labels["coverage"].items():
        yield f"label {name}", f"{one['ratios']['coverage']:.2%} resolved as of {labels['label_asof_utc']}"
    for role in dict.fromkeys(column["role"] for column in manifest["columns"]):
        yield role, _list_names([column["name"] for column in manifest["columns"] if column["role"] == role])
    yield "digest", table["content_digest"]


def _list_names(names: list[str]) -> str:
    more = f", … {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)}: {', '.join(map(_cut, names[:SHOWN]))}{more}"


def _show(text: str) -> str:
    return escape(text if len(text) <= SHOWN * LONGEST else _cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _show_instant(micros: int) -> str:
    try:
        return format_instant(micros)
    except OverflowError:
        return "beyond the year 9999"
