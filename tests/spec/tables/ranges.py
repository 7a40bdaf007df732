"""Ranges: which offsets an intent names, and whether the archive holds all of them."""

from __future__ import annotations

from typing import Any

from tests.spec.tables.windows import group
from tests.worlds.model import Segment, World, intent, profile, row, segment, slice_
from tests.worlds.tables import Case, expected, stream

THREE = "offset|event|time|card\n0|e0|10:00|1\n1|e1|10:01|1\n2|e2|10:02|1"
HOLE = "offset|event|time|card\n0|e0|10:00|1\n2|e2|10:02|1"
FAR = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898


def over(segments: tuple[Segment, ...], *basis: dict[str, Any], **changes: Any) -> World:
    return World(segments, intent(*basis, **changes), profile(group()))


def sparse(*chain: tuple[int, int | None], start: int, end: int) -> World:
    """Segments of two records each, (last offset, previous_last_offset)."""
    pieces = [
        segment(
            row(last - 10, f"e{last - 10}", "2026-02-10T10:00:00Z", {"card": "A"}),
            row(last, f"e{last}", "2026-02-10T10:00:00Z", {"card": "A"}),
            offset_kind="kinesis_sequence",
            previous_last_offset=before,
        )
        for last, before in chain
    ]
    return over(tuple(pieces), slice_(start, end, kind="kinesis_sequence"))


CASES = {
    "inclusive_ends": Case(
        "Both ends of a slice are inside it.",
        over(stream(THREE), slice_(1, 1)),
        expected("event|count_1h\ne1|1"),
        {"delivered": 1, "positions": 1, "rows": 1},
    ),
    "united_slices": Case(
        "Overlapping, doubled and adjacent slices are one range; nothing is counted twice.",
        over(stream(THREE), slice_(0, 1), slice_(1, 2), slice_(0, 1)),
        expected("event|count_1h\ne0|1\ne1|2\ne2|3"),
        {"delivered": 3, "positions": 3, "rows": 3},
    ),
    "reversed_slice": Case("start > end.", over(stream(THREE), slice_(2, 1)), code="BASIS_UNRESOLVED"),
    "leading_zero": Case(
        "An offset is written one way.",
        over(stream(THREE), {**slice_(0, 1), "start_offset": "00"}),
        code="BASIS_UNRESOLVED",
    ),
    "two_kinds": Case(
        "One partition has one kind of offset.",
        over(stream(THREE), slice_(0, 1), slice_(2, 2, kind="file_line")),
        code="BASIS_UNRESOLVED",
    ),
    "hole": Case(
        "A dense range with a hole is not all of it.", over(stream(HOLE), slice_(0, 2)), code="REPLAY_BASIS_GAP"
    ),
    "declared_gap": Case(
        "A declared gap excuses absence.",
        over(stream(HOLE, gaps=((1, 1),)), slice_(0, 2)),
        expected("event|count_1h\ne0|1\ne2|2"),
    ),
    "gap_with_a_record": Case(
        "A declared gap does not forbid presence.",
        over(stream(THREE, gaps=((1, 1),)), slice_(0, 2)),
        expected("event|count_1h\ne0|1\ne1|2\ne2|3"),
    ),
    "beyond_the_end": Case(
        "The range goes beyond the archive.", over(stream(THREE), slice_(0, 3)), code="REPLAY_BASIS_GAP"
    ),
    "other_partition": Case(
        "Nothing there at all.", over(stream(THREE), slice_(0, 2, partition=7)), code="REPLAY_BASIS_GAP"
    ),
    "index_miscounts": Case(
        "A count that disagrees with the index proves nothing.",
        over(stream(THREE, stated_count=4), slice_(0, 2)),
        code="REPLAY_UNCHECKABLE",
    ),
    "sparse_chain": Case(
        "A sparse range is covered by an unbroken chain of segments.",
        sparse((FAR, None), (FAR + 1000, FAR), start=FAR - 5, end=FAR + 1000),
        {
            f"e{FAR}": {"_offset": str(FAR)},
            f"e{FAR + 990}": {"_offset": str(FAR + 990)},
            f"e{FAR + 1000}": {"_offset": str(FAR + 1000)},
        },
    ),
    "sparse_between": Case(
        "An end between two linked segments is covered; nobody asks for consecutive numbers.",
        sparse((FAR, None), (FAR + 1000, FAR), start=0, end=FAR + 500),
        {f"e{FAR - 10}": {"_partition": 0}, f"e{FAR}": {"_partition": 0}},
    ),
    "sparse_broken": Case(
        "A link that does not fit breaks the chain.",
        sparse((FAR, None), (FAR + 1000, FAR + 7), start=FAR, end=FAR + 1000),
        code="REPLAY_UNCHECKABLE",
    ),
    "sparse_middle_broken": Case(
        "One bad link among good ones is enough.",
        sparse((FAR, None), (FAR + 1000, FAR + 7), (FAR + 2000, FAR + 1000), start=FAR, end=FAR + 2000),
        code="REPLAY_UNCHECKABLE",
    ),
    "sparse_last_of_a_segment": Case(
        "A range may start with the last record of a segment.",
        sparse((FAR, None), (FAR + 1000, FAR), start=FAR, end=FAR + 990),
        {f"e{FAR}": {"_partition": 0}, f"e{FAR + 990}": {"_partition": 0}},
    ),
    "sparse_start_elsewhere": Case(
        "A chain that continues after the very record that is asked for lacks it.",
        sparse((FAR, FAR - 20), start=FAR - 20, end=FAR),
        code="REPLAY_UNCHECKABLE",
    ),
    "sparse_no_start": Case(
        "A chain that starts after the range proves nothing about its start.",
        sparse((FAR, FAR - 20), start=FAR - 30, end=FAR),
        code="REPLAY_UNCHECKABLE",
    ),
    "sparse_beyond": Case(
        "An end beyond the last segment cannot be proven.",
        sparse((FAR, None), start=FAR - 10, end=FAR + 1),
        code="REPLAY_UNCHECKABLE",
    ),
    "numeric_order": Case(
        "Offsets order as numbers, not as text.",
        over(stream("offset|event|time|card\n9|e9|10:00|1\n10|e10|10:00|1\n11|e11|10:00|1"), slice_(9, 11)),
        expected("event|count_1h\ne9|1\ne10|2\ne11|3"),
    ),
}
