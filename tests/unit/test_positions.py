"""Positions: slices become ranges in one place; sparse offsets are compared, never counted."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.foundation.positions import (
    MAX_DENSE,
    Range,
    Slice,
    describe_basis,
    find_slice_faults,
    hash_basis,
    is_inside,
    is_within,
    pad_offset,
    resolve_basis,
    select_sources,
)

FAR = 49590338271490256608559692538361571095921575989136588898
KINDS = ("kafka_offset", "file_line", "kinesis_sequence")


def slice_(start: int | str, end: int | str, partition: int = 0, kind: str = "kafka_offset", topic: str = "t") -> Slice:
    return Slice(topic, partition, kind, str(start), str(end))


def test_inclusive_ends_become_half_open_for_dense_kinds_only() -> None:
    dense, sparse = resolve_basis([slice_(3, 7), slice_(FAR, FAR + 9, 1, "kinesis_sequence")])
    place = {"topic": "t", "partition": 0, "offset_kind": "kafka_offset"}
    assert dense.to_document() == {**place, "start": "3", "end_exclusive": "8"}
    assert (dense.last, dense.size) == (7, 5)
    where = {"topic": "t", "partition": 1, "offset_kind": "kinesis_sequence"}
    assert sparse.to_document() == {**where, "start": str(FAR), "end_inclusive": str(FAR + 9)}
    assert (sparse.last, sparse.size) == (FAR + 9, None)


@pytest.mark.parametrize(
    ("kind", "slices", "united"),
    [
        ("kafka_offset", [(0, 1), (2, 3)], [(0, 3)]),
        ("kafka_offset", [(0, 1), (3, 3)], [(0, 1), (3, 3)]),
        ("file_line", [(5, 9), (0, 9), (7, 7), (0, 9)], [(0, 9)]),
        ("kinesis_sequence", [(0, 1), (2, 3)], [(0, 1), (2, 3)]),
        ("kinesis_sequence", [(0, 2), (2, 3)], [(0, 3)]),
        ("kinesis_sequence", [(0, 9), (2, 3)], [(0, 9)]),
    ],
)
def test_slices_are_united(kind: str, slices: list[tuple[int, int]], united: list[tuple[int, int]]) -> None:
    ranges = resolve_basis([slice_(a, b, kind=kind) for a, b in slices])
    assert [(r.start, r.last) for r in ranges] == united


@pytest.mark.parametrize(
    ("slices", "fields"),
    [
        ([slice_(2, 1)], [(0, "start_offset")]),
        ([slice_("007", "x")], [(0, "start_offset"), (0, "end_offset")]),
        ([slice_(0, MAX_DENSE), slice_(0, MAX_DENSE + 1, 1)], [(1, "end_offset")]),
        ([slice_("-1", "+1")], [(0, "start_offset"), (0, "end_offset")]),
        ([slice_("1 ", "1\n")], [(0, "start_offset"), (0, "end_offset")]),
        ([slice_("٣", 10)], [(0, "start_offset")]),
        ([slice_(0, "1" * 130, kind="kinesis_sequence")], [(0, "end_offset")]),
        ([slice_(0, 1), slice_(5, 6, kind="file_line")], [(1, "offset_kind")]),
    ],
)
def test_faults_name_slice_and_field(slices: list[Slice], fields: list[tuple[int, str]]) -> None:
    assert [(fault.index, fault.field) for fault in find_slice_faults(slices)] == fields
    with pytest.raises(ValueError, match=r"slice \d+:"):
        resolve_basis(slices)


def test_order_is_by_text_then_by_number() -> None:
    ranges = resolve_basis([slice_(0, 1, p, topic=t) for t in ("b", "a", "Z", "é") for p in (10, 9)])
    assert [(r.topic, r.partition) for r in ranges] == [(t, p) for t in ("Z", "a", "b", "é") for p in (9, 10)]
    two = resolve_basis([slice_(10, 10), slice_(9, 9, 1), slice_(5, 5)])
    assert [document["start"] for document in describe_basis(reversed(two))] == ["5", "10", "9"]


def test_sparse_keys_order_as_numbers() -> None:
    texts = ["100", "9", "10", str(FAR), str(FAR + 1), "9" * 129]
    keys = sorted(pad_offset(text, "kinesis_sequence") for text in texts)
    assert [str(key).lstrip("0") for key in keys] == ["9", "10", "100", str(FAR), str(FAR + 1), "9" * 129]
    assert pad_offset("10", "kafka_offset") == 10
    with pytest.raises(ValueError, match="no offset kind"):
        pad_offset("1", "pulsar_id")


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 1)), min_size=1, max_size=6),
    st.sampled_from(KINDS),
    st.randoms(use_true_random=False),
)
def test_ranges_cover_what_the_slices_cover(places: list[tuple[int, int, int]], kind: str, random: Random) -> None:
    slices = [slice_(min(a, b), max(a, b), partition, kind) for a, b, partition in places]
    ranges = resolve_basis(slices)
    for partition in (0, 1):
        for offset in range(14):
            named = any(s.partition == partition and int(s.start_offset) <= offset <= int(s.end_offset) for s in slices)
            covering = [r for r in ranges if r.partition == partition and is_inside(r, offset)]
            assert len(covering) == named
    shuffled = [*slices, random.choice(slices)]
    random.shuffle(shuffled)
    assert resolve_basis(shuffled) == ranges == tuple(sorted(ranges))
    assert hash_basis(resolve_basis(shuffled)) == hash_basis(reversed(ranges))


def test_basis_hash_tells_kinds_and_ends_apart() -> None:
    ranges = [
        Range("t", 0, "kafka_offset", 0, 5),
        Range("t", 0, "file_line", 0, 5),
        Range("t", 0, "kafka_offset", 0, 6),
    ]
    assert len({hash_basis([one]) for one in [*ranges, Range("t", 0, "kinesis_sequence", 0, 5)]}) == 4


def test_a_part_lies_within_its_range() -> None:
    whole = Range("t", 0, "kafka_offset", 10, 20)
    assert [is_within(replace(whole, start=a, end=b), whole) for a, b in ((10, 20), (12, 13), (9, 12), (12, 21))] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not is_within(replace(whole, partition=1), whole)
    assert not is_within(replace(whole, offset_kind="file_line"), whole)


def test_every_range_has_the_archive_as_its_source() -> None:
    two = [Range("t", partition, "kafka_offset", 0, 5) for partition in (1, 0)]
    assert [(one.range.partition, one.to_document()["source"]) for one in select_sources(two)] == [
        (0, "archive"), (1, "archive"),
    ]  # fmt: skip
