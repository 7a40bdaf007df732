"""The starter profile compiles whatever the columns are called, and holds what every row shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ofs_spark.intake.numbers import Digits
from ofs_spark.intake.starter import compose_starter, name_parts, quote_yaml
from ofs_spark.pins.profile.compile import compile_profile, parse_profile
from ofs_spark.pins.profile.model import Program
from tests.unit.intake.worlds import run_import, write_lines

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


def compile_text(text: str) -> Program:
    return compile_profile(parse_profile(text.encode()), "starter", "v1").program


@settings(max_examples=50, deadline=None)
@given(
    st.lists(NAMES, max_size=4, unique=True),
    st.dictionaries(NAMES, st.builds(Digits, st.integers(1, 20), st.integers(0, 6)), max_size=6),
)
def test_any_names_of_columns_compile(keys: list[str], numbers: dict[str, Digits]) -> None:
    program = compile_text(compose_starter(keys, ["the id"], numbers, "event_time"))
    assert [program.reads[group_key.parts[0]].path for group_key in program.keys] == [
        ("payload", one) for one in keys or ["the id"]
    ]
    summed = [digits for digits in numbers.values() if digits.type][:4]
    assert all(len(group.values) == len(summed) for group in program.groups)
    assert all(group.knowledge == "event_time" for group in program.groups)


@pytest.mark.parametrize(
    "text", ["plain", "card.id", 'payload."card.id"', "null", "True", "1", "", "a: b", "\x07", "😀", "- x", "é", "#"]
)
def test_texts_are_quoted_as_yaml_reads_them(text: str) -> None:
    found = parse_profile(f"policy_id: {quote_yaml(text)}".encode())["policy_id"]
    assert (found, type(found)) == (text, str)


def test_no_two_parts_share_a_name() -> None:
    assert name_parts(["card.id", "Card-ID", "1st", "é", "card_id", "True"]) == [
        "card_id",
        "Card_ID_2",
        "c_1st",
        "column",
        "card_id_3",
        "True_2",
    ]


def test_columns_with_dots_are_quoted_parts_of_a_path(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "at": "2026-02-10T10:00:00Z", "card.id": "c", "amount.eur": 1.5, "x": 1, "y": 2, "z": 3, "w": 4}
    ]
    made = run_import(tmp_path / "world", write_lines(tmp_path / "e.jsonl", rows), key=["card.id"])
    program = compile_text(made.profile)
    assert ("payload", "amount.eur") in {read.path for read in program.reads}
    assert [group.name for group in program.groups] == ["card_id"]
    assert "not summed here: w" in made.profile
