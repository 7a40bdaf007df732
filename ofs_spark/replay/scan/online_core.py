"""The online plane's law of core features: which events it applies, under which key text, with which amount.

The key column is null for an event that the online plane skips: one without its run's pins, of another platform run, of
an ignored type or of an unknown class. A key field that holds an object or an array has no text and counts as absent.
Prints stand for what tells duplicates: the same event, and the same payload hash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.content_hash import ContentHash, hash_contents
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.online_law import CLASSES, IGNORED_TYPES, PINS, SKIP_CODES, Skip, find_class
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.members import Path as MemberPath
from ofs_spark.replay.scan.values import decode_texts, find_numeric_spans, read_doubles, read_key_texts

_RUN, _CLASS, _PAYLOAD = ("platform_run_id",), ("event_class",), ("payload",)
SCHEMA_VERSION = ("schema_version",)
_CLASS_CODES = {name: code for code, name in enumerate(CLASSES)}


def list_paths(rules: OnlineCoreRules) -> Iterator[MemberPath]:
    """Every path the law reads."""
    yield from ((pin,) for pin in PINS)
    yield _CLASS
    yield from (("payload", name) for name in (*rules.key_precedence, *rules.amount_fields))


@dataclass(frozen=True)
class Judged:
    """Per record: why it is skipped whatever came before it (0, or a code of SKIP_CODES), and its class (-1: none)."""

    skip: Array
    event_class: Array


def judge_events(tokens: t.Tokens, event_types: pa.DictionaryArray, topic: str, platform_run_id: str) -> Judged:
    """What the online plane makes of every record, duplicates aside."""
    names, codes = event_types.dictionary.to_pylist(), np.asarray(event_types.indices)
    by_type = np.array([_CLASS_CODES.get(find_class({}, name, topic), -1) for name in names], np.int64)
    stated = _has_class(tokens)
    classes = np.where(stated, _read_class(tokens), by_type[codes]) if stated.any() else by_type[codes]
    pinned = np.ones(len(classes), np.bool_)
    for pin in PINS:
        pinned &= ~_is_empty(tokens, (pin,))
    run, _ = decode_texts(tokens, _RUN, pinned)
    own = np.asarray(pc.fill_null(pc.equal(run, platform_run_id), False))
    ignored = np.array([name in IGNORED_TYPES for name in names], np.bool_)[codes]
    rules = {
        Skip.MISSING_PIN: ~pinned,
        Skip.OTHER_RUN: ~own,
        Skip.IGNORED_TYPE: ignored,
        Skip.UNKNOWN_CLASS: classes < 0,
    }
    skip = np.select(list(rules.values()), [SKIP_CODES[why] for why in rules], 0).astype(np.uint8)
    return Judged(skip, classes)


def _is_empty(tokens: t.Tokens, path: MemberPath) -> Array:
    kind = tokens.kind[path]
    blank = (kind == t.STRING) & (tokens.start[path] == tokens.end[path])
    nothing: Array = (kind == t.ABSENT) | (kind == t.NULL) | blank
    return nothing


def _has_class(tokens: t.Tokens) -> Array:
    """Whether the envelope states a class; what is false, zero or empty states none to the online plane."""
    kind = tokens.kind[_CLASS]
    stated: Array = ~_is_empty(tokens, _CLASS) & (kind != t.FALSE)
    for row in np.flatnonzero((kind == t.NUMBER) | (kind == t.OBJECT) | (kind == t.ARRAY)):
        body = tokens.data[_CLASS][tokens.start[_CLASS][row] : tokens.end[_CLASS][row]].tobytes()
        stated[row] = bool(float(body)) if kind[row] == t.NUMBER else bool(body[1:-1].strip())
    return stated


def _read_class(tokens: t.Tokens) -> Array:
    """Code of the class that an envelope states; -1 for none that is known."""
    kind = tokens.kind[_CLASS]
    texts, _ = decode_texts(tokens, _CLASS, (kind == t.STRING) | (kind == t.ESCAPED))
    codes: Array = np.asarray(pc.fill_null(pc.index_in(texts, pa.array(CLASSES, pa.string())), -1)).astype(np.int64)
    return codes


def print_events(judged: Judged, event_ids: pa.Array, key: bytes) -> Array:
    """16 bytes per record, uint8 of shape (rows, 16), that two records share iff class and event id are the same."""
    return hash_contents([event_ids], [judged.event_class], len(judged.skip), key).view(np.uint8).reshape(-1, 16)


def print_payloads(
    tokens: t.Tokens, event_types: pa.DictionaryArray, envelopes: pa.Array, take: Array, key: bytes
) -> Array:
    """16 bytes per record in `take`, zeros elsewhere: of the canonical text of what the online plane hashes of it.

    That is event type, schema version and payload. A canonical envelope's members are canonical: their spans are hashed
    as they stand. Any other one is parsed and written.
    """
    content = ContentHash(len(take), key)
    content.add_texts(event_types)
    plain = take & tokens.canonical
    for path in (SCHEMA_VERSION, _PAYLOAD):
        content.add_spans(tokens.data[path], *_find_value_spans(tokens, path, plain))
    prints = content.finish()
    others = np.flatnonzero(take & ~plain)
    if len(others):
        members = [_write_members(envelopes[int(row)].as_buffer().to_pybytes()) for row in others]
        texts = [pa.array(column, pa.string()) for column in zip(*members, strict=True)]
        prints[others] = hash_contents([event_types.take(pa.array(others)), *texts], [], len(others), key)
    prints[~take] = 0
    return prints.view(np.uint8).reshape(-1, 16)


def _find_value_spans(tokens: t.Tokens, path: MemberPath, take: Array) -> tuple[Array, Array]:
    """(start, end) of each whole value, a string's quotes with it; start is -1 where there is none, or null."""
    kind, start, end = tokens.kind[path], tokens.start[path], tokens.end[path]
    quotes = ((kind == t.STRING) | (kind == t.ESCAPED)).astype(np.int64)
    stands = take & (kind != t.ABSENT) & (kind != t.NULL)
    return np.where(stands, start - quotes, -1), np.where(stands, end + quotes, 0)


