"""YAML: plain values in, everything clever out."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ofs_spark.foundation.canonical import CanonicalError
from ofs_spark.foundation.strict_yaml import parse_yaml


def test_plain_values() -> None:
    text = b"a: [1, -2.50, 1e3, true, false, null, ~, yes, 'null', \"1\", 1h]\nb:\n  - {c: d@v1}\n  -\n"
    plain = [1, -2.5, 1000.0, True, False, None, None, "yes", "null", "1", "1h"]
    assert parse_yaml(text) == {"a": plain, "b": [{"c": "d@v1"}, None]}
    assert parse_yaml(b"[0.10, 7]", number=Decimal) == [Decimal("0.10"), Decimal("7")]
    assert str(parse_yaml(b"q: 0.10", number=Decimal)["q"]) == "0.10"
    assert parse_yaml(b"") is None


BOMB = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    "text",
    [
        *(BOMB, b"a: &x 1", b"a: !!python/object:os.system 1", b"a: !!str 1", b"a: ! 1", b"<<: {a: 1}"),
        *(b"a: 1\na: 2", b"1: a", b"null: a", b"? [a]\n: b", b"a: 2026-02-10", b"a: 2026-02-10T10:00:00Z"),
        *(b"a: 0x10", b"a: 0o10", b"a: 010", b"a: 1_000", b"a: .inf", b"a: .nan", b"a: 1:30", b"a: +1", b"a: .5"),
        *(b"a: [1", b"a: 1\n---\nb: 2", b"\xff", b"[" * 100 + b"]" * 100, b"[" * 100_000, b"a" * 2_000_000),
    ],
)
def test_everything_else_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(CanonicalError, match="the profile"):
        parse_yaml(text, what="the profile")
