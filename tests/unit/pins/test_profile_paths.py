"""The grammar of paths: plain names as they are, others in double quotes, two columns of the record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.pins.profile.conditions import parse_path, split_path
from ofs_spark.pins.profile.faults import Faults
from ofs_spark.pins.profile.model import RECORD, format_path
from tests.oracle.conditions import parts_of

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)

WRITTEN = {
    "payload.amount": ("payload", "amount"),
    "payload.geo.country": ("payload", "geo", "country"),
    'payload."card.id"': ("payload", "card.id"),
    'payload."a b".c': ("payload", "a b", "c"),
    'payload."amount"': ("payload", "amount"),
    '"payload".amount': ("payload", "amount"),
    r'payload."a\"b\\c\t"': ("payload", 'a"b\\c\t'),
    r'payload."\u00e9"': ("payload", "é"),
    r'payload."\ud83d\ude00"': ("payload", "😀"),
    "payload.é-1": ("payload", "é-1"),
    "payload.1": ("payload", "1"),
}


@pytest.mark.parametrize(("text", "path"), WRITTEN.items(), ids=WRITTEN)
def test_a_path_is_its_names(text: str, path: tuple[str, ...]) -> None:
    faults = Faults()
    assert (parse_path(text, "/p", faults), faults.found) == (path, [])
    assert tuple(parts_of(text)) == path


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_any_names_can_be_written_and_are_read_again(names: list[str]) -> None:
    path = ("payload", *names)
    assert split_path(format_path(path)) == path
    assert tuple(parts_of(format_path(path))) == path


REFUSED = [
    *("payload", "amount", "", ".", "payload.", ".payload", "payload..a", "payload.a.", "payloads.a", 'payload."a"b'),
    *('payload.a"b"', "payload.a ", None, 1, ["payload.a"]),
    *('payload."a', "payload.a b", "payload.a[0]", "payload.*", "payload.a:b", 'payload.""', 'payload."\n"', r'payload."\x"'),
    *(r'payload."\ud800"', "payload.a\\b", "event_type", "scenario_run_id", "record.event_type"),
]  # fmt: skip


@pytest.mark.parametrize("value", REFUSED)
def test_what_is_no_path_below_payload_is_refused(value: object) -> None:
    faults = Faults()
    parse_path(value, "/p", faults)
    assert [(fault.pointer, "below payload" in fault.message) for fault in faults.found] == [("/p", True)]


@pytest.mark.parametrize("name", ["event_type", "scenario_run_id"])
def test_two_columns_of_the_record_have_paths_where_they_may_be_read(name: str) -> None:
    faults = Faults()
    path = parse_path(name, "/p", faults, columns=True)
    assert (path, format_path(path), faults.found) == ((RECORD, name), name, [])


@pytest.mark.parametrize("name", ["event_id", "ts_utc", "platform_run_id", "event_type.x", "payload"])
def test_other_columns_have_none(name: str) -> None:
    faults = Faults()
    parse_path(name, "/p", faults, columns=True)
    assert "event_type, scenario_run_id" in faults.found[0].message
