"""Writes docs/profile-reference.md from the compiler of feature profiles and the kernels themselves.

Usage: profile_reference.py [--check]    (--check: says whether the file is what would be written)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ofs_spark.demo.world import PROFILE
from ofs_spark.features.kernel import GroupRows, Values, compute_group
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.profile.aggregates import AGGREGATES, COMPUTED, OPERATIONS, Aggregate
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.profile.conditions import COMPARISONS
from ofs_spark.pins.profile.model import MOST_ANCHOR_VALUES, RECORD_COLUMNS, Program

TARGET = Path(__file__).resolve().parents[1] / "docs" / "profile-reference.md"
EVERY = """\
policy_id: reference
revision: r1
feature_groups:
  - name: g
    version: v1
    key: [payload.customer_id]
    source: {{event_types: [card_payment]}}
    values:
      amount: {{path: payload.amount, type: "decimal(12,2)", unit: EUR, missing: fail}}
    windows: [{{window: 7d, duration: 7d, ttl: 7d}}]
    features:
{features}
"""
KEYS = (
    ("name, version", "required", "the group; a feature set names it as `name@version`"),
    ("key", "required", "payload paths, one or more; text as it is, another scalar as its canonical JSON text"),
    ("source", "every in-scope event", "`{event_types: [...]}`: the events that are aggregated"),
    ("values", "none", "what is read from a source event, with a key or without: `path`, `type`, `unit`, `missing`"),
    ("windows", "everything up to the anchor", "`{window, duration, ttl}`; a duration is an integer and s, m, h or d"),
    (
        "features",
        "none",
        "`name`, `aggregate`, and `value`, `windows`, `where`, `delay`, `empty`, `output` where they apply",
    ),
    ("derived", "none", "two operands: values of the anchor, or `{feature}_{window}` of the same group"),
    ("knowledge", "as_observed", "`as_observed`: what had been delivered by the anchor; `event_time`: hindsight"),
    ("include_anchor", "true", "whether the anchor itself counts"),
    ("delay", "0s", "shifts every window back; on a feature it overrides the group's"),
)
OWN = (
    (
        "`anchor`",
        "none",
        (
            f"`anchor__{{name}}` of each `{{name, path, type}}`, {MOST_ANCHOR_VALUES} at most, role `anchor`: read as a group's"
            " value is; null where missing; a decimal keeps `decimal(p,s)`"
        ),
    ),
    (
        "`keep_keys`",
        "false",
        (
            "`key__{group}__{part}` of each part of every group's key, text, role `identity`; null where that part is missing; of"
            " core features `key__{group}__key`, the online plane's `field:value`"
        ),
    ),
)


def compile_program(text: str, name: str, version: str) -> Program:
    """A profile, compiled as a build compiles it."""
    return read_profile(MemoryObjects({f"{name}.yaml": text.encode()}), name, version).program


def list_aggregates() -> Iterator[tuple[str, ...]]:
    """(aggregate, types of its value, type of its column, result of an empty window, meaning), each as it compiles and runs."""
    compiled = compile_program(EVERY.format(features="\n".join(map(write_feature, COMPUTED))), "g", "v1")
    empty = compute_group(compiled.groups[0], make_anchor_without_events())
    for aggregate, column, result in zip(COMPUTED, compiled.feature_columns, empty, strict=True):
        taken = ", ".join(aggregate.kinds) or "none" + ("; `where` is required" if aggregate.needs_where else "")
        kept = "; string and bool as they are" if aggregate.result == "declared" else ""
        shown = "null" if result[0].as_py() is None else str(result[0].as_py())
        yield f"`{aggregate.name}`", taken, f"{column.type}{kept}", shown, column.meaning


def write_feature(aggregate: Aggregate) -> str:
    """A feature of that aggregate and name, with the keys that it needs or may have."""
    value = ", value: amount" if aggregate.value != "absent" else ""
    where = ", where: {path: payload.result, eq: declined}" if aggregate.needs_where else ""
    return f"      - {{name: {aggregate.name}, aggregate: {aggregate.name}{value}{where}}}"


def make_anchor_without_events() -> GroupRows:
    """What a kernel is given of a key that has an anchor and no source event."""
    row, no, yes = np.zeros(1, np.int64), np.zeros(1, np.bool_), np.ones(1, np.bool_)
    return GroupRows(row, row, row, no, yes, (Values(row, no, 2, "decimal"),), {0: no})


def format_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    heads = list(headings)
    lines = [heads, ["---"] * len(heads), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def quote_names(names: Iterable[str]) -> str:
    """The names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def write_page() -> str:
    """The whole page."""
    demo = compile_program(PROFILE, "card_fraud", "v3")
    columns = [(f"`{c.name}`", c.type, c.unit or "", c.meaning) for c in demo.feature_columns]
    return f"""\
{write_groups()}
{write_grammar()}
## What the demo's profile becomes
{format_table(("column", "type", "unit", "means"), columns)}
"""


