"""The columnar JSON scanner and its readers against Python's own: valid, hostile and mutilated documents."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ofs_spark.pins.profile.model import Condition, Read, ValueType
from ofs_spark.replay import rows as r
from ofs_spark.replay.scan import conditions
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.reading import MAX_DEPTH
from ofs_spark.replay.scan.values import read_values
from tests.oracle.conditions import at, truth
from tests.oracle.exact import Refused, read_json, read_value

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

NAMES = st.sampled_from(["a", "b", "payload", "é", "", "a b", '"', "\\", "\x00", "😀", "aa"])
TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(["", "\ud800", "1", "-0", "1e3", "😀", "\x7f", "\u2028"]))
LONG = [
    "15E+9999999999999999998", "1e00000000000000000000000000003", "1" + "0" * 5000, "7" * 5000, "1" + "0" * 5000 + "e-5000",
    "0." + "0" * 5000 + "1e5001", "1e" + "9" * 5000, "10e" + "9" * 4999 + "8", "0e-" + "9" * 5000,
]  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-(10**25), 10**25).map(str), st.integers(-99, 99).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["-0", "0.0", "-0.0", "1E400", "1e-400", "0e999999999999", "1.10", "12.345", "1e3", "1.0", "5e-1"]),
    st.sampled_from(["123456789012345678", "9223372036854775807", "-9223372036854775808", "9223372036854775808"]),
    st.sampled_from(["0.0000000000000000001e19", "100e-2", "1000000000000000000000e-21"]),
    st.sampled_from(["9" * 40, "0." + "0" * 60 + "1"]),
    st.sampled_from(["0e1000000000000000000", "-0.00E+99999999999999999999", "1e1000000000000000000", "10e999999999999999999"]),
    st.sampled_from(["-1e1000000000000000000", "1e-1000000000000000000", "0.1e1000000000000000001", "1.50e9999999999999999999"]),
    st.integers(0, 8).map(lambda i: LONG[i]),
)  # fmt: skip


class Raw(str):
    """JSON text to splice in as it is."""


def values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.lists(st.tuples(NAMES, leaves), max_size=4, unique_by=lambda m: m[0]).map(dict)
    return st.one_of(leaves, members, st.lists(leaves, max_size=3))


LEAVES = st.one_of(NUMBERS.map(Raw), TEXTS, st.booleans(), st.none(), NUMBERS)
DOCUMENTS = values(values(values(LEAVES)))
SPACES = st.sampled_from(["", "", " ", "\n", "\t\r "])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """The value as JSON text, spaces and escapes as the mood is."""
    gap = draw(SPACES)
    if isinstance(value, Raw):
        return gap + value + gap
    if isinstance(value, dict):
        inner = ",".join(f"{draw(written(k))}:{draw(written(v))}" for k, v in value.items())
        return f"{gap}{{{inner or gap}}}{gap}"
    if isinstance(value, list):
        return f"{gap}[{','.join(draw(written(v)) for v in value) or gap}]{gap}"
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    return gap + text.replace("/", "\\/") + gap


TEXT = DOCUMENTS.flatmap(written).filter(lambda s: not any("\ud800" <= c <= "\udfff" for c in s))


@st.composite
def mutilated(draw: st.DrawFn) -> str:
    text = draw(TEXT)
    place = draw(st.integers(0, max(len(text) - 1, 0)))
    other = draw(
        st.sampled_from(['"', "{", "}", "[", "]", ",", ":", "\\", "0", "-", ".", "e", "\x01", "", "NaN", "u", "\ufeff"])
    )
    return text[:place] + other + text[place + draw(st.integers(0, 1)) :]


class Doubled(ValueError):
    """A declared member stands twice."""


def parsed(text: str, declared: set[tuple[str, ...]]) -> Any:
    names = {path[-1] for path in declared}

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [k for k, _ in pairs if k in names]
        if len(keys) != len(set(keys)):
            raise Doubled
        return dict(pairs)

    def refuse(_: str) -> Any:
        raise ValueError

    return json.loads(text, object_pairs_hook=members, parse_int=Raw, parse_float=Raw, parse_constant=refuse)


PATHS = [("a",), ("payload",), ("payload", "a"), ("payload", "é"), ("payload", "a", "b"), ("😀",), ("payload", "")]
KINDS = {dict: t.OBJECT, list: t.ARRAY, Raw: t.NUMBER, type(None): t.NULL}


def member(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return t
        document = document[name]
    return document


def kind_of(value: Any) -> set[int]:
    if value is t:
        return {t.ABSENT}
    if isinstance(value, bool):
        return {t.TRUE if value else t.FALSE}
    return {KINDS[type(value)]} if type(value) in KINDS else {t.STRING, t.ESCAPED}


@QUICK
@given(st.lists(st.one_of(TEXT, mutilated()), min_size=1, max_size=30))
@example(
    ["[1.]", "01", "-", "1e", '"\\u12"', '"\\x"', '"\t"', "{,}", "[1,]", '{"a":1,}', "", " ", "nul", "[]]", "{} {}"]
)
@example(['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"\\u0061":1}', '{"payload":{"a":1,"a":2}}', '{"b":{"a":1,"a":2}}'])
def test_scans_as_python_reads(texts: list[str]) -> None:
    tokens = t.scan_tokens(pa.array(texts), PATHS)
    for row, text in enumerate(texts):
        try:
            document = parsed(text, set())
        except ValueError:
            assert tokens.state[row] == t.BROKEN, text
            continue
        assert tokens.state[row] in (t.VALID, t.DOUBLED), text
        if tokens.state[row] == t.DOUBLED:
            with pytest.raises(Doubled):
                parsed(text, set(PATHS))
            continue
        for path in PATHS:
            assert tokens.kind[path][row] in kind_of(member(document, path)), (text, path)


def test_a_declared_member_that_stands_twice_is_seen_through_any_spelling() -> None:
    texts = ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"payload":{"a":1,"b":0,"a":2}}', '{"payload":{},"payload":1}']
    assert t.scan_tokens(pa.array(texts), PATHS).state.tolist() == [t.DOUBLED] * 4


NAMED = ['"', "\\", "\t", "/", "\b\f\n\r", "é", "\u2028", "😀", "\x00", "a", "", "aa"]


@QUICK
@given(st.lists(st.tuples(st.sampled_from(NAMED), st.booleans(), st.booleans()), min_size=1, max_size=5))
def test_a_member_is_found_by_its_name_in_any_spelling(members: list[tuple[str, bool, bool]]) -> None:
    def spelled(name: str, escaped: bool, ascii_only: bool) -> str:
        units = name.encode("utf-16-be").hex()
        every = '"' + "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4)) + '"'
        return every if escaped else json.dumps(name, ensure_ascii=ascii_only).replace("/", "\\/")

    text = "{" + ",".join(f"{spelled(*member)}:{i}" for i, member in enumerate(members)) + "}"
    paths = [(name,) for name in NAMED]
    tokens = t.scan_tokens(pa.array([text]), paths)
    names = [name for name, _, _ in members]
    if len(set(names)) < len(names):
        assert tokens.state.tolist() == [t.DOUBLED]
    else:
        found = [name for name in NAMED if tokens.kind[name,][0] != t.ABSENT]
        assert (tokens.state.tolist(), sorted(found)) == ([t.VALID], sorted(names))


@pytest.mark.parametrize("name", ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\udc00\\ud800", "x\\udfff"])
def test_half_a_surrogate_pair_in_a_name_is_ordinary_content(name: str) -> None:
    text = f'{{"payload":{{"{name}":1,"a":2,"{name}":"{name}"}},"{name}":3}}'
    tokens = t.scan_tokens(pa.array([text]), PATHS)
    assert tokens.state.tolist() == [t.VALID]
    assert tokens.read_texts(("payload", "a")).to_pylist() == ["2"]


def test_members_nobody_reads_may_stand_twice() -> None:
    assert t.scan_tokens(pa.array(['{"b":{"a":1,"a":2},"c":1,"c":2}']), PATHS).state.tolist() == [t.VALID]


def test_names_are_told_apart_however_they_begin() -> None:
    named = ["", "a", "scenario", "scenario_", "scenario_id", "scenario_ie", "scenario_run_id", "scenarip"]
    others = ["b", "scenari", "scenario_i", "scenario_if", "scenario_id_"]
    body = {name: f"{at:02d}" for at, name in enumerate(sorted([*named, *others]))}
    tokens = t.scan_tokens(pa.array([json.dumps(body)]), [(name,) for name in named])
    assert [tokens.read_texts((name,)).to_pylist() for name in named] == [[body[name]] for name in named]


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_depth_is_bounded(opening: str) -> None:
    closing = {"[": "]"}.get(opening, "}")
    texts = [opening * n + "1" + closing * n for n in (MAX_DEPTH, MAX_DEPTH + 1, 10_000)]
    assert t.scan_tokens(pa.array(texts), PATHS).state.tolist() == [t.VALID, t.BROKEN, t.BROKEN]


def test_documents_of_a_sliced_wide_or_null_column_are_the_same() -> None:
    texts = pa.array(["x", '{"a":1}', None, '{"a":"y"}'])
    for column in (texts.slice(1), texts.cast(pa.large_string()).slice(1)):
        tokens = t.scan_tokens(column, [("a",)])
        assert tokens.state.tolist() == [t.VALID, t.BROKEN, t.VALID]
        assert tokens.read_texts(("a",)).to_pylist() == ["1", None, "y"]


TYPES = {
    "decimal(12,2)": ValueType("decimal", 12, 2), "decimal(18,18)": ValueType("decimal", 18, 18),
    "decimal(1,0)": ValueType("decimal", 1, 0), "decimal(38,10)": ValueType("decimal", 38, 10),
    "decimal(38,0)": ValueType("decimal", 38, 0), "decimal(19,19)": ValueType("decimal", 19, 19),
    "int": ValueType("int"),
    "double": ValueType("double"), "string": ValueType("string"), "bool": ValueType("bool"),
}  # fmt: skip
SCALARS = st.one_of(
    NUMBERS, NUMBERS.map(lambda n: f'"{n}"'), NUMBERS.map(lambda n: f'"\\u00{ord(n[0]):02x}{n[1:]}"'),
    TEXTS.map(json.dumps), st.sampled_from(["null", "true", "false", "{}", "[]", "[1]"]),
    st.sampled_from(['" 1"', '"+1"', '"1 "', '"0x1"', '"1_0"', '"NaN"', '"1."']),
)  # fmt: skip


def stored(value: Any, type_: ValueType) -> Any:
    """What the column holds for a value of the oracle's."""
    if type_.kind in ("decimal", "int"):
        unscaled = value * 10**type_.scale
        return str(unscaled) if type_.wide else int(unscaled)
    return value


