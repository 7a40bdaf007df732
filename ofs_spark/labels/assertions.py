"""Label assertions of one extract file: bytes proven, every row checked, narrowed to what the build needs."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b, sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ofs_spark.errors import refuse
from ofs_spark.labels import model as m
from ofs_spark.labels.times import REQUIRED, is_instant, micros
from ofs_spark.objects import ObjectMissing, Objects

TEXTS = (
    "label_assertion_id",
    "platform_run_id",
    "event_id",
    "label_type",
    "label_value",
    "source_type",
    "actor_id",
    "payload_hash",
    "evidence_refs_json",
    "assertion_ref",
)
TIMES = ("effective_time", "observed_time", "committed_at_utc")
_OPTIONAL = ("actor_id", "evidence_refs_json", "assertion_ref")
_ID_FORM = r"^[0-9a-f]{32}$"
_SAMPLE = 80
_HASHED_AT_ONCE = 1 << 20


def stored_assertions(objects: Objects, entry: m.ExtractFile) -> pa.Table:
    """`read_assertions` of the stored file. LABEL_STORE_UNAVAILABLE if it is missing or the store does not answer."""
    try:
        body = objects.read(entry.ref)
    except ObjectMissing:
        raise refuse("LABEL_STORE_UNAVAILABLE", f"{entry.ref} of the extract is missing", ref=entry.ref) from None
    except OSError as unanswered:
        told = f"{entry.ref} of the extract cannot be read: {unanswered}"
        raise refuse("LABEL_STORE_UNAVAILABLE", told, ref=entry.ref) from None
    return read_assertions(body, entry)


def read_assertions(body: bytes, entry: m.ExtractFile) -> pa.Table:
    """All assertions of the file as `ASSERTIONS` rows, in file order.

    LABEL_STORE_UNAVAILABLE if the bytes are not the ones the extract states; LABEL_SCOPE_INVALID, with every fault
    naming file and field, if a column or a row is not a label assertion.
    """
    rows = _checked_columns(_proven_table(body, entry), entry)
    times = {name: micros(rows[name]) for name in TIMES}
    faults = list(_row_faults(rows, times))
    if faults:
        first = faults[0]
        told = (
            f"{entry.ref}: {first['field']} of row {first['row']} is {first['found']}; {first['required']} is required"
        )
        raise refuse("LABEL_SCOPE_INVALID", told, faults=[{"file": entry.ref, **fault} for fault in faults])
    arrays = [
        rows["label_assertion_id"],
        rows["platform_run_id"],
        rows["event_id"],
        rows["label_type"],
        rows["label_value"],
        *times.values(),
        _content(rows, times),
    ]
    return pa.Table.from_arrays(arrays, schema=m.ASSERTIONS)


def relevant(assertions: pa.Table, platform_run_id: str, types: tuple[str, ...]) -> pa.Table:
    """The assertions of one platform run and these label types."""
    of_type = pc.is_in(assertions.column(m.LABEL_TYPE), value_set=pa.array(types, pa.string()))
    return assertions.filter(pc.and_(of_type, pc.equal(assertions.column(m.PLATFORM_RUN_ID), platform_run_id)))


def assertion_conflicts(identities: pa.Table, bound: int = 20) -> list[str]:
    """Ids under which `IDENTITIES` rows hold different content, ascending, at most `bound`.

    Equal copies are one assertion. Every row of an id must be in the table.
    """
    ids = identities.column(m.ASSERTION_ID).combine_chunks().dictionary_encode()
    content = np.asarray(identities.column(m.CONTENT).combine_chunks().dictionary_encode().indices)
    code = np.asarray(ids.indices)
    one = np.zeros(len(ids.dictionary), content.dtype)
    one[code] = content
    clashing = np.unique(code[content != one[code]])
    return sorted(ids.dictionary.take(pa.array(clashing)).to_pylist())[:bound]


def _proven_table(body: bytes, entry: m.ExtractFile) -> pa.Table:
    found = sha256(body).hexdigest()
    if (len(body), found) != (entry.bytes, entry.sha256):
        raise refuse(
            "LABEL_STORE_UNAVAILABLE",
            f"{entry.ref} has {len(body)} bytes of sha256 {found}; the extract states {entry.bytes} of {entry.sha256}",
            ref=entry.ref,
        )
    try:
        table = pq.ParquetFile(pa.BufferReader(body), page_checksum_verification=True).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as unreadable:
        told = f"{entry.ref} is not readable Parquet: {unreadable}"
        raise refuse("LABEL_SCOPE_INVALID", told, ref=entry.ref) from None
    if table.num_rows != entry.row_count:
        raise refuse(
            "LABEL_STORE_UNAVAILABLE",
            f"{entry.ref} holds {table.num_rows} rows; the extract states {entry.row_count}",
            ref=entry.ref,
        )
    return table


def _checked_columns(table: pa.Table, entry: m.ExtractFile) -> dict[str, pa.Array]:
    """The label timeline's columns by name: text as plain strings, times as strings or timestamps."""
    faults = [{"field": name, "found": found, "required": "once"} for name, found in _column_counts(table.column_names)]
    columns: dict[str, pa.Array] = {}
    for name in () if faults else TEXTS + TIMES:
        column = table.column(name).combine_chunks()
        if name in TIMES and is_instant(column.type):
            columns[name] = column
        elif _is_text(column.type) or (name in _OPTIONAL and pa.types.is_null(column.type)):
            columns[name] = column.cast(pa.string())
        else:
            required = "text or timestamp[us, tz=UTC]" if name in TIMES else "text"
            faults.append({"field": name, "found": str(column.type), "required": required})
    if faults:
        first = faults[0]
        told = f"{entry.ref}: column {first['field']} is {first['found']}; {first['required']} is required"
        raise refuse("LABEL_SCOPE_INVALID", told, faults=[{"file": entry.ref, **fault} for fault in faults])
    return columns


