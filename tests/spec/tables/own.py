"""What a row keeps of its own event: `anchor` values and `keep_keys`."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.spec.tables import core
from tests.spec.tables.windows import group, world
from tests.worlds.groups import CORE
from tests.worlds.model import World, profile, row, segment
from tests.worlds.tables import Case

IDENTITY = ("platform_run_id", "event_id", "event_type", "ts_utc")
LABELS = tuple(
    f"label__fraud_disposition{part}"
    for part in ("", "__status", "__effective_time", "__observed_time", "__assertion_id")
)
LINEAGE = ("_topic", "_partition", "_offset")


def kept(name: str, type_: str, path: str | None = None) -> dict[str, str]:
    return {"name": name, "path": path or f"payload.{name}", "type": type_}


def keeping(events: str, *values: dict[str, str], keep_keys: bool | None = None, **changes: Any) -> World:
    """One group over the events, in a set that keeps these values of a row's own event."""
    made = world(events, **changes)
    own = {"anchor": list(values)} | ({} if keep_keys is None else {"keep_keys": keep_keys})
    return replace(made, profile=profile(*made.profile["feature_groups"], **own))


def columns(*own: str, features: tuple[str, ...] = ("g__count_1h",)) -> tuple[str, ...]:
    return (*IDENTITY, *own, *features, *LABELS, *LINEAGE)


TYPES = """
event | time  | card | d        | w                                           | i    | x     | s   | b
e0    | 10:00 | "A"  | 12.50    | "-9999999999999999999999999999.0000000001"  | 7    | 0.1   | "é" | true
e1    | 10:01 | "A"  | "1.2e1"  | 0e1000000000000000000                       | -0.0 | "1e3" | ""  | false
e2    | 10:02 | "A"  | null     | null                                        | null | null  | null| null
e3    | 10:03 | "A"  |          |                                             |      |       |     |
"""
EVERY = (
    kept("d", "decimal(12,2)"), kept("w", "decimal(38,10)"), kept("i", "int"), kept("x", "double"), kept("s", "string"),
    kept("b", "bool"),
)  # fmt: skip
NOTHING = dict.fromkeys(f"anchor__{one['name']}" for one in EVERY)

MIXED = """
event | time  | type         | card | amount
e0    | 10:00 | card_payment | "A"  | 1
e1    | 10:01 | login        |      | "5"
e2    | 10:02 | refund       | "B"  | 2
"""

COPIES = """
offset | event | time  | arrives  | card | amount
0      | e0    | 10:00 | 10:00:05 | "A"  | 1
1      | e1    | 10:01 | 10:01:05 | "A"  | 2
2      | e0    | 10:00 | 10:02:05 | "B"  | 9
"""

KEYS = """
event | time  | card  | shop
e0    | 10:00 | "A"   | "x"
e1    | 10:01 | 1.0   | true
e2    | 10:02 | null  | "x"
e3    | 10:03 | ""    |
"""
COMPOSITE = group(key=["payload.card", "payload.shop"])


def of_two_groups(events: str, **own: Any) -> World:
    """A group with a composite key, and one of another key behind it."""
    shops = group(name="h", key=["payload.shop"], values={})
    return replace(world(events, values={}), profile=profile({**COMPOSITE, "values": {}}, shops, **own))


ODD = {"card": 1, "card.id": "x", "nested": {"a.b": {"c": 5}}}


def oddly_named() -> World:
    made = world("event|time|card\ne0|10:00|1", values={})
    own = [kept("odd", "string", 'payload."card.id"'), kept("deep", "int", 'payload.nested."a.b".c')]
    rows = segment(row(0, "e0", "2026-02-10T10:00:00Z", ODD))
    return replace(made, segments=(rows,), profile=profile(*made.profile["feature_groups"], anchor=own))


def with_core(events: str, **own: Any) -> World:
    made = core.world(events)
    return replace(made, profile=profile(CORE, **own))


def wrong(type_: str, text: str) -> World:
    return keeping(f"event|time|card|amount\ne0|10:00|1|{text}", kept("amount", type_), values={})


