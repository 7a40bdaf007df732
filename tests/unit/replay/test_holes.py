"""Logs with holes, declared gaps, overlaps, broken chains and lying indexes: no false gap, no missed one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.replay.test_oracle import agree
from tests.worlds.model import Row, Segment, World, envelope, intent, profile, slice_
from tests.worlds.writer import Layout

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
NIGHT = settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))

TOPIC, TS = "fp.bus.traffic.fraud.v1", "2026-02-10T10:00:00Z"
SPARSE_STARTS = (0, 9, 10**18, 10**38, 10**55 + 7, 10**128)


LAST = 2**63 - 1
"""The last dense offset there is."""


def row(offset: int) -> Row:
    return Row(offset, f"e{offset}", TS, envelope(f"e{offset}", "card_payment", TS, {}))


@st.composite
def dense(draw: st.DrawFn) -> tuple[list[Segment], int]:
    """Segments of one partition around some base, positions missing and declared or not, cuts overlapping or not."""
    base = draw(st.sampled_from([0, 5, 10**9, 2**63 - 60, LAST - 49, LAST - 24]))
    present = sorted(draw(st.sets(st.integers(0, 24), min_size=1, max_size=24)))
    honest = draw(st.booleans())
    ends = draw(st.lists(st.integers(1, 24), max_size=3))
    cuts = [0, *sorted(set(ends)), 25]
    segments = []
    for first, end in pairwise(cuts):
        reach: int = draw(st.sampled_from([0, 0, 0, 2, 5]))
        own = [base + o for o in present if first <= o < end + reach]
        if own and (honest or draw(st.integers(0, 7))):
            gaps = draw(st.lists(st.tuples(st.integers(0, 24), st.integers(0, 4)), max_size=3))
            gaps += [(o, 0) for o in range(28) if honest and o not in present and base + o <= LAST]
            declared = tuple((base + a, min(base + a + n, LAST)) for a, n in gaps)
            segments.append(Segment(TOPIC, 3, tuple(map(row, own)), gaps=declared))
    return segments, base


@st.composite
def sparse(draw: st.DrawFn) -> tuple[list[Segment], int]:
    """A shard of long sequence numbers in linked segments.

    A segment may be lost, linked to nothing or to the shard's start, archived again in another cut, or read once more
    from a checkpoint inside it.
    """
    base = draw(st.sampled_from(SPARSE_STARTS))
    steps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=9))
    offsets = [base + sum(steps[:i]) for i in range(1, len(steps) + 1)]
    segments, before = [], draw(st.sampled_from([None, None, base]))
    while offsets:
        size = draw(st.integers(1, len(offsets)))
        own, offsets = offsets[:size], offsets[size:]
        link = draw(st.sampled_from([before] * 6 + [own[0] - 1]))
        segments.append(archived(own, link))
        before = own[-1]
    kept = [s for s in segments if draw(st.integers(0, 9))]
    return kept + draw(st.lists(archived_again(segments), max_size=3)), base


def archived(offsets: list[int], link: int | None) -> Segment:
    return Segment(TOPIC, 3, tuple(map(row, offsets)), "kinesis_sequence", previous_last_offset=link)


@st.composite
def archived_again(draw: st.DrawFn, segments: list[Segment]) -> Segment:
    """A stretch of the shard read by another consumer: from its start, from a record (checkpoint), or linked to none."""
    offsets = [r.offset for s in segments for r in s.rows]
    first = draw(st.integers(0, len(offsets) - 1))
    own = offsets[first : draw(st.integers(first + 1, len(offsets)))]
    honest = offsets[first - 1] if first else segments[0].previous_last_offset
    wrong = st.integers(min(offsets), own[0]).filter(lambda offset: offset < own[0]) if first else st.none()
    link = draw(st.one_of(st.just(honest), st.just(honest), st.just(honest), wrong))
    skipped = {draw(st.sampled_from(own))} if len(own) > 2 and not draw(st.integers(0, 5)) else set()
    return archived([o for o in own if o not in skipped], link if isinstance(link, int) else None)


@st.composite
def logs(draw: st.DrawFn) -> World:
    kind = draw(st.sampled_from(["kafka_offset", "kinesis_sequence"]))
    segments, base = draw(dense() if kind == "kafka_offset" else sparse())
    if segments and draw(st.integers(0, 9)) == 0:
        # a first offset that its own link denies makes the index invalid, which is another test's
        lie = draw(st.sampled_from(["stated_last", "stated_count"] + ["stated_first"] * (kind == "kafka_offset")))
        honest = segments[0]
        shifted = {"stated_first": honest.first - 1, "stated_last": honest.last + 1, "stated_count": honest.count + 1}
        if shifted[lie] >= 0 and (kind == "kinesis_sequence" or shifted[lie] <= LAST):
            segments[0] = Segment(**{**honest.__dict__, lie: shifted[lie]})
    end = LAST if kind == "kafka_offset" else base + 48
    first, size = base + draw(st.integers(0, 24)), draw(st.integers(0, 24))
    basis = [slice_(first, min(first + size, end), TOPIC, 3, kind)]
    if draw(st.booleans()):
        basis.append(slice_(base + draw(st.integers(0, 24)), min(base + 27, end), TOPIC, 3, kind))
    group = {"name": "g", "version": "v1", "key_type": "flow_id"}
    return World(tuple(draw(st.permutations(segments))), intent(*basis), profile(group))


@QUICK
@given(logs())
def test_no_false_gap_and_no_missed_one(world: World) -> None:
    agree(world, Layout())


@pytest.mark.nightly
@NIGHT
@given(logs())
def test_no_false_gap_and_no_missed_one_all_night(world: World) -> None:
    agree(world, Layout())
