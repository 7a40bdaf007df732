"""What a logged value stands for in a column of each type, and where it stands in a file."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.parity import logged_lines
from ofs_spark.parity import values as v
from ofs_spark.parity.compare import Tolerance
from ofs_spark.parity.logged_bytes import BLOCK, FileBytes, find_logged
from ofs_spark.parity.skew import Tally, write_decimal
from ofs_spark.pins.columns import find_type, name_decimal

INTS, MONEY, STAMP = "int64", name_decimal(2), "timestamp[us, tz=UTC]"
LISTS = ("list<double>", "list<string>", "list<int64>")
CASES: list[tuple[str, int, str, str | None]] = [
    (INTS, v.NUMBER, "3", "3"),
    (INTS, v.NUMBER, "3.00", "3"),
    (INTS, v.NUMBER, "0.3e1", "3"),
    (INTS, v.STRING, "-0", "0"),
    (INTS, v.NUMBER, "2.5", "2.5"),
    (INTS, v.NUMBER, "9223372036854775808", "9223372036854775808"),
    (INTS, v.NUMBER, "1e401", None),
    (INTS, v.NUMBER, "0e999999", "0"),
    (INTS, v.STRING, " 3", None),
    (INTS, v.STRING, "3\n", None),
    (INTS, v.STRING, "0x3", None),
    (INTS, v.STRING, "03", None),
    (INTS, v.TRUE, "", None),
    (INTS, v.NULL, "", None),
    (MONEY, v.STRING, "12.50", "12.5"),
    (MONEY, v.NUMBER, "1e2", "100"),
    (MONEY, v.NUMBER, "-0.00", "0"),
    (MONEY, v.LIST, "[1]", None),
    ("bool", v.TRUE, "", "true"),
    ("bool", v.STRING, "false", "false"),
    ("bool", v.STRING, "False", None),
    ("bool", v.NUMBER, "1", None),
    ("string", v.STRING, "3.0", "3.0"),
    ("string", v.STRING, "", ""),
    ("string", v.NUMBER, "3", None),
    (STAMP, v.STRING, "2026-02-10T00:00:00+00:00", "2026-02-10T00:00:00.000000Z"),
    (STAMP, v.STRING, "2026-02-30T00:00:00Z", None),
    (STAMP, v.NUMBER, "3", None),
    ("list<double>", v.LIST, "[1, 0.10, -0.0, null]", '["1.0","0.1","0.0",null]'),
    ("list<double>", v.LIST, '["1.5"]', '["1.5"]'),
    ("list<double>", v.LIST, "[1e999]", None),
    ("list<double>", v.LIST, "[[1]]", None),
    ("list<double>", v.STRING, "[1]", '["1.0"]'),
    ("list<double>", v.STRING, "1", None),
    ("list<int64>", v.LIST, "[]", "[]"),
    ("list<string>", v.LIST, '["a", "é", null]', '["a","é",null]'),
    ("list<string>", v.LIST, '["\\ud800"]', None),
    ("list<string>", v.LIST, "[1]", None),
    ("list<string>", v.OBJECT, "", None),
]


@pytest.mark.parametrize(("column", "kind", "text", "expected"), CASES)
def test_a_logged_value_stands_for(column: str, kind: int, text: str, expected: str | None) -> None:
    kinds, given = np.array([kind, v.NULL]), pa.array([text or None, None], pa.string())
    if column == "string" and kind == v.STRING:
        given = pa.array([text, None])
    typed = v.type_values(column, kinds, given, pa.nulls(2, pa.float64()))
    assert typed.texts.to_pylist() == [expected, None]
    assert typed.readable.tolist() == [expected is not None or kind == v.NULL, True]


DOUBLES: list[tuple[int, str, float | None]] = [
    (v.NUMBER, "0.1", 0.1),
    (v.NUMBER, "0.1000000000000000055511151231257827", 0.1),
    (v.STRING, "1e-400", 0.0),
    (v.NUMBER, "1.7976931348623157e308", 1.7976931348623157e308),
    (v.NUMBER, "1e309", None),
    (v.STRING, "inf", None),
    (v.STRING, "nan", None),
    (v.STRING, "+1", None),
    (v.STRING, "1.", None),
    (v.STRING, "", None),
    (v.TRUE, "", None),
]


@pytest.mark.parametrize(("kind", "text", "expected"), DOUBLES)
def test_a_logged_float64_is_the_nearest_to_its_digits(kind: int, text: str, expected: float | None) -> None:
    typed = v.type_values("double", np.array([kind]), pa.array([text], pa.string()), pa.nulls(1, pa.float64()))
    assert (typed.number.to_pylist(), typed.readable.tolist()) == ([expected], [expected is not None])


@pytest.mark.parametrize("column", [INTS, MONEY, "bool", "string", STAMP, *LISTS])
def test_a_rebuilt_value_has_the_text_of_the_same_value_logged(column: str) -> None:
    """The text of a rebuilt value, logged as it is, comes back as itself."""
    rebuilt = {
        INTS: pa.array([0, -7, 2**63 - 1, None]),
        MONEY: pa.array([Decimal("0.00"), Decimal("-12.50"), Decimal("1" * 36), None], pa.decimal128(38, 2)),
        "bool": pa.array([True, False, None]),
        "string": pa.array(["", "é", None]).dictionary_encode().cast(pa.string()),
        STAMP: pa.array([0, 1, None], pa.timestamp("us", "UTC")),
        "list<double>": pa.array([[], [0.1, -0.0, 1e300, None], None], pa.list_(pa.float64())),
        "list<string>": pa.array([['"', "a,b"], None], pa.list_(pa.string())),
        "list<int64>": pa.array([[1, None], None], pa.list_(pa.int64())),
    }[column]
    texts = v.spell_rebuilt(find_type(column), rebuilt)
    kinds = np.where(np.asarray(texts.is_valid()), v.STRING, v.NULL)
    logged = v.type_values(column, kinds, texts, pa.nulls(len(texts), pa.float64()))
    assert logged.readable.all()
    assert logged.texts.equals(texts)
    assert texts.null_count == 1


def test_differences_are_those_of_the_decimals() -> None:
    double = find_type("double")
    assert v.subtract(double, "1.01", "1.0") == [(Decimal("0.01"), Decimal("1.0"))]
    assert v.subtract(double, "1.7976931348623157e+308", "5e-324") is not None
    lists = find_type("list<double>")
    assert v.subtract(lists, '["1.5",null]', '["1.0",null]') == [(Decimal("0.5"), Decimal("1.0"))]
    assert v.subtract(lists, '["1.5"]', '["1.0","2.0"]') is None
    assert v.subtract(lists, '["1.5",null]', '["1.0","2.0"]') is None


@pytest.mark.parametrize(
    ("number", "text"),
    [("0.00", "0"), ("-2.50", "-2.5"), ("1E+3", "1000"), ("-1.25E-40", "-1.25e-40"), ("3E+31", "3e31")],
)
def test_decimals_are_written_without_an_exponent_where_that_takes_few_zeros(number: str, text: str) -> None:
    assert (write_decimal(Decimal(number)), Decimal(text)) == (text, Decimal(number))


def test_no_number_is_rounded_on_its_way() -> None:
    """Python's own context keeps 28 digits."""
    size = Decimal("100000000000000000000000000000.01")
    assert not Tolerance(Decimal("1E+29"), None).admits(size.copy_negate(), size)
    assert not Tolerance(None, Decimal(1)).admits(size.copy_negate(), v.EXACT.subtract(size, Decimal(1)))
    assert Tolerance(None, Decimal(1)).admits(size.copy_negate(), size.copy_negate())
    total = Tally(greatest=size, total=size)
    total.add(Tally(greatest=size.copy_negate(), total=Decimal("1E-30")))
    assert (total.greatest, str(total.total)) == (size, f"{size}{'0' * 27}1")