def _is_text(type_: pa.DataType) -> bool:
    value = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))


def _column_counts(names: list[str]) -> Iterator[tuple[str, str]]:
    """Columns that do not stand in the file exactly once, or that no label timeline has."""
    counts = ((name, names.count(name)) for name in TEXTS + TIMES)
    yield from ((name, f"there {count} times" if count else "absent") for name, count in counts if count != 1)
    yield from ((name, "not a column of the label timeline") for name in sorted(set(names) - {*TEXTS, *TIMES}))


def _row_faults(rows: dict[str, pa.Array], times: dict[str, pa.Array]) -> Iterator[dict[str, Any]]:
    """One fault per field that has bad rows: how many, the first of them and what stands there."""
    identity, human = rows["label_assertion_id"], pc.equal(rows["source_type"], "HUMAN").fill_null(False)
    checks = [(name, _filled(rows[name]), "a text that is not empty") for name in TEXTS if name not in _OPTIONAL]
    checks += [
        ("label_assertion_id", pc.match_substring_regex(identity, _ID_FORM), "32 lower-case hex digits"),
        ("label_type", _is_in(rows["label_type"], tuple(m.VOCABULARY)), f"one of {sorted(m.VOCABULARY)}"),
        ("label_value", _values_fit(rows), f"a value of its type: {dict(m.VOCABULARY)}"),
        ("source_type", _is_in(rows["source_type"], m.SOURCE_TYPES), f"one of {list(m.SOURCE_TYPES)}"),
        ("actor_id", pc.or_(pc.invert(human), _filled(rows["actor_id"])), "an actor for source_type HUMAN"),
        *((name, values.is_valid(), REQUIRED) for name, values in times.items()),
    ]
    for name, good, required in checks:
        bad = np.flatnonzero(~np.asarray(good.fill_null(False)))
        if len(bad):
            found = _shown(rows[name], int(bad[0]))
            yield {"field": name, "row": int(bad[0]), "rows": len(bad), "found": found, "required": required}


def _shown(column: pa.Array, row: int) -> str:
    """A value for people; a timestamp beyond the calendar can only be shown as its number."""
    if is_instant(column.type):
        return f"{column.cast(pa.int64())[row].as_py()} µs since the epoch"
    return repr(column[row].as_py())[:_SAMPLE]


def _filled(texts: pa.Array) -> pa.Array:
    return pc.greater(pc.binary_length(texts), 0).fill_null(False)


def _is_in(texts: pa.Array, known: tuple[str, ...]) -> pa.Array:
    return pc.is_in(texts, value_set=pa.array(known, pa.string()))


def _values_fit(rows: dict[str, pa.Array]) -> pa.Array:
    """Whether each value belongs to its type; true where the type itself is unknown (that is its own fault)."""
    pairs = [f"{name}\x1f{value}" for name, values in m.VOCABULARY.items() for value in values]
    stated = pc.binary_join_element_wise(rows["label_type"], rows["label_value"], "\x1f")
    return pc.or_(_is_in(stated, tuple(pairs)), pc.invert(_is_in(rows["label_type"], tuple(m.VOCABULARY))))


def _content(rows: dict[str, pa.Array], times: dict[str, pa.Array]) -> pa.Array:
    """128 bits that two rows share iff they say the same: texts by their lengths and bytes, times as instants."""
    columns = [rows[name] for name in TEXTS] + [times[name].cast(pa.string()) for name in TIMES]
    count = len(columns[0])
    parts = [_hashed([c.slice(at, _HASHED_AT_ONCE) for c in columns]) for at in range(0, count, _HASHED_AT_ONCE)]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(b"".join(parts))])


def _hashed(columns: list[pa.Array]) -> bytes:
    lengths = [pc.binary_length(c).cast(pa.string()).fill_null("null") for c in columns]
    joined = pc.binary_join_element_wise(*lengths, *(c.fill_null("") for c in columns), ",").cast(pa.binary())
    return b"".join(blake2b(text, digest_size=16).digest() for text in joined.to_pylist())