def write_groups() -> str:
    """What a profile's groups and sets may hold."""
    return f"""\
# Feature profiles

Written by `scripts/profile_reference.py` from the compiler and the kernels; a test compares. A profile is one YAML file
`{{profiles.root}}/{{feature_set_id}}.yaml` with `policy_id`, `revision`, `feature_groups` and, to name several groups at
once, `feature_sets` (`{{feature_set_id, feature_set_version, groups: [name@version, ...]}}`, and what a row keeps of its own
event, below). A stated `content_digest` must be the content's. `ofs validate FILE --contract feature_profile` lists every
fault. A group with none of the keys below but `name`, `version` and `windows` is the online plane's core features.

## A group
{format_table(("key", "default", "means"), ((f"`{k}`", d, m) for k, d, m in KEYS))}

A value's type is `decimal(p,s)`, `int`, `double`, `string` or `bool`; `missing` is `fail` (default), `"null"` or, for
numbers, `zero`. Sums, means and deviations are computed on integers and rounded once; `output: exact` keeps a decimal.
An event counts in a window of length w at an anchor iff it lies in (anchor − delay − w, anchor − delay].

## What a row keeps of its own event
An entry of `feature_sets` may say it, for `per_event` datasets, and it is part of the set's digest. These columns stand
behind `ts_utc`, values in file order, then keys in the set's order. The row's event is the copy that counts of it, a source
of some group or of none.

{format_table(("key", "default", "becomes"), OWN)}

For example `anchor: [{{name: amount, path: payload.amount, type: "decimal(12,2)"}}]` and `keep_keys: true`. A wrong type
is `FEATURE_VALUE_INVALID`, as of a group's value. A field that no event has is named in the answer's warnings.
"""


def write_grammar() -> str:
    """Aggregates, paths and conditions."""
    later = [name for name, aggregate in AGGREGATES.items() if not aggregate.computed]
    return f"""\
## Aggregates
{format_table(("aggregate", "value", "column", "empty window", "for example"), list_aggregates())}

`sum` with `empty: zero` gives 0 instead of null. Known and not computed by this release: {quote_names(later)}.
Derived, from two operands and null where one is null, the divisor is 0 or the result is beyond float64: {quote_names(OPERATIONS)}.

## Paths
A path is member names from the envelope's root with dots between them: `payload.amount`. A name of other characters
than letters, digits, _ and - is written in double quotes, as a JSON string: `payload."card.id"`. Besides `payload.…`,
values and `where` may read columns of the record: {quote_names(name for (name,) in RECORD_COLUMNS)}.

## Conditions
`where` is `{{path, one of {", ".join((*COMPARISONS, "is_null"))}}}`, or `{{all: [...]}}`, `{{any: [...]}}`, `{{not: ...}}`.
A comparison on an absent path or null is unknown, and an event counts only where the condition is true. Numbers compare
by exact value, whatever their exponent; values of two types are never equal.
"""


def main() -> int:
    """Writes the page, or compares it."""
    text = write_page()
    if "--check" in sys.argv:
        return int(text != TARGET.read_text(encoding="utf-8"))
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