def hold(body: bytes, block: int = BLOCK) -> FileBytes:
    objects = MemoryObjects({"f": body})
    return FileBytes(objects, find_logged(objects, "f", block))


@pytest.mark.parametrize("of", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("piece", [1, 90, 10_000])
def test_shares_of_a_file_are_all_of_it_once(of: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged_lines, "_PIECE", piece)
    rng, lines = random.Random(of), list[str]()
    for number in range(50):
        line = {
            "event_id": f"e{number}",
            "column": "ü\n" * rng.randrange(3) + "c",
            "value": [number, {}],
            "x": {"value": 1},
        }
        text = json.dumps({**line, "logged_at_utc": "2026-02-10T00:00:00Z"}, ensure_ascii=number % 2 == 0)
        lines += [rng.choice(["", " ", "\r"]), text][rng.randrange(2) :]
    body = "\n".join(lines).encode() + b"\n" * rng.randrange(2)
    found: list[tuple[int, str, str]] = []
    for share in range(of):
        for rows, faults in logged_lines.read_lines(hold(body, 64), share, of):
            assert faults == []
            found += zip(rows.line.tolist(), rows.event_ids.to_pylist(), rows.texts.to_pylist(), strict=True)
    stated = [(n + 1, json.loads(line)) for n, line in enumerate(lines) if line.strip()]
    assert found == [(n, one["event_id"], json.dumps(one["value"])) for n, one in stated]


def test_bytes_that_are_no_text_are_a_fault_of_their_line() -> None:
    good = b'{"event_id": "e", "column": "c", "value": 1, "logged_at_utc": "2026-02-10T00:00:00Z"}'
    body = b"\n".join([good, good.replace(b'"e"', b'"\xff"'), b"\xef\xbb\xbf" + good, good])
    ((rows, faults),) = logged_lines.read_lines(hold(body), 0, 1)
    assert rows.line.tolist() == [1, 4]
    assert [(fault.line, fault.message[:22]) for fault in faults] == [
        (2, "the line is not UTF-8:"),
        (3, "the line starts with a"),
    ]