@QUICK
@given(st.lists(SCALARS, min_size=1, max_size=40), st.sampled_from(sorted(TYPES)))
def test_reads_values_as_the_oracle_does(scalars: list[str], name: str) -> None:
    type_, texts = TYPES[name], [f'{{"payload":{{"v":{scalar}}}}}' for scalar in scalars]
    read = Read(("payload", "v"), type_)
    column, status = read_values(t.scan_tokens(pa.array(texts), [read.path]), read)
    for row, scalar in enumerate(scalars):
        try:
            expected = read_value(read_json(scalar), name, "null")
        except Refused:
            assert status[row] == r.INVALID, (scalar, name)
            continue
        assert status[row] == (r.MISSING if expected is None else r.PRESENT), (scalar, name)
        if expected is not None:
            found = column[row].as_py()
            assert found == stored(expected, type_), (scalar, name)
            assert not isinstance(found, float) or math.copysign(1, found) == 1 or found < 0


@QUICK
@given(st.lists(SCALARS, min_size=1, max_size=40))
def test_key_texts_are_the_scalars_canonical_texts(scalars: list[str]) -> None:
    read = Read(("v",), ValueType("key"))
    column, status = read_values(t.scan_tokens(pa.array([f'{{"v":{s}}}' for s in scalars]), [read.path]), read)
    for row, scalar in enumerate(scalars):
        value = json.loads(scalar, parse_int=Raw)
        broken = isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value)
        if isinstance(value, (dict, list)) or broken or (isinstance(value, float) and math.isinf(value)):
            assert status[row] == r.INVALID, scalar
        elif value is None:
            assert status[row] == r.MISSING
        else:
            canonical = "0" if type(value) is Raw and value == "-0" else value
            expected = canonical if isinstance(canonical, str) else json.dumps(canonical)
            assert (status[row], column[row].as_py()) == (r.PRESENT, expected), scalar


