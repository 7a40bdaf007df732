"""Drivers that are killed before any of their effects, once and twice: the next one ends with the one dataset.

A kill after an effect leaves what a kill before the next one leaves, and a kill between two reads what one before them
leaves: the places before every write, and after the last, are all there are.
"""

from __future__ import annotations

import pytest

from tests.crash.drill import Kill, Killed, Place, Watcher, require_whole

WRITES = ("put", "replace", "commit", "register", "claim", "end")


def find_places(seen: list[str]) -> list[int]:
    """The ordinals of the effects that change something, and the one after the last."""
    return [at for at, effect in enumerate(seen) if effect.rsplit(".", 1)[1] in WRITES] + [len(seen)]


def kill(places: tuple[int, ...]) -> list[str]:
    """Kills one driver after the other; what the next one does when nobody kills it."""
    with Place() as drill:
        what = f"killed before effect {' and '.join(map(str, places))}"
        for at in places:
            ended = drill.drive(Kill(at))
            assert isinstance(ended, Killed | dict), f"{what}: {ended!r}"
            assert drill.find_violations(settled=False) == [], what
        watcher = Watcher()
        drill.drive(watcher)
        require_whole(drill, what)
        return watcher.seen


@pytest.fixture(scope="module")
def whole() -> list[str]:
    """The effects of a build that nobody kills."""
    return kill(())


def test_every_kill_and_every_pair_of_kills(whole: list[str]) -> None:
    pairs = 0
    for first in find_places(whole):
        rerun = kill((first,))
        for second in find_places(rerun):
            kill((first, second))
            pairs += 1
    assert pairs >= 300, pairs
