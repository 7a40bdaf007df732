"""YAML: plain values in, everything clever out."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ofs_spark.foundation.canonical import CanonicalError
from ofs_spark.foundation.strict_yaml import parse_yaml


def test_plain_values() -> None:
    text = (
        b"a: [1, -2.50, 1e3, true, True, FALSE, false, NULL, ~, yes, On, 'null', \"1\", 1h]\nb:\n  - {c: d@v1}\n  -\n"
    )
    plain = [1, -2.5, 1000.0, True, True, False, False, None, None, "yes", "On", "null", "1", "1h"]
    assert parse_yaml(text) == {"a": plain, "b": [{"c": "d@v1"}, None]}
    assert parse_yaml(b"[0.10, 7]", number=Decimal) == [Decimal("0.10"), Decimal("7")]
    assert str(parse_yaml(b"q: 0.10", number=Decimal)["q"]) == "0.10"
    assert parse_yaml(b"q: 1e1000000000000000000", number=str) == {"q": "1e1000000000000000000"}
    assert parse_yaml(b"") is None


def test_anchors_and_aliases_are_read() -> None:
    text = b"base: &b {a: 1, c: [x]}\nsame: *b\nlist: [&n 7, *n]\n"
    assert parse_yaml(text) == {"base": {"a": 1, "c": ["x"]}, "same": {"a": 1, "c": ["x"]}, "list": [7, 7]}


def unfold(levels: int) -> bytes:
    """A document of a few hundred bytes that unfolds to 9 to the power of `levels` texts."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines).encode()


def nest(levels: int) -> bytes:
    """A list in a list, each level an alias of the one before."""
    return "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, levels))]).encode()


def test_what_aliases_unfold_to_keeps_the_limits() -> None:
    assert len(parse_yaml(unfold(3))["a2"]) == 9
    assert parse_yaml(nest(20))["a19"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            unfold(9),
            nest(70),
            b"a: &a [*a]",
            b"a: *b",
            b"a: !!python/object:os.system 1",
            b"a: !!str 1",
            b"a: ! 1",
            b"<<: {a: 1}",
        ),
        *(b"a: 1\na: 2", b"1: a", b"null: a", b"? [a]\n: b", b"a: 2026-02-10", b"a: 2026-02-10T10:00:00Z"),
        *(b"a: 0x10", b"a: 0o10", b"a: 010", b"a: 1_000", b"a: .inf", b"a: .nan", b"a: 1:30", b"a: +1", b"a: .5"),
        *(b"a: 1e400", b"a: " + b"9" * 5000),
        *(b"a: [1", b"a: 1\n---\nb: 2", b"\xff", b"[" * 100 + b"]" * 100, b"[" * 100_000, b"a" * 2_000_000),
    ],
)
def test_everything_else_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(CanonicalError, match="the profile"):
        parse_yaml(text, what="the profile")
