"""Sparse coverage is reachability: generated shards against a set-based closure, and the work stays linear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ofs_spark.foundation.positions import Range
from ofs_spark.replay.chains import ShardChains
from ofs_spark.replay.index import Segment
from ofs_spark.replay.scan.spec import SegmentFile

QUICK = settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
NIGHT = settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))

Drawn = tuple[Segment, frozenset[int]]
"""A segment and the offsets of its rows."""


def made(offsets: Sequence[int], follows: int | None, start: bool = False, attested: bool = True, n: int = 0) -> Drawn:
    file = SegmentFile(f"s{n}", 1, "0" * 64, min(offsets), max(offsets), len(offsets))
    segment = Segment("t", 0, "kinesis_sequence", file, None if start else follows, start, attested, (), {})
    return segment, frozenset(offsets)


@st.composite
def drawn_segment(draw: st.DrawFn, n: int) -> Drawn:
    offsets = draw(st.lists(st.integers(1, 16), min_size=1, max_size=4, unique=True))
    follows = draw(st.one_of(st.none(), st.integers(0, min(offsets) - 1), st.just(min(offsets) - 1)))
    return made(offsets, follows, draw(st.integers(0, 5)) == 0, draw(st.integers(0, 5)) != 0, n)


@st.composite
def shards(draw: st.DrawFn) -> list[Drawn]:
    found = [draw(drawn_segment(n)) for n in range(draw(st.integers(0, 7)))]
    return sorted(found, key=lambda one: one[0].order)


def judge(shard: Sequence[Drawn], start: int, last: int) -> str:
    """As the driver does: only segments that reach into the range were scanned, and only asked offsets are answered."""
    segments = [segment for segment, _ in shard]
    asked = {s.previous_last for s in segments}
    held = {s.file.path: rows & asked for s, rows in shard if s.file.first <= last and s.file.last >= start}
    return ShardChains(segments, held).find_problem(Range("t", 0, "kinesis_sequence", start, last))


def is_covered(shard: Sequence[Drawn], start: int, last: int) -> bool:
    """The rule, as sets: some chain of links that the writer attests leads from before `start` to `last`."""
    trusted = [one for one in shard if one[0].attested]
    reached = {
        s.file.path for s, _ in trusted if s.shard_start or (s.previous_last is not None and s.previous_last < start)
    }
    for _ in trusted:
        read = {offset for s, rows in trusted if s.file.path in reached for offset in rows}
        reached |= {s.file.path for s, _ in trusted if s.previous_last in read}
    return any(s.file.last >= last for s, _ in trusted if s.file.path in reached)


def check(shard: Sequence[Drawn]) -> None:
    for start in range(18):
        for last in range(start, 18):
            assert (judge(shard, start, last) == "") == is_covered(shard, start, last), (start, last)


@QUICK
@given(shards())
def test_a_range_is_covered_iff_a_chain_of_links_leads_over_it(shard: list[Drawn]) -> None:
    check(shard)


@pytest.mark.nightly
@NIGHT
@given(shards())
def test_a_range_is_covered_iff_a_chain_of_links_leads_over_it_all_night(shard: list[Drawn]) -> None:
    check(shard)


A, B = made([1, 3, 5], None, start=True, n=0), made([7, 9], 5, n=9)

COVERED = {
    "linked segments": [A, B],
    "a copy beside them": [A, made([1, 3, 5], None, start=True, n=1), B],
    "an overlap linked to nothing": [A, made([2, 3], None, n=1), B],
    "a restart from a checkpoint": [A, made([5, 7, 9], 3, n=1)],
    "a restart beyond a lost segment": [A, made([5, 6], 3, n=1), made([8, 9], 6, n=2)],
    "a chain that only the next segment closes": [A, made([12], 5, n=1)],
}
BROKEN = {
    "a lost segment": ([A, made([9], 7, n=1)], "follows 7, the linked segments before it end at 5"),
    "a checkpoint that was not read": ([A, made([5, 9], 2, n=1)], "follows 2"),
    "no link": ([A, made([7, 9], None, n=1)], "follows nothing"),
    "no start": ([made([1, 9], None, n=0)], "nothing proves that no record precedes s0"),
    "nothing": ([], "names no segment"),
    "the archive ends before": ([A, made([7, 8], 5, n=1)], "beyond the archive's last one, 8"),
    "a link that only OFS attests": ([A, made([7, 9], 5, attested=False, n=1)], "attests the link of s1"),
}


@pytest.mark.parametrize("shard", COVERED.values(), ids=COVERED)
def test_what_covers(shard: list[Drawn]) -> None:
    assert judge(shard, 0, 9) == ""


def test_a_path_that_no_line_can_hold_is_shown_escaped_and_cut() -> None:
    segment, rows = made([9], 7)
    odd = replace(segment, file=replace(segment.file, path="a\n" + "b" * 1020))
    message = judge([(odd, rows)], 0, 9)
    assert "precedes 'a\\nb" in message
    assert len(message) < 512


@pytest.mark.parametrize(("shard", "said"), BROKEN.values(), ids=BROKEN)
def test_what_does_not(shard: list[Drawn], said: str) -> None:
    assert said in judge(shard, 0, 9)
