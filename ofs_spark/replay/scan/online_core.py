"""The online plane's law of core features: which events it applies, under which key text, with which amount.

The key column is null for an event that the online plane skips: one without its run's pins, of another platform run, of
an ignored type or of an unknown class. A key field that holds an object or an array has no text and counts as absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.online_law import CLASS_BY_TOPIC, CLASS_BY_WORDS, CLASSES, IGNORED_TYPES, PINS
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.members import Path as MemberPath
from ofs_spark.replay.scan.values import decode_texts, find_numeric_spans, read_doubles, read_key_texts

_RUN, _CLASS = ("platform_run_id",), ("event_class",)


def list_paths(rules: OnlineCoreRules) -> Iterator[MemberPath]:
    """Every path the law reads."""
    yield from ((pin,) for pin in PINS)
    yield _CLASS
    yield from (("payload", name) for name in (*rules.key_precedence, *rules.amount_fields))


def is_classified(event_type: str, topic: str) -> bool:
    """Whether an event that states no class has one: by its topic, else by its type's words."""
    by_type = any(all(word in event_type for word in words) for words, _ in CLASS_BY_WORDS)
    return topic in CLASS_BY_TOPIC or by_type


def judge_applied(tokens: t.Tokens, event_types: pa.DictionaryArray, topic: str, platform_run_id: str) -> Array:
    """Which events the online plane applies, duplicates aside."""
    take = np.ones(len(tokens.state), np.bool_)
    for pin in PINS:
        take &= ~_is_empty(tokens, (pin,))
    run, _ = decode_texts(tokens, _RUN, take)
    take &= np.asarray(pc.fill_null(pc.equal(run, platform_run_id), False))
    names = event_types.dictionary.to_pylist()
    codes = np.asarray(event_types.indices)
    take &= ~np.array([name in IGNORED_TYPES for name in names], np.bool_)[codes]
    unstated = np.array([is_classified(name, topic) for name in names], np.bool_)[codes]
    known: Array = take & np.where(_has_class(tokens), _has_known_class(tokens), unstated)
    return known


def _is_empty(tokens: t.Tokens, path: MemberPath) -> Array:
    kind = tokens.kind[path]
    blank = (kind == t.STRING) & (tokens.start[path] == tokens.end[path])
    nothing: Array = (kind == t.ABSENT) | (kind == t.NULL) | blank
    return nothing


def _has_class(tokens: t.Tokens) -> Array:
    """Whether the envelope states a class; as the online plane reads it, false and zero state none."""
    kind = tokens.kind[_CLASS]
    stated: Array = ~_is_empty(tokens, _CLASS) & (kind != t.FALSE)
    for row in np.flatnonzero(kind == t.NUMBER):
        stated[row] = float(tokens.data[_CLASS][tokens.start[_CLASS][row] : tokens.end[_CLASS][row]].tobytes()) != 0
    return stated


def _has_known_class(tokens: t.Tokens) -> Array:
    kind = tokens.kind[_CLASS]
    texts, _ = decode_texts(tokens, _CLASS, (kind == t.STRING) | (kind == t.ESCAPED))
    known: Array = np.asarray(pc.is_in(texts, pa.array(CLASSES, pa.string())))
    return known


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
