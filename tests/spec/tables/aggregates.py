"""What each aggregate gives: exact, rounded once, null rather than NaN."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.spec.tables.windows import world
from tests.worlds.tables import Case, expected

AMOUNTS = """
event | time  | card | amount
e0    | 10:00 | 1    | 0.10
e1    | 10:10 | 1    | "0.20"
e2    | 10:20 | 1    |
e3    | 10:30 | 1    | 0.3e0
e4    | 12:00 | 1    | null
"""


def features(*aggregates: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": a, "aggregate": a, "value": "amount", **more} for a in aggregates]


def value(kind: str, missing: str = "null") -> dict[str, Any]:
    return {"amount": {"path": "payload.amount", "type": kind, "missing": missing}}


def one(amount: str, kind: str, missing: str = "fail") -> Case:
    """One event whose amount cannot be read as its declared type."""
    events = f"event|time|card|amount\ne0|10:00|1|{amount}"
    rule = f"{amount or 'an absent value'} is not {kind} under missing: {missing}."
    return Case(
        rule, world(events, values=value(kind, missing), features=features("last")), code="FEATURE_VALUE_INVALID"
    )


GOOD = [
    *[("1e3", "int", 1000.0), ("1.0", "int", 1.0), ('"7"', "int", 7.0), ("-0.0", "int", 0.0)],
    *[("-9223372036854775808", "int", -9223372036854775808.0), ("1.10", "decimal(3,2)", 1.1)],
    *[("9.990", "decimal(3,2)", 9.99), ("99999999999999999999999999999999999999", "decimal(38,0)", 1e38)],
    *[("0.1", "double", 0.1), ('"1e-400"', "double", 0.0), ("-0.0", "double", 0.0), ("1e308", "double", 1e308)],
    *[('"x\\u0000y"', "string", "x\0y"), ('""', "string", ""), ("true", "bool", True), ("false", "bool", False)],
]
BAD = [
    *[("1.005", "decimal(12,2)"), ("1000", "decimal(5,2)"), ("1.5", "int"), ("9223372036854775808", "int")],
    *[
        ("true", "int"),
        ('"1,5"', "decimal(12,2)"),
        ('" 1"', "int"),
        ('"+1"', "int"),
        ('"01"', "int"),
        ('"NaN"', "double"),
    ],
    *[("1e400", "double"), ("1", "string"), ('"true"', "bool"), ("1", "bool"), ("[1]", "int"), ('{"a":1}', "string")],
    *[('"\\u0661"', "int"), ("1e999", "int"), ('"\\ud800"', "string"), ('""', "int"), ("", "int"), ("null", "string")],
]

CASES = {
    "over_the_window": Case(
        "Sums are exact before they are rounded: 0.1 + 0.2 + 0.3 is 0.6. Nulls take no part; numbers may be texts.",
        world(AMOUNTS, features=features("count", "sum", "mean", "min", "max", "first", "last", "count_distinct")),
        expected(
            "event|count_1h|sum_1h|mean_1h|min_1h|max_1h|first_1h|last_1h|count_distinct_1h\n"
            "e0|1|0.1|0.1|0.1|0.1|0.1|0.1|1\n"
            "e1|2|0.3|0.15|0.1|0.2|0.1|0.2|2\n"
            "e2|2|0.3|0.15|0.1|0.2|0.1|0.2|2\n"
            "e3|3|0.6|0.2|0.1|0.3|0.1|0.3|3\n"
            "e4|0|||||||0"
        ),
    ),
    "spread": Case(
        "A standard deviation is the rounded root of the exact variance; of one value 0, of a sample of one null.",
        world(AMOUNTS, features=features("stddev_pop", "stddev_samp")),
        expected(
            "event|stddev_pop_1h|stddev_samp_1h\ne0|0.0|\ne1|0.05|0.07071067811865475\ne2|0.05|0.07071067811865475\n"
            "e3|0.0816496580927726032732428|0.1\ne4||"
        ),
    ),
    "empty_zero": Case(
        "empty: zero makes the sum of nothing zero.",
        world(AMOUNTS, features=features("sum", empty="zero")),
        expected("event|sum_1h\ne0|0.1\ne1|0.3\ne2|0.3\ne3|0.6\ne4|0.0"),
    ),
    "missing_zero": Case(
        "missing: zero makes an absent value a zero, also in the count.",
        world(AMOUNTS, values=value("decimal(12,2)", "zero"), features=features("count", "min", "last")),
        expected("event|count_1h|min_1h|last_1h\ne0|1|0.1|0.1\ne1|2|0.1|0.2\ne2|3|0.0|0.0\ne3|4|0.0|0.3\ne4|1|0.0|0.0"),
    ),
    "missing_zero_double": Case(
        "The zero of a double is 0.0, in order with the others.",
        world(AMOUNTS, values=value("double", "zero"), features=features("min", "count_distinct")),
        expected("event|min_1h|count_distinct_1h\ne0|0.1|1\ne1|0.1|2\ne2|0.0|3\ne3|0.0|4\ne4|0.0|1"),
    ),
    "exact_negative": Case(
        "Below zero, too; and zero has no sign.",
        world("event|time|card|amount\ne0|10:00|1|-0.5\ne1|10:01|1|0.5", features=features("sum", output="exact")),
        {"e0": {"g__sum_1h": Decimal("-0.50")}, "e1": {"g__sum_1h": Decimal("0.00")}},
    ),
    "exact_output": Case(
        "output: exact keeps the decimal.",
        world(AMOUNTS, features=features("sum", "last", output="exact")),
        {
            "e0": {"g__sum_1h": Decimal("0.10"), "g__last_1h": Decimal("0.10")},
            "e1": {"g__sum_1h": Decimal("0.30"), "g__last_1h": Decimal("0.20")},
            "e2": {"g__sum_1h": Decimal("0.30"), "g__last_1h": Decimal("0.20")},
            "e3": {"g__sum_1h": Decimal("0.60"), "g__last_1h": Decimal("0.30")},
            "e4": {"g__sum_1h": None, "g__last_1h": None},
        },
    ),
    "rate": Case(
        "rate = events meeting where ÷ all events of the window; an unknown condition is not met.",
        world(
            "event|time|card|ok\ne0|10:00|1|true\ne1|10:01|1|\ne2|10:02|1|false\ne3|12:00|1|true",
            features=[{"name": "rate", "aggregate": "rate", "where": {"path": "payload.ok", "eq": True}}],
        ),
        expected("event|rate_1h\ne0|1.0\ne1|0.5\ne2|0.3333333333333333\ne3|1.0"),
    ),
    "time_since": Case(
        "time_since_previous leaves the anchor out, time_since_first does not; 0 on a tie.",
        world(
            "event|time|card\ne0|10:00|1\ne1|10:00|1\ne2|10:00:00.000001|1\ne3|10:30|1",
            features=[{"name": n, "aggregate": f"time_since_{n}"} for n in ("previous", "first")],
        ),
        expected("event|previous_1h|first_1h\ne0||0.0\ne1|0.0|0.0\ne2|0.000001|0.000001\ne3|1799.999999|1800.0"),
    ),
    "derived": Case(
        "ratio and difference take exact operands; a null operand or a zero below gives null.",
        world(
            "event|time|card|amount\ne0|10:00|1|0\ne1|10:01|1|0.3\ne2|10:02|1|",
            features=features("sum", "mean", "count"),
            derived=[
                {"name": "over_mean", "ratio": ["amount", "mean_1h"]},
                {"name": "beyond_mean", "difference": ["amount", "mean_1h"]},
                {"name": "share", "ratio": ["sum_1h", "count_1h"]},
            ],
        ),
        expected("event|over_mean|beyond_mean|share\ne0||0.0|0.0\ne1|2.0|0.15|0.15\ne2|||0.15"),
    ),
    "overflow": Case(
        "An exact sum beyond 38 digits is refused.",
        world(
            f"event|time|card|amount\ne0|10:00|1|{'9' * 38}\ne1|10:01|1|1",
            values=value("decimal(38,0)"),
            features=features("sum"),
        ),
        code="FEATURE_NUMERIC_OVERFLOW",
    ),
    "no_overflow": Case(
        "Only the window's own sum counts: what cancels or has left the window never overflows.",
        world(
            f"event|time|card|amount\ne0|10:00|1|{'9' * 38}\ne1|10:01|1|-1\ne2|11:00:30|1|2",
            values=value("decimal(38,0)"),
            features=features("sum"),
        ),
        expected("event|sum_1h\ne0|1e38\ne1|1e38\ne2|1.0"),
    ),
} | {
    f"bad-{i:02d}": one(amount, kind, "null" if amount not in ("", "null") else "fail")
    for i, (amount, kind) in enumerate(BAD)
}

CASES |= {
    f"good-{i:02d}": Case(
        f"{amount} is a {kind}.",
        world(f"event|time|card|amount\ne0|10:00|1|{amount}", values=value(kind), features=features("last")),
        {"e0": {"g__last_1h": read}},
    )
    for i, (amount, kind, read) in enumerate(GOOD)
}
