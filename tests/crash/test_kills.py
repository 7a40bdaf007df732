"""Drivers that are killed before any of their effects, once and twice: the next one ends with the one dataset.

A kill after an effect leaves what a kill before the next one leaves, and a kill between two reads what one before them
leaves: the places before every write, and after the last, are all there are.

Every run of the tests kills once in every place, and then in one of SHARE of those of the next driver, another share after each
first place; the nightly one has every pair.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.acceptance.test_closure import TRAINING
from tests.crash.drill import Drill, EndAt, Kill, Killed, Place, Watcher, require_whole
from tests.worlds.writer import write_world

SHARE = 6
WRITES = ("put", "replace", "commit", "register", "claim", "end")


def find_places(seen: list[str]) -> list[int]:
    """The ordinals of the effects that change something, and the one after the last."""
    return [at for at, effect in enumerate(seen) if effect.rsplit(".", 1)[1] in WRITES] + [len(seen)]


def kill(places: tuple[int, ...], *, growing: bool = False, ended_at: str = "") -> list[str]:
    """Kills one driver after the other; what the next one does when nobody kills it.

    growing: the archive meanwhile. ended_at: the effect that ended a driver before them, "" for none.
    """
    with Place() as drill:
        if ended_at:
            drill.drive(EndAt(ended_at))
        what = f"killed before effect {' and '.join(map(str, places))}"
        for at in places:
            ended = drill.drive(Kill(at))
            assert isinstance(ended, Killed | dict), f"{what}: {ended!r}"
            assert drill.find_violations(settled=False) == [], what
            if growing:
                grow(drill)
        watcher = Watcher()
        drill.drive(watcher)
        require_whole(drill, what)
        return watcher.seen


def grow(drill: Drill) -> None:
    """The platform archives a segment of a partition beside the basis."""
    index = drill.written.index.read_bytes()
    beside = replace(TRAINING.segments[0], partition=TRAINING.segments[0].partition + 1)
    write_world(replace(TRAINING, segments=(*TRAINING.segments, beside)), drill.written.root.parent)
    assert drill.written.index.read_bytes() != index


@pytest.fixture(scope="module")
def whole() -> list[str]:
    """The effects of a build that nobody kills."""
    return kill(())


@pytest.mark.parametrize("share", [SHARE, pytest.param(1, marks=pytest.mark.nightly)], ids=["some pairs", "every pair"])
def test_every_kill_and_pairs_of_kills(whole: list[str], share: int) -> None:
    pairs = 0
    for turn, first in enumerate(find_places(whole)):
        rerun = kill((first,))
        for second in find_places(rerun)[turn % share :: share]:
            kill((first, second))
            pairs += 1
    assert pairs >= (300 if share == 1 else 40), pairs


@pytest.mark.parametrize("ended_at", ["manifest.put", "engine.load"], ids=["publish_only", "from_staged_rows"])
def test_every_kill_of_a_later_attempt(ended_at: str) -> None:
    """Of a driver that starts from what one before it has staged."""
    seen = kill((), ended_at=ended_at)
    assert "engine.scan" not in seen
    for place in find_places(seen):
        kill((place,), ended_at=ended_at)


def test_the_archive_grows_after_every_kill(whole: list[str]) -> None:
    for place in find_places(whole):
        kill((place,), growing=True)
