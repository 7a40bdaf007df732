"""What paths name and what their values are: numbers of any size, odd names, columns of the record, half characters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.oracle.exact import read_json
from tests.spec.tables.aggregates import features, value
from tests.spec.tables.windows import world
from tests.worlds.model import World, row, segment
from tests.worlds.tables import Case, expected

FAR = ("1e1000000000000000000", "-1E+1000000000000000000", "1e-1000000000000000000", "0e1000000000000000000")
NUMBERS = "event | time | card | amount\n" + "\n".join(
    f"e{i} | 10:0{i} | 1 | {text}" for i, text in enumerate((*FAR, "10e999999999999999999", "0.00", '"1"', "1.0"))
)
COUNT = {"name": "count", "aggregate": "count"}


def counting(where: dict[str, Any], events: str = NUMBERS) -> World:
    """A group that counts the events that meet a condition, over everything up to the anchor."""
    return world(events, windows=[], values={}, features=[{**COUNT, "where": where}])


def counts(*running: int) -> dict[str, dict[str, int]]:
    return {f"e{i}": {"g__count": n} for i, n in enumerate(running)}


def compare(op: str, constant: str) -> World:
    return counting({"path": "payload.amount", op: [read_json(constant)] if op == "in" else read_json(constant)})


ODD = (
    {"card": 1, "card.id": "x", 'a"b': 1, "tab\tbed": 1, "\\": 1, "é/": 1, "nested": {"a.b": {"c": "y"}}},
    {"card": 1, "card.id": "y", 'a"b': 2, "tab\tbed": 1, "\\": 1, "é/": 1, "nested": {"a.b": {"c": "x"}}},
)
TYPES = """
event | time  | type         | scenario | card | event_type | scenario_run_id
e0    | 10:00 | card_payment | s1       | 1    | "refund"   | "s2"
e1    | 10:01 | refund       | s1       | 1    | "refund"   | "s2"
e2    | 10:02 | refund       | s2       | 1    | "login"    | "s1"
"""
TWO = "event|time|card|amount\ne0|10:00|1|1\ne1|10:01|1|1"
HALF = r'"\ud800"'


def oddly_named(where: dict[str, Any] | None = None, **changes: Any) -> World:
    """Two payments whose payload has names that no path holds unquoted."""
    rows = [row(i, f"e{i}", f"2026-02-10T10:0{i}:00Z", payload) for i, payload in enumerate(ODD)]
    plain = world(TWO, windows=[], values={}, features=[{**COUNT, "where": where} if where else COUNT], **changes)
    return replace(plain, segments=(segment(*rows),))


def spoiled_names() -> World:
    """Envelopes with half a surrogate pair in an undeclared name and value."""
    payload = '{"card":1,"\\ud800":"\\udc00","x\\ude00":{"\\ud83d":1},"\\u0061mount":"0.5"}'
    rows = [row(i, f"e{i}", f"2026-02-10T10:0{i}:00Z", payload) for i in range(2)]
    return replace(world(TWO), segments=(segment(*rows),))


def spelled(*payloads: str) -> World:
    """Payments of one card with these payloads, as they are spelled."""
    rows = [row(i, f"e{i}", f"2026-02-10T10:0{i}:00Z", payload) for i, payload in enumerate(payloads)]
    lines = "event|time|card\n" + "\n".join(f"e{i}|10:0{i}|1" for i in range(len(rows)))
    return replace(world(lines, values={}), segments=(segment(*rows),))


def deep(levels: int) -> str:
    """A payload that holds so many levels more."""
    return '{"card":1,"deep":' + "[" * levels + "]" * levels + "}"


def doubles(*amounts: str) -> World:
    events = "event|time|card|amount|by\n" + "\n".join(
        f"e{i}|10:0{i}|1|{amount.replace('/', '|')}" for i, amount in enumerate(amounts)
    )
    types = {name: {"path": f"payload.{name}", "type": "double", "missing": "null"} for name in ("amount", "by")}
    derived = [{"name": "over", "ratio": ["amount", "by"]}, {"name": "beyond", "difference": ["amount", "by"]}]
    return world(events, values=types, features=[COUNT], derived=derived)


CASES = {
    "eq_far": Case("Equal at any exponent.", compare("eq", "1.0e1000000000000000000"), counts(1, 1, 1, 1, 2, 2, 2, 2)),
    "ne_far": Case("Unequal, as another type is.", compare("ne", "1e1000000000000000000"), counts(0, 1, 2, 3, 3, 4, 5, 6)),
    "in_far": Case("One of several.", compare("in", "-1e1000000000000000000"), counts(0, 1, 1, 1, 1, 1, 1, 1)),
    "lt_far": Case("Below any float.", compare("lt", "1e-999999999999999999"), counts(0, 1, 2, 3, 3, 4, 4, 4)),
    "le_far": Case("Or the same.", compare("le", "0.1e-999999999999999999"), counts(0, 1, 2, 3, 3, 4, 4, 4)),
    "gt_far": Case("Above zero.", compare("gt", "0e1000000000000000000"), counts(1, 1, 2, 2, 3, 3, 3, 4)),
    "ge_far": Case("Or the same.", compare("ge", "1e1000000000000000000"), counts(1, 1, 1, 1, 2, 2, 2, 2)),
    "filter_by_exact_value": Case(
        "A filter keeps numbers by their exact value, whatever their exponent.",
        counting({"path": "payload.amount", "is_null": False}).with_intent(filters={"amount": [0, 1]}),
        {"e3": {"g__count": 4}, "e5": {"g__count": 6}, "e7": {"g__count": 8}},
    ),
    "quoted_parts": Case(
        "A part that holds a dot is written in double quotes.",
        oddly_named({"path": 'payload."card.id"', "eq": "x"}), counts(1, 1),
    ),
    "quoted_parts_inside": Case(
        "Anywhere in a path, also around a name that needs none.",
        oddly_named({"path": 'payload."nested"."a.b".c', "eq": "x"}), counts(0, 1),
    ),
    "escaped_parts": Case(
        "A quoted part is a JSON string.", oddly_named({"path": 'payload."a\\"b"', "lt": 2}), counts(1, 1)
    ),
    "quoted_key": Case(
        "A key, too.", oddly_named(key=['payload."card.id"']), counts(1, 1)  # two cards
    ),
    "filters_on_odd_names": Case(
        "A filter's name is a member's name as it is, quotes, backslashes and tabs included.",
        oddly_named().with_intent(filters={'a"b': [1], "tab\tbed": [1], "\\": [1], "é/": [1], "card.id": ["x"]}),
        counts(1),
    ),
    "event_type_of_the_record": Case(
        "event_type in a path is the record's column, whatever the payload says.",
        counting({"path": "event_type", "eq": "refund"}, TYPES), counts(0, 1, 2),
    ),
    "scenario_of_the_record": Case(
        "scenario_run_id in a path is the record's column.",
        counting({"path": "scenario_run_id", "in": ["s2"]}, TYPES), counts(0, 0, 1),
    ),
    "columns_as_values": Case(
        "They are values, too.",
        world(
            TYPES,
            values={"type": {"path": "event_type", "type": "string"}, "run": {"path": "scenario_run_id", "type": "string"}},
            features=[{"name": n, "aggregate": "last", "value": n} for n in ("type", "run")]
            + [{"name": "kinds", "aggregate": "count_distinct", "value": "type"}],
        ),
        expected('event|type_1h|run_1h|kinds_1h\ne0|"card_payment"|"s1"|1\ne1|"refund"|"s1"|2\ne2|"refund"|"s2"|2'),
    ),
    "half_characters_nobody_reads": Case(
        "Half a surrogate pair in an undeclared name or value is ordinary content.",
        replace(spoiled_names(), profile=world(NUMBERS, features=features("sum")).profile),
        expected("event|sum_1h\ne0|0.5\ne1|1.0"),
    ),
    "half_characters_in_a_condition": Case(
        "In a condition it is a text like another, in the order of code points.",
        counting({"all": [{"path": "payload.s", "gt": "\ud7ff"}, {"path": "payload.s", "lt": "\ue000"}]},
                 f"event|time|card|s\ne0|10:00|1|{HALF}\ne1|10:01|1|\"x\"\ne2|10:02|1|\"\\ue000\""),
        counts(1, 1, 1),
    ),
    "half_a_character_as_value": Case(
        "A declared text that holds half a surrogate pair is no text.",
        world(f"event|time|card|amount\ne0|10:00|1|{HALF}", values=value("string"), features=features("last")),
        code="FEATURE_VALUE_INVALID",
    ),
    "values_without_a_key": Case(
        "A source event without a key is a source event: its value is read, and refused when invalid.",
        world('event|time|card|amount\ne0|10:00|1|1\ne1|10:01||"x"', features=features("sum")),
        code="FEATURE_VALUE_INVALID",
    ),
    "missing_values_without_a_key": Case(
        "Also where it is missing and must not be.",
        world("event|time|card|amount\ne0|10:00|1|1\ne1|10:01|null|", values=value("int", "fail"), features=features("sum")),
        code="FEATURE_VALUE_INVALID",
    ),
    "doubled": Case(
        "A declared member that stands twice makes its record invalid, in any spelling; another one may.",
        spelled('{"card":1,"x":1,"x":2}', '{"card":1,"card":1}', '{"card":1,"c\\u0061rd":2}', '{"card":1}'),
        {"e0": {"g__count_1h": 1}, "e3": {"g__count_1h": 2}}, {"invalid": 2},
    ),
    "nested": Case(
        "The envelope is level 1, its payload level 2; level 65 makes a record invalid.",
        spelled(deep(62), deep(63)), {"e0": {"g__count_1h": 1}}, {"invalid": 1},
    ),
    "beyond_float64": Case(
        "A ratio or difference whose rounded value is beyond float64 is null.",
        doubles("1e308/1e-308", "-1e308/1e308", "1e308/-1e308", "1e308/0.5", "5e-324/1e308"),
        expected(
            "event|over|beyond\ne0||1e308\ne1|-1.0|\ne2|-1.0|\ne3||1e308\ne4|0.0|-1e308"
        ),
    ),
}  # fmt: skip

EXACT = ("decimal(12,2)", "decimal(38,10)", "int")
BIG = "7" + "0" * 5000 + "e-5000"
READ = [
    *[("0e1000000000000000000", kind, 0.0) for kind in (*EXACT, "decimal(18,0)", "decimal(19,0)", "double")],
    *[('"-0.0E-1000000000000000000"', kind, 0.0) for kind in (*EXACT, "double")],
    *[(BIG, kind, 7.0) for kind in (*EXACT, "double")],
    *[("0." + "0" * 5000 + "7e5001", kind, 7.0) for kind in (*EXACT, "double")],
    ("1e-1000000000000000000", "double", 0.0),
]  # fmt: skip
UNREADABLE = [
    *[(text, kind) for text in FAR[:2] for kind in (*EXACT, "double")],
    *[(FAR[2], kind) for kind in EXACT],
]
CASES |= {
    f"far-{i:02d}": Case(
        "A number has its exact value, whatever its exponent and however it is written.",
        world(f"event|time|card|amount\ne0|10:00|1|{text}", values=value(kind), features=features("last")),
        {"e0": {"g__last_1h": read}},
    )
    for i, (text, kind, read) in enumerate(READ)
}
CASES |= {
    f"too-far-{i:02d}": Case(
        "And is refused where the declared type has no such value.",
        world(f"event|time|card|amount\ne0|10:00|1|{text}", values=value(kind), features=features("last")),
        code="FEATURE_VALUE_INVALID",
    )
    for i, (text, kind) in enumerate(UNREADABLE)
}