CONSTANTS: list[Any] = ["x", "", "é", "😀", 0, 1, 1000, Decimal("0.1"), Decimal("-1.25"), True, False]
CONSTANTS += [
    Raw("1e1000000000000000000"),
    Raw("-1.0e1000000000000000000"),
    Raw("1e-1000000000000000000"),
    Raw("1e5000"),
]
CONSTANTS += [Raw("0e1000000000000000000"), Raw("1.5e9999999999999999999"), "\ud7ff"]
LEAF = st.one_of(
    st.tuples(st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]), st.sampled_from(CONSTANTS)),
    st.tuples(st.just("in"), st.lists(st.sampled_from(CONSTANTS), min_size=1, max_size=3)),
    st.tuples(st.just("is_null"), st.booleans()),
).map(lambda leaf: {"path": "payload.v", leaf[0]: leaf[1]})  # fmt: skip
WHERES = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        inner.map(lambda w: {"not": w}),
        st.lists(inner, min_size=1, max_size=3).map(lambda w: {"all": w}),
        st.lists(inner, min_size=1, max_size=3).map(lambda w: {"any": w}),
    ),
    max_leaves=5,
)


def constant(value: Any) -> tuple[str, str]:
    if isinstance(value, Raw):
        return ("number", str(value))
    if isinstance(value, bool):
        return ("bool", json.dumps(value))
    return ("string", value) if isinstance(value, str) else ("number", str(value))


