"""Label assertions of one extract file: every row checked, narrowed to what the build needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, find_undecodable
from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES, read_bounded
from ofs_spark.foundation.columnar.content_hash import hash_coded, hash_contents
from ofs_spark.foundation.columnar.dataflow import CODED
from ofs_spark.foundation.columnar.hashing import parse_hex, to_fixed_binary
from ofs_spark.foundation.columnar.instants import read_micros
from ofs_spark.foundation.columnar.stored_columns import open_parquet, read_int96, to_text
from ofs_spark.foundation.columnar.times import NO_INSTANT, REQUIRED, is_instant
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.labels import model as m
from ofs_spark.labels.extract_file import (
    OPTIONAL,
    TEXTS,
    TIMES,
    fetch_file,
    open_proven,
    prove_count,
    refuse_unreadable,
)
from ofs_spark.labels.fingerprint import find_clashing_ids, join_identities
from ofs_spark.labels.terms import VOCABULARY

_REPETITIVE = ("platform_run_id", "label_type", "label_value", "source_type", "actor_id")
"""Columns of few values: read as codes of a dictionary, and judged value by value instead of row by row."""
_SAMPLE = 80


def fetch_assertions(
    objects: Objects,
    entry: m.ExtractFile,
    key: bytes,
    int96_is_utc: bool = False,
    most: int = MOST_DECODED_BYTES,
) -> pa.Table:
    """`read_assertions` of the stored file. LABEL_STORE_UNAVAILABLE if it is missing or the store does not answer."""
    return read_assertions(fetch_file(objects, entry), entry, key, int96_is_utc, most)


def read_assertions(
    body: bytes, entry: m.ExtractFile, key: bytes, int96_is_utc: bool = False, most: int = MOST_DECODED_BYTES
) -> pa.Table:
    """All assertions of the file as `ASSERTIONS` rows, in file order. `key`: 16 bytes, the same for all files of an extract.

    INT96 columns are times if `int96_is_utc` says so. LABEL_STORE_UNAVAILABLE if the bytes are not the ones the extract
    states, or a column is missing or of another type, unless it holds no value at all; LABEL_SCOPE_INVALID, with every
    fault naming file and field, if they are no Parquet or a row is not a label assertion; RESOURCE_EXCEEDED if they
    decode to more than `most` bytes.
    """
    rows = _read_columns(body, entry, int96_is_utc, most)
    times = {name: read_micros(rows[name]) for name in TIMES}
    ids, wellformed = parse_hex(rows["label_assertion_id"], 16)
    faults = list(_find_row_faults(rows, times, wellformed))
    if faults:
        first = faults[0]
        message = (
            f"{entry.ref}: {first['field']} of row {first['row']} is {first['found']}; {first['required']} is required"
        )
        raise refuse("LABEL_SCOPE_INVALID", message, faults=[{"file": entry.ref, **fault} for fault in faults])
    contents = _hash_contents(rows, times, key)
    texts = [rows[name] for name in TEXTS[1:5]]
    arrays = [to_fixed_binary(ids), *texts, *map(pa.array, times.values()), join_identities(ids, contents)]
    return pa.Table.from_arrays(arrays, schema=m.ASSERTIONS)


def select_relevant(assertions: pa.Table, platform_run_id: str, types: tuple[str, ...]) -> pa.Table:
    """The assertions of one platform run and these label types, `OF_SUBJECT` columns."""
    of_type = _judge(combine_chunks(assertions.column(m.LABEL_TYPE)), _make_membership(types))
    of_run = _judge(combine_chunks(assertions.column(m.PLATFORM_RUN_ID)), _make_membership([platform_run_id]))
    narrow, chosen = assertions.select(list(m.OF_SUBJECT)), of_type & of_run
    return narrow if chosen.all() else narrow.filter(pa.array(chosen))


def find_conflicts(assertions: pa.Table, bound: int = 20) -> list[str]:
    """Ids under which `IDENTITY` rows hold different content, ascending, at most `bound`.

    Equal copies are one assertion. Every row of an id must be in the table.
    """
    return find_clashing_ids(combine_chunks(assertions.column(m.IDENTITY)), bound)


def _read_columns(body: bytes, entry: m.ExtractFile, int96_is_utc: bool, most: int) -> dict[str, pa.Array]:
    """The label timeline's columns by name: text as strings (`_REPETITIVE` as codes), times as strings or timestamps."""
    with refuse_unreadable(entry):
        stored = open_proven(body, entry, int96_is_utc, most)
        known = {column.name: column for column in stored if column.name in TEXTS + TIMES}
        coded = [name for name in _REPETITIVE if name in known and known[name].is_text]
        table = read_bounded(open_parquet(body, coded), body, entry.ref, list(known), most)
        table.validate()
        columns = {name: combine_chunks(table.column(name)) for name in known}
        columns |= {name: read_int96(body, name) for name, column in known.items() if column.is_int96}
    prove_count(table.num_rows, entry)  # what the footer states is not what was decoded
    return {name: _make_plain(columns.get(name, pa.nulls(table.num_rows)), name) for name in TEXTS + TIMES}


def _make_plain(column: pa.Array, name: str) -> pa.Array:
    """A column as this room reads it: a repetitive text as codes of a dictionary without nulls, another as strings."""
    if column.null_count == len(column) and column.type not in (pa.string(), CODED):
        column = pa.nulls(len(column), pa.string())
    if is_instant(column.type):
        return column
    if name not in _REPETITIVE:
        return to_text(column, pa.string())
    if column.type == CODED and not column.dictionary.null_count:
        return column
    return to_text(column, pa.string()).dictionary_encode()