CASES = {
    "every_type": Case(
        "Values are read as values of a group are; a decimal column keeps precision and scale; null where missing.",
        keeping(TYPES, *EVERY, values={}),
        {
            "e0": {
                "anchor__d": Decimal("12.50"), "anchor__w": Decimal("-9999999999999999999999999999.0000000001"),
                "anchor__i": 7, "anchor__x": 0.1, "anchor__s": "é", "anchor__b": True,
            },
            "e1": {
                "anchor__d": Decimal("12.00"), "anchor__w": Decimal("0.0000000000"), "anchor__i": 0, "anchor__x": 1000.0,
                "anchor__s": "", "anchor__b": False,
            },
            "e2": NOTHING,
            "e3": NOTHING,
        },
        columns=columns(*(f"anchor__{one['name']}" for one in EVERY)),
    ),
    "no_source_event": Case(
        "The anchor need not be a source event of any group, nor have a key.",
        keeping(MIXED, kept("amount", "int"), source={"event_types": ["card_payment"]}),
        {
            "e0": {"anchor__amount": 1, "g__count_1h": 1},
            "e1": {"anchor__amount": 5, "g__count_1h": None},
            "e2": {"anchor__amount": 2, "g__count_1h": 0},
        },
    ),
    "only_rows_are_judged": Case(
        "An event that becomes no row may hold anything there.",
        keeping(
            'event|time|type|card|note\ne0|10:00|card_payment|"A"|1\ne1|10:01|login|"A"|[]', kept("note", "int"), values={}
        ).with_intent(join_scope={"label_types": ["fraud_disposition"], "anchor_event_types": ["card_payment"]}),
        {"e0": {"anchor__note": 1}},
    ),
    "the_winner": Case(
        "Of an event that was delivered twice the values are those of the copy that counts.",
        keeping(COPIES, kept("amount", "int"), kept("card", "string"), keep_keys=True),
        {
            "e0": {"anchor__amount": 1, "anchor__card": "A", "key__g__card": "A"},
            "e1": {"anchor__amount": 2, "anchor__card": "A", "key__g__card": "A"},
        },
        {"conflicts": 1},
    ),
    "kept_keys": Case(
        "Every part of every group's key as text, in the set's order; null where that part is missing, others beside it or not.",
        of_two_groups(KEYS, keep_keys=True),
        {
            "e0": {"key__g__card": "A", "key__g__shop": "x", "key__h__shop": "x"},
            "e1": {"key__g__card": "1.0", "key__g__shop": "true", "key__h__shop": "true"},
            "e2": {"key__g__card": None, "key__g__shop": "x", "key__h__shop": "x"},
            "e3": {"key__g__card": "", "key__g__shop": None, "key__h__shop": None},
        },
        columns=columns(
            "key__g__card", "key__g__shop", "key__h__shop", features=("g__count_1h", "h__count_1h")
        ),
    ),
    "values_before_keys": Case(
        "Values stand before keys, in file order.",
        keeping(MIXED, kept("z", "int"), kept("amount", "int"), keep_keys=True),
        columns=columns("anchor__z", "anchor__amount", "key__g__card"),
    ),
    "keys_not_kept": Case(
        "keep_keys: false and an empty anchor are as good as absent.", keeping(MIXED, keep_keys=False), columns=columns()
    ),
    "columns_of_the_record": Case(
        "event_type and scenario_run_id may be kept, too.",
        keeping(
            'event|time|type|scenario|card|event_type\ne0|10:00|refund|s1|1|"login"',
            kept("kind", "string", "event_type"), kept("run", "string", "scenario_run_id"),
        ),
        {"e0": {"anchor__kind": "refund", "anchor__run": "s1"}},
    ),
    "quoted_paths": Case(
        "Paths follow one grammar.", oddly_named(), {"e0": {"anchor__odd": "x", "anchor__deep": 5}}
    ),
    "core_key": Case(
        "A core group's key is the online plane's: field and text; null for an event that it skips.",
        with_core(
            'event|time|type|flow_id\ne0|10:00|card_payment|"f"\ne1|10:01|action_intent|"f"\ne2|10:02|card_payment|',
            keep_keys=True,
        ),
        {
            "e0": {"key__core_features__key": "flow_id:f"},
            "e1": {"key__core_features__key": None},
            "e2": {"key__core_features__key": "event_id:e2"},
        },
    ),
    "doubled": Case(
        "A value that is kept is a declared member: a record in which it stands twice is invalid.",
        keeping('event|time|card|note\ne0|10:00|1|1,"note":1\ne1|10:01|1|2', kept("note", "int"), values={}),
        {"e1": {"anchor__note": 2}},
        {"invalid": 1},
    ),
}  # fmt: skip
CASES |= {
    f"wrong-{i}": Case("A value of another type is refused, as a group's is.", wrong(*one), code="FEATURE_VALUE_INVALID")
    for i, one in enumerate(
        [
            ("decimal(12,2)", "1.005"), ("decimal(4,2)", "100"), ("decimal(38,38)", "1"), ("int", "1.5"), ("int", "true"),
            ("double", "1e400"), ("string", "1"), ("string", r'"\ud800"'), ("bool", '"true"'), ("string", "[]"),
        ]
    )
}  # fmt: skip
KEPT_KEYS = {
    "an_array": keeping("event|time|card\ne0|10:00|[]", keep_keys=True, values={}),
    "an_object_beside_one_that_is_missing": of_two_groups('event|time|card|shop\ne0|10:00|{}|null', keep_keys=True),
    "half_a_character": keeping('event|time|card\ne0|10:00|"\\ud800"', keep_keys=True, values={}),
    "of_no_source_event": keeping(
        'event|time|type|card\ne0|10:00|card_payment|1\ne1|10:01|login|[1]',
        keep_keys=True, values={}, source={"event_types": ["card_payment"]},
    ),
}  # fmt: skip
CASES |= {
    f"wrong_key-{name}": Case("A key that is no scalar is refused, kept or not.", made, code="FEATURE_VALUE_INVALID")
    for name, made in KEPT_KEYS.items()
}