def _write_members(envelope: bytes) -> tuple[str | None, str]:
    """Canonical text of the schema version (null if there is none) and of the payload of a valid envelope.

    One whose whole numbers are longer than Python reads has none: it is told by its own text.
    """
    try:
        document = json.loads(envelope)
    except ValueError:
        return None, envelope.decode()
    version, payload = (
        json.dumps(document.get(name), sort_keys=True, separators=(",", ":")) for name in ("schema_version", "payload")
    )
    return None if version == "null" else version, payload


def read_core_keys(tokens: t.Tokens, rules: OnlineCoreRules, event_ids: pa.Array, take: Array) -> pa.Array:
    """Key text "field:value" of the events in `take`, null elsewhere: the first field present and not empty."""
    open_, found = take.copy(), pa.nulls(len(take), pa.string())
    for name in rules.key_precedence:
        texts, good = read_key_texts(tokens, ("payload", name))
        here = open_ & good & np.asarray(pc.fill_null(pc.not_equal(texts, ""), False))
        found = pc.if_else(pa.array(here), _add_label(name, texts), found)
        open_ &= ~here
    return pc.if_else(pa.array(open_), _add_label("event_id", event_ids.cast(pa.string())), found)


def _add_label(name: str, texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(name, texts, ":")


def read_core_amounts(tokens: t.Tokens, rules: OnlineCoreRules) -> pa.Array:
    """Amount of every event: the first field that is a number, a boolean or a numeric string; else 0.0."""
    open_, amount = np.ones(len(tokens.state), np.bool_), np.zeros(len(tokens.state), np.float64)
    for name in rules.amount_fields:
        path = ("payload", name)
        kind = tokens.kind[path]
        values, good = read_doubles(*find_numeric_spans(tokens, path))
        value = np.where(good, np.asarray(values), kind == t.TRUE)
        good = good | (kind == t.TRUE) | (kind == t.FALSE)
        texts = np.flatnonzero(open_ & ~good & ((kind == t.STRING) | (kind == t.ESCAPED)))
        for row, parsed in _parse_floats(tokens, path, texts):
            value[row], good[row] = parsed, True
        amount = np.where(open_ & good, value, amount)
        open_ &= ~good
    return pa.array(amount)


def _parse_floats(tokens: t.Tokens, path: MemberPath, rows: Array) -> Iterator[tuple[int, float]]:
    """What Python's `float`, the online plane's reader, makes of strings that are no JSON number, where finite."""
    if not len(rows):
        return
    wanted = np.zeros(len(tokens.state), np.bool_)
    wanted[rows] = True
    texts, _ = decode_texts(tokens, path, wanted)
    for row in rows.tolist():
        try:
            value = float(texts[row].as_py() or "")
        except ValueError:
            continue
        if math.isfinite(value):
            yield row, value
