"""Fields that no event has: what one task says of them, and what is left of it once all have spoken."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path as Folder

import pytest

from ofs_spark.pins.profile.model import Condition, Path, Program, Read, ValueType
from ofs_spark.replay.scan.field_watch import MOST_COMPARED, SAMPLED, FieldWatch, list_watched_paths
from ofs_spark.replay.scan.spec import ScanSpec
from ofs_spark.replay.unseen import UnseenField, describe_unseen, merge_unmet, merge_unseen
from tests.spec.tables.windows import world
from tests.unit.replay.room import NOTHING, scanned
from tests.worlds.model import RUN, World
from tests.worlds.writer import Layout

TEXT = ValueType("string")
EVENTS = """
part | event | time  | type         | card | note
0    | e0    | 10:00 | card_payment | "A"  |
0    | e1    | 10:01 | card_payment | "A"  | null
1    | e2    | 10:02 | login        | "B"  |
1    | e3    | 10:03 | refund       | "B"  |
"""
ONE_ROW = Layout(rows_per_segment=1)


def reading(*paths: Path, conditions: Iterable[Condition] = ()) -> Program:
    """A program that reads nothing but these."""
    return Program("s", "v1", tuple(Read(path, TEXT) for path in paths), tuple(conditions), (), (), ())


def summaries(made: World, folder: Folder, program: Program, layout: Layout = ONE_ROW) -> list[dict[str, object]]:
    """What each task says, as the driver reads it."""
    _, (_, _, results) = scanned(made, folder, layout, program)
    return [json.loads(json.dumps(summary)) for summary, _ in results]


def test_a_field_is_unseen_when_every_task_missed_it(tmp_path: Folder) -> None:
    found = summaries(world(EVENTS), tmp_path, reading(("payload", "note"), ("payload", "crad")))
    assert len(found) == 4
    assert [[one["field"] for one in summary["unseen"]] for summary in found] == [[0, 1], [1], [0, 1], [0, 1]]  # type: ignore[attr-defined]
    (crad,) = merge_unseen(found)
    assert crad.find_nearest(("payload", "crad")) == ("payload", "card")


def test_a_task_without_an_event_in_scope_says_nothing(tmp_path: Folder) -> None:
    made = world(EVENTS).with_intent(filters={"event_types": ["card_payment"], "note": ["x"]})
    found = summaries(made, tmp_path, reading(("payload", "card")))
    assert [summary["unseen"] is None for summary in found] == [False, False, True, True]
    assert (merge_unseen(found), merge_unmet(found)) == ((), (0,))
    assert (merge_unseen([]), merge_unmet([])) == ((), ())


def test_a_filter_is_met_by_one_event_anywhere(tmp_path: Folder) -> None:
    made = world(EVENTS).with_intent(filters={"card": ["B"], "kind": ["x"]})
    found = summaries(made, tmp_path, NOTHING)
    assert [summary["unmet"] for summary in found] == [[0, 1], [0, 1], [1], [1]]
    assert merge_unmet(found) == (1,)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (UnseenField(0, 1, "amount", 900), UnseenField(0, 1, "account", 700)),
        (UnseenField(0, 1, "amount", 900), UnseenField(0)),
        (UnseenField(0, 2, "b", 100), UnseenField(0, 1, "a", 900)),
        (UnseenField(0, 1, "a", 900), UnseenField(0, 1, "b", 900)),
    ],
    ids=["likelier", "any", "deeper", "first by code point"],
)
def test_the_best_guess_stays_whoever_speaks_first(one: UnseenField, other: UnseenField) -> None:
    spoken = [{"unseen": describe_unseen([guess])} for guess in (one, other)]
    assert merge_unseen(spoken) == merge_unseen(spoken[::-1]) == (one,)


def test_what_is_watched() -> None:
    where = Condition("not", parts=(Condition("eq", ("payload", "w"), (("string", "x"),)),))
    program = reading(("payload", "a"), ("record", "event_type"), ("payload", "w"), conditions=[where])
    assert list_watched_paths(ScanSpec(RUN, program)) == [("payload", "a"), ("payload", "w")]
    online = FieldWatch(ScanSpec(RUN, program, online=True))
    assert (online.list_unseen(), online.list_unmet()) == (None, None)


def test_what_a_task_says_is_bounded(tmp_path: Folder) -> None:
    rows = "\n".join(f'e{i:03d}|10:00|"A"|1,"n{i}":1,"{"x" * 300}{i}":1' for i in range(2 * SAMPLED))
    paths = [("payload", f"absent{i}") for i in range(3 * MOST_COMPARED)]
    (found,) = summaries(world(f"event|time|card|more\n{rows}"), tmp_path, reading(*paths), Layout())
    told = merge_unseen([found])
    assert [one.field for one in told] == list(range(3 * MOST_COMPARED))
    assert [bool(one.name) for one in told] == [True] * MOST_COMPARED + [False] * 2 * MOST_COMPARED
    assert len(json.dumps(found)) < 10_000
