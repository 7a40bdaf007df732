"""Counts in words: singular and plural, everywhere that people are told a count."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ofs_spark.foundation.wording import write_count

PACKAGE = Path(__file__).parents[2] / "ofs_spark"
NOUNS = {
    *(
        "anchors",
        "assertions",
        "bytes",
        "characters",
        "checks",
        "columns",
        "conflicts",
        "customers",
        "datasets",
        "days",
    ),
    *(
        "deliveries",
        "entries",
        "events",
        "features",
        "files",
        "groups",
        "jars",
        "keys",
        "objects",
        "offsets",
        "operands",
    ),
    *("pages", "payments", "places", "redeliveries", "rows", "runs", "segments", "snapshots", "texts", "values"),
}
RECORDED = {PACKAGE / "publish" / "gate.py": "its texts stand in manifests, and verification writes them again"}
ADJECTIVES = {"different", "differing", "logged", "more", "newest", "older", "other", "platform", "label", "run"}


def find_bare_counts(source: str) -> Iterator[int]:
    """Lines where a value is followed by a plural noun, whatever the value is. A constant is never one."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in pairwise(node.values):
            if not (isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant)):
                continue
            name = getattr(value.value, "id", getattr(value.value, "attr", ""))
            if begins_with_a_plural(str(text.value)) and not name.isupper() and name != "program":
                yield node.lineno


def begins_with_a_plural(text: str) -> bool:
    """Whether ` rows …` or ` more rows …`."""
    words = re.findall(r"[a-z]+", text) if text.startswith(" ") and text[1:2].isalpha() else []
    named = next((word for word in words if word not in ADJECTIVES), "")
    return named in NOUNS


@pytest.mark.parametrize(
    ("number", "noun", "plural", "written"),
    [
        (0, "row", "", "0 rows"),
        (1, "row", "", "1 row"),
        (2, "row", "", "2 rows"),
        (1_204, "run key", "", "1,204 run keys"),
        (1, "key differs", "keys differ", "1 key differs"),
        (3, "key differs", "keys differ", "3 keys differ"),
    ],
)
def test_a_count_is_written_in_its_number(number: int, noun: str, plural: str, written: str) -> None:
    assert write_count(number, noun, plural) == written


def test_a_bare_count_is_found() -> None:
    assert list(find_bare_counts('x = f"{n} rows"')) == [1]
    assert list(find_bare_counts('x = f"{len(found):,} more files are there"')) == [1]
    assert list(find_bare_counts('x = f"{MOST} rows"\ny = f"{name} is"\nz = f"{write_count(n, 1)} of rows"')) == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_count_is_written_by_hand(path: Path) -> None:
    found = list(find_bare_counts(path.read_text(encoding="utf-8")))
    assert bool(found) is (path in RECORDED), found
