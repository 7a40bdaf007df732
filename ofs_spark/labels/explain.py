"""Why a label is what it is: the assertions of one event and type, which of them were eligible, and which one counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.columnar.arrays import combine_chunks
from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.wording import write_count
from ofs_spark.labels import model as m
from ofs_spark.labels.asof import resolve_labels, unpack_choices
from ofs_spark.labels.assertions import fetch_assertions
from ofs_spark.labels.terms import RESOLVED_RULE

COUNTS = "counts"
TIED = "tied in both times, values differ"
EQUAL_COPY = "an equal copy of an assertion that is listed"
OBSERVED_LATE = "observed after the cut-off"
EFFECTIVE_EARLIER, OBSERVED_EARLIER = "effective earlier", "observed earlier"
SMALLER_ID = "tied, with a smaller assertion id"
REASONS = (COUNTS, TIED, EQUAL_COPY, OBSERVED_LATE, EFFECTIVE_EARLIER, OBSERVED_EARLIER, SMALLER_ID)
"""Every reason; `contracts/explain_answer.schema.json` lists them."""
FILE, ROW = "file", "row"
_ORDER = "(effective_time, observed_time)"


@dataclass(frozen=True)
class ConsideredAssertion:
    """One assertion of an event and a label type, and what became of it. file, row: where it stands; times in µs."""

    file: str
    row: int
    assertion_id: str
    value: str
    effective: int
    observed: int
    counted: bool
    reason: str


@dataclass(frozen=True)
class LabelStory:
    """One label of one event. values: of its five columns, in their order; considered: by place in the extract."""

    values: tuple[Any, ...]
    considered: tuple[ConsideredAssertion, ...]
    arithmetic: str


def find_assertions(
    objects: Objects,
    extract: m.LabelExtract,
    platform_run_id: str,
    event_id: str,
    types: Sequence[str],
    int96_is_utc: bool = False,
    most: int = MOST_DECODED_BYTES,
) -> pa.Table:
    """The assertions of one event, `OF_SUBJECT` columns and where each stands (FILE, ROW). Refuses as `fetch_assertions`."""
    found = []
    for entry in extract.files:
        own = fetch_assertions(objects, entry, extract.content_key, int96_is_utc, most)
        own = own.append_column(ROW, pa.array(np.arange(own.num_rows)))
        mine = own.filter(pc.equal(own.column(m.EVENT_ID), event_id))
        of_run = pc.equal(mine.column(m.PLATFORM_RUN_ID).cast(pa.string()), platform_run_id)
        of_type = pc.is_in(mine.column(m.LABEL_TYPE).cast(pa.string()), pa.array(types, pa.string()))
        chosen = mine.filter(pc.and_(of_run, of_type)).select([*m.OF_SUBJECT, ROW])
        found.append(chosen.append_column(FILE, pa.repeat(entry.ref, chosen.num_rows)))
    nothing = m.ASSERTIONS.empty_table().select(list(m.OF_SUBJECT))
    nothing = nothing.append_column(ROW, pa.array([], pa.int64())).append_column(FILE, pa.array([], pa.string()))
    return pa.concat_tables([nothing, *found]).unify_dictionaries()


def explain_label(
    assertions: pa.Table, event_id: str, label_type: str, rule: str, eligible_until: int | None
) -> LabelStory:
    """The label of one type that the as-of choice makes of an event's assertions (`find_assertions`), and why.

    eligible_until: the last instant at which a counted one was observed, µs; None: every one is eligible.
    """
    of_type = assertions.filter(pc.equal(assertions.column(m.LABEL_TYPE).cast(pa.string()), label_type))
    rows = of_type.to_pylist()
    first = {row[m.ASSERTION_ID]: place for place, row in reversed(list(enumerate(rows)))}
    single = of_type.take(pa.array(sorted(first.values()), pa.int64()))
    choices = resolve_labels(single, pa.array([event_id]), [label_type], rule, eligible_until)
    values = tuple(column[0].as_py() for column in unpack_choices(combine_chunks(choices.column(label_type))))
    eligible = [row for place, row in enumerate(rows) if _is_eligible(row, eligible_until) and first[_id(row)] == place]
    best = max((_rank(row, rule) for row in eligible), default=())
    considered = tuple(
        _consider(row, is_copy=first[_id(row)] != place, best=best, rule=rule, until=eligible_until, chosen=values)
        for place, row in enumerate(rows)
    )
    return LabelStory(values, considered, _tell(len(rows), eligible, best, rule, eligible_until, values))


def _id(row: Mapping[str, Any]) -> bytes:
    found: bytes = row[m.ASSERTION_ID]
    return found


def _is_eligible(row: Mapping[str, Any], until: int | None) -> bool:
    return until is None or bool(row[m.OBSERVED] <= until)


def _rank(row: Mapping[str, Any], rule: str) -> tuple[int, ...]:
    """What the rule orders by, the assertion id aside."""
    return (row[m.EFFECTIVE], row[m.OBSERVED]) if rule == RESOLVED_RULE else (row[m.OBSERVED],)


def _consider(
    row: Mapping[str, Any],
    *,
    is_copy: bool,
    best: tuple[int, ...],
    rule: str,
    until: int | None,
    chosen: tuple[Any, ...],
) -> ConsideredAssertion:
    status, identity = chosen[1], _id(row).hex()
    if is_copy:
        reason = EQUAL_COPY
    elif not _is_eligible(row, until):
        reason = OBSERVED_LATE
    elif _rank(row, rule) != best:
        reason = EFFECTIVE_EARLIER if len(best) > 1 and row[m.EFFECTIVE] != best[0] else OBSERVED_EARLIER
    elif status == m.Status.CONFLICT:
        reason = TIED
    else:
        reason = COUNTS if identity == chosen[4] else SMALLER_ID
    counted = reason in (COUNTS, TIED)
    at = (row[FILE], row[ROW], identity, row[m.LABEL_VALUE], row[m.EFFECTIVE], row[m.OBSERVED])
    return ConsideredAssertion(*at, counted, reason)


def _tell(
    count: int,
    eligible: Sequence[Mapping[str, Any]],
    best: tuple[int, ...],
    rule: str,
    until: int | None,
    chosen: tuple[Any, ...],
) -> str:
    """How the choice was made, in one sentence."""
    known = "every one is eligible" if until is None else f"{len(eligible)} observed by {format_instant(until)}"
    among = f"of {count} assertion{'' if count == 1 else 's'}, {known}"
    if not best:
        return f"{among}: {m.Status.NOT_FOUND}"
    ordered = f"({', '.join(map(format_instant, best))})" if len(best) > 1 else format_instant(best[0])
    greatest = f"{among}; by {rule} the greatest {_ORDER if len(best) > 1 else 'observed_time'} is {ordered}"
    tied = [row for row in eligible if _rank(row, rule) == best]
    if chosen[1] == m.Status.CONFLICT:
        values = ", ".join(sorted({str(row[m.LABEL_VALUE]) for row in tied}))
        return f"{greatest}: {write_count(len(tied), 'assertion')} are tied there and say {values}: {m.Status.CONFLICT}"
    last = f", of {len(tied)} the greatest assertion id" if len(tied) > 1 else ""
    return f"{greatest}{last}: {chosen[0]}"
