"""Hostile payloads: one field per declared type, written as JSON text so that every digit is the generator's."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.oracle.exact import read_number

TYPES = {"d2": "decimal(12,2)", "d38": "decimal(38,10)", "i": "int", "x": "double", "s": "string", "b": "bool"}
"""Payload field → declared type; every group of a generated world reads these."""

NUMERIC = ("d2", "d38", "i", "x")
SUMMABLE = ("d2", "d38", "i")
SPREADABLE = ("d2", "i")
STRINGS = (
    "",
    "x",
    "y",
    "X",
    "a|b",
    "é",
    "e\u0301",
    "\x00",
    "\u2028",
    "'; DROP TABLE x; --",
    '"',
    "\\",
    "😀",
    "\uffff",
    "1",
    "null",
)
KEYS = (
    '"A"',
    '"B"',
    '"a|b"',
    '"a"',
    '"b"',
    '""',
    '"\\u0000"',
    '"😀"',
    '"\\ud83d\\ude00"',
    "1",
    '"1"',
    "true",
    "null",
    None,
)
FAR = ("0e1000000000000000000", "-0.0e-1000000000000000000", "1e1000000000000000000", "10.0E-1000000000000000001")
"""Numbers of exponents that no other reader holds."""
CONSTANTS: tuple[Any, ...] = (
    "x",
    "",
    "a|b",
    "😀",
    0,
    1,
    1000,
    0.1,
    -1.25,
    True,
    False,
    *map(read_number, FAR),
    "login",
)


def quoted(text: str) -> st.SearchStrategy[str]:
    return st.booleans().map(lambda ascii_only: json.dumps(text, ensure_ascii=ascii_only))


def maybe_text(numbers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A number, sometimes as a JSON string of exactly that number."""
    return st.one_of(numbers, numbers, numbers.map(lambda n: f'"{n}"'))


def cents() -> st.SearchStrategy[str]:
    pool = st.sampled_from(
        ["0", "-0.0", "0.10", "0.20", "0.30", "1e3", "1E+1", "2.5e-1", "1.10", "-9999999999.99", "3.000", *FAR[:2]]
    )
    return maybe_text(st.one_of(pool, st.integers(-10_000, 10_000).map(lambda n: str(Decimal(n).scaleb(-2)))))


def wide() -> st.SearchStrategy[str]:
    big = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: format(Decimal((int(n < 0), digits(n), -10)), "f"))
    small = st.integers(-(10**17), 10**17).map(lambda n: format(Decimal((int(n < 0), digits(n), -10)), "f"))
    return maybe_text(
        st.one_of(small, small, big, st.sampled_from(["9" * 28 + "." + "9" * 10, "-" + "9" * 28, *FAR[:2]]))
    )


def digits(n: int) -> tuple[int, ...]:
    return tuple(map(int, str(abs(n))))


def whole() -> st.SearchStrategy[str]:
    pool = st.sampled_from(["0", "-0.0", "1.0", "1e3", *FAR[:2], "9223372036854775807", "-9223372036854775808"])
    return maybe_text(st.one_of(pool, st.integers(-1000, 1000).map(str)))


def doubles() -> st.SearchStrategy[str]:
    pool = st.sampled_from(
        ["-0.0", "0.1", "0.30000000000000004", "1e-400", "123456789012345678901234567890", FAR[0], FAR[3]]
    )
    return maybe_text(st.one_of(pool, st.floats(-1e60, 1e60, allow_subnormal=False).map(repr)))


FIELDS: dict[str, st.SearchStrategy[str]] = {
    "d2": cents(),
    "d38": wide(),
    "i": whole(),
    "x": doubles(),
    "s": st.sampled_from(STRINGS).flatmap(quoted),
    "b": st.sampled_from(["true", "false"]),
}


BAD: dict[str, tuple[str, ...]] = {
    "d2": ("1.005", "10000000000", "true", '"1,5"', '" 1"', "[]"),
    "d38": ("1e28", '"1e-11"', '"NaN"', "{}"),
    "i": ("1.5", "9223372036854775808", '"01"', '"\\u0661"'),
    "x": ("1e400", '"Infinity"', "true", '""'),
    "s": ("1", "false", "[]"),
    "b": ('"true"', "0"),
    "card": ("[]", '{"a":1}'),
}
"""Texts that no declared type of the field takes."""


@st.composite
def payloads(draw: st.DrawFn, poisoned: bool = False) -> str:
    """A JSON object text: two key fields, a flow, and the typed fields, each of them now and then null or absent."""
    members: dict[str, str | None] = {
        "card": draw(st.sampled_from(KEYS[:2] * 12 + KEYS)),
        "shop": draw(st.sampled_from(KEYS[:2] * 8 + KEYS)),
        "flow_id": draw(st.sampled_from(('"f"', '"f"', '"g"', '""', "null", None))),
        "amount": draw(st.sampled_from(("0.1", "0.2", '"0.3"', "true", '"no"', "null", None, "1e2"))),
    }
    for name, texts in FIELDS.items():
        members[name] = draw(texts) if draw(st.integers(0, 7)) else draw(st.sampled_from([None, "null"]))
    if poisoned and draw(st.booleans()):
        field = draw(st.sampled_from(sorted(BAD)))
        members[field] = draw(st.sampled_from(BAD[field]))
    written = [f'"{name}":{text}' for name, text in members.items() if text is not None]
    if draw(st.integers(0, 15)) == 0:
        written.append(draw(st.sampled_from(UNREAD)))
    if poisoned and draw(st.integers(0, 7)) == 0:
        written.append(draw(st.sampled_from(SPOILING)))
    return "{" + ",".join(written) + "}"


UNREAD = (
    r'"\ud800":"\udc00"', r'"\ud83d":{"x":1,"x":2}', r'"u":1,"u":2', r'"\u002e":[]', '"deep":' + "[" * 62 + "]" * 62,
)  # fmt: skip
"""Members that no group reads, in spellings that must do no harm: half characters, doubles, the last level there is."""
SPOILING = (r'"card":1,"card":1', r'"card":"A","\u0063ard":"A"', '"deep":' + "[" * 63 + "]" * 63)
"""Members that make a record invalid, most often: a key that stands twice, a level too many."""


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    inside = [f"payload.{name}" for name in (*TYPES, "nested.absent", '"d2"')]
    paths = st.sampled_from([*inside, "event_type", "scenario_run_id"])
    compare = st.tuples(paths, st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]), st.sampled_from(CONSTANTS))
    among = st.tuples(paths, st.just("in"), st.lists(st.sampled_from(CONSTANTS), min_size=1, max_size=3))
    null = st.tuples(paths, st.just("is_null"), st.booleans())
    return st.one_of(compare, compare, among, null).map(lambda leaf: {"path": leaf[0], leaf[1]: leaf[2]})


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    def inner(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        several = st.tuples(st.sampled_from(["all", "any"]), st.lists(parts, min_size=1, max_size=3))
        return st.one_of(several.map(lambda p: {p[0]: p[1]}), parts.map(lambda p: {"not": p}))

    return st.recursive(leaves(), inner, max_leaves=4)