def compiled(where: dict[str, Any]) -> Condition:
    if "not" in where:
        return Condition("not", parts=(compiled(where["not"]),))
    if "path" not in where:
        ((op, parts),) = where.items()
        return Condition(op, parts=tuple(map(compiled, parts)))
    ((op, value),) = ((k, v) for k, v in where.items() if k != "path")
    if op == "is_null":
        return Condition(op, ("payload", "v"), (("bool", json.dumps(value)),))
    return Condition(op, ("payload", "v"), tuple(map(constant, value if isinstance(value, list) else [value])))


def said(where: Any) -> Any:
    """The condition as the oracle takes it."""
    if isinstance(where, dict):
        return {name: said(part) for name, part in where.items()}
    return (
        [said(part) for part in where] if isinstance(where, list) else read_json(where) if type(where) is Raw else where
    )


WHERE_SCALARS = st.one_of(
    NUMBERS, st.sampled_from(["1.0", "1e0", "0.10", "1E3", "-0", "-1.250"]),
    st.sampled_from(['"x"', '""', '"\\u00e9"', '"é"']),
    st.sampled_from(['"\\ud83d\\ude00"', '"\\uffff"', "null", "true", "false", "{}", "[1]", '"1"']),
    st.sampled_from(['"\\ud800"', '"\\udc00x"', '"\\ud800\\ud800"']),
)  # fmt: skip


@QUICK
@given(st.lists(WHERE_SCALARS, min_size=1, max_size=30), WHERES)
def test_conditions_hold_as_in_the_oracle(scalars: list[str], where: dict[str, Any]) -> None:
    texts = [f'{{"payload":{{"v":{scalar}}}}}' for scalar in scalars] + ['{"payload":{}}']
    tokens = t.scan_tokens(pa.array(texts), [("payload", "v")])
    expected = [truth(said(where), read_json(text)) is True for text in texts]
    assert conditions.judge_condition(tokens, compiled(where)).tolist() == expected, where


def test_member_paths_stop_at_what_is_no_object() -> None:
    assert at({"payload": [1]}, "payload.v") is None
    tokens = t.scan_tokens(pa.array(['{"payload":[{"v":1}]}', '{"payload":"v"}']), [("payload", "v")])
    assert tokens.kind[("payload", "v")].tolist() == [t.ABSENT, t.ABSENT]
    assert np.all(tokens.state == t.VALID)