def _hash_contents(rows: dict[str, pa.Array], times: dict[str, Array], key: bytes) -> Array:
    """128 bits of all that a row says beside its id, with which they are compared."""
    said = [rows[name] for name in TEXTS[1:]]
    coded = [column for column in said if pa.types.is_dictionary(column.type)]
    plain = (column for column in said if not pa.types.is_dictionary(column.type))
    of_coded = np.ascontiguousarray(hash_coded(coded, len(said[0]), key).view(np.int64).T)
    return hash_contents(plain, [*of_coded, *times.values()], len(said[0]), key)


def _find_row_faults(rows: dict[str, pa.Array], times: dict[str, Array], wellformed: Array) -> Iterator[dict[str, Any]]:
    """One fault per field that has bad rows: how many, the first of them and what stands there."""
    known = TEXTS[:1] if wellformed.all() else ()  # hex digits are UTF-8
    for name in (one for one in TEXTS + TIMES if one not in known and not is_instant(rows[one].type)):
        undecodable = np.flatnonzero(~_judge(rows[name], _is_decodable, of_null=True))
        if len(undecodable):
            first = int(undecodable[0])
            found = _show_value(rows[name], first)
            yield {"field": name, "row": first, "rows": len(undecodable), "found": found, "required": "text in UTF-8"}
    machine = _judge(rows["source_type"], lambda texts: pc.not_equal(texts, "HUMAN"), of_null=True)
    checks = [
        (name, _judge(rows[name], _is_filled), "a text that is not empty") for name in TEXTS if name not in OPTIONAL
    ]
    checks += [
        ("label_assertion_id", wellformed, "32 lower-case hex digits"),
        ("label_type", _judge(rows["label_type"], _make_membership(VOCABULARY)), f"one of {sorted(VOCABULARY)}"),
        ("label_value", _judge_values(rows), f"a value of its type: {dict(VOCABULARY)}"),
        (
            "source_type",
            _judge(rows["source_type"], _make_membership(m.SOURCE_TYPES)),
            f"one of {list(m.SOURCE_TYPES)}",
        ),
        ("actor_id", machine | _judge(rows["actor_id"], _is_filled), "an actor for source_type HUMAN"),
        *((name, values != NO_INSTANT, REQUIRED) for name, values in times.items()),
    ]
    for name, good, required in checks:
        if not good.all():
            bad = np.flatnonzero(~good)
            found = _show_value(rows[name], int(bad[0]))
            yield {"field": name, "row": int(bad[0]), "rows": len(bad), "found": found, "required": required}


def _show_value(column: pa.Array, row: int) -> str:
    """A value for people; a timestamp beyond the calendar can only be shown as its number, bytes that are no text as such."""
    if is_instant(column.type):
        return f"{column.cast(pa.int64())[row].as_py()} {column.type.unit} since the epoch"
    text = column.slice(row, 1)
    value = (text.dictionary_decode() if pa.types.is_dictionary(text.type) else text).cast(pa.binary())[0].as_py()
    return "None" if value is None else repr(value.decode(errors="backslashreplace"))[:_SAMPLE]


def _judge(column: pa.Array, judge: Callable[[pa.Array], pa.Array], of_null: bool = False) -> Array:
    """The judgement of every row; of a dictionary column it is made once per value."""
    if not pa.types.is_dictionary(column.type):
        verdicts: Array = np.asarray(judge(column).fill_null(of_null))
        return verdicts
    by_code = np.append(np.asarray(judge(column.dictionary).fill_null(of_null)), of_null)
    return _spread(by_code, column)


def _spread(by_code: Array, column: pa.DictionaryArray) -> Array:
    """The verdict of every row from those of its dictionary's values; the last one is that of a null."""
    if by_code[:-1].all() and (by_code[-1] or not column.indices.null_count):
        return np.ones(len(column), np.bool_)
    of_row: Array = by_code[_read_codes(column)]
    return of_row


def _read_codes(column: pa.DictionaryArray) -> Array:
    """Codes of a dictionary column, -1 for a null."""
    return np.asarray(column.indices.fill_null(-1) if column.indices.null_count else column.indices)


def _is_decodable(texts: pa.Array) -> pa.Array:
    return pa.array(~find_undecodable(texts))


def _is_filled(texts: pa.Array) -> pa.Array:
    return pc.greater(pc.binary_length(texts), 0)


def _make_membership(known: Iterable[str]) -> Callable[[pa.Array], pa.Array]:
    return partial(pc.is_in, value_set=pa.array(known, pa.string()))


def _judge_values(rows: dict[str, pa.Array]) -> Array:
    """Whether each value belongs to its type; true where the type itself is unknown (that is its own fault)."""
    types, values = rows["label_type"], rows["label_value"]
    place = {name.encode(): at for at, name in enumerate(VOCABULARY)}
    unknown = len(place)  # as a null is, which has code -1
    of_type = np.array([*(place.get(text, unknown) for text in _list_bytes(types)), unknown])
    fits = np.ones((unknown + 1, len(values.dictionary) + 1), np.bool_)
    for at, allowed in enumerate(VOCABULARY.values()):
        known = {value.encode() for value in allowed}
        fits[at] = [text in known for text in (*_list_bytes(values), None)]
    of_row: Array = fits[of_type[_read_codes(types)], _read_codes(values)]
    return of_row


def _list_bytes(column: pa.DictionaryArray) -> list[bytes]:
    """The values of a dictionary, which need not be UTF-8."""
    found: list[bytes] = column.dictionary.cast(pa.binary()).to_pylist()
    return found
