"""Drivers that were paused and go on after another has taken their run, and drivers that race: one dataset, one truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ofs_spark.foundation.errors import Refusal
from tests.crash.drill import Answer, Drill, EndAt, Place, Watcher, expected_digest, require_whole, select_own


class Pause(Watcher):
    """Before its n-th effect the driver is paused for so long that others do `meanwhile` what they want."""

    def __init__(self, at: int, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.at, self.meanwhile = at, meanwhile

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        self.seen.append(effect)
        if len(self.seen) == self.at + 1:
            self.meanwhile()
        return call()


def resume(at: int, request_id: str, ended_at: str = "") -> None:
    """A driver is paused before an effect; another takes its run over, or publishes the plan; then it goes on.

    ended_at: the effect that ended an attempt before theirs, "" for none.
    """
    what = f"paused before effect {at} after {ended_at or 'nothing'}; the other asks as {request_id or 'the same'}"
    with Place() as drill:
        if ended_at:
            drill.drive(EndAt(ended_at))
        drill.dead.add(f"driver:{drill.drivers + 1}")  # as after its lease: whoever comes may take the run
        other: list[Any] = []
        ended = drill.drive(Pause(at, lambda: other.append(drill.drive(Watcher(), request_id))))
        if other:
            (found,) = other
            assert isinstance(found, dict), f"{what}: {found!r}"
            assert found["content_digest"] == expected_digest(), what
        if isinstance(ended, dict):
            assert ended["content_digest"] == expected_digest(), what
        else:
            assert isinstance(ended, Refusal), f"{what}: {ended!r}"
            assert ended.code == "LEASE_LOST", f"{what}: {ended}"
        assert drill.find_violations(settled=False) == [], what
        require_whole(drill, what)


@pytest.fixture(scope="module")
def effects() -> list[str]:
    """The effects of a build that nobody pauses."""
    with Place() as drill:
        watcher = Watcher()
        drill.drive(watcher)
        return watcher.seen


def test_a_zombie_changes_nothing(effects: list[str]) -> None:
    places = range(len(effects))
    for request_id in ("", "request.of.another"):
        for at in places:
            resume(at, request_id)
    assert 2 * len(places) >= 100


@pytest.mark.parametrize("ended_at", ["manifest.put", "engine.load"], ids=["publish_only", "from_staged_rows"])
def test_a_zombie_of_a_later_attempt_changes_nothing(ended_at: str) -> None:
    with Place() as drill:
        drill.drive(EndAt(ended_at))
        watcher = Watcher()
        drill.drive(watcher)
    for request_id in ("", "request.of.another"):
        for at in range(len(select_own(watcher.seen))):
            resume(at, request_id, ended_at)


@pytest.mark.parametrize(("drivers", "requests"), [(16, 1), (32, 32)], ids=["16_of_one_request", "32_of_one_plan"])
def test_a_race_has_one_dataset(drivers: int, requests: int) -> None:
    with Place() as drill, ThreadPoolExecutor(drivers) as pool:
        names = [f"request.{number % requests:04d}" for number in range(drivers)]
        ends = list(pool.map(lambda name: drill.drive(Watcher(), name), names))
        outcomes = Counter(one["outcome"] if isinstance(one, dict) else getattr(one, "code", one) for one in ends)
        assert set(outcomes) <= {"COMMITTED", "ALREADY_PUBLISHED", "LEASE_LOST"}, outcomes
        assert outcomes["COMMITTED"] + outcomes["ALREADY_PUBLISHED"] >= requests, outcomes
        assert {one["content_digest"] for one in ends if isinstance(one, dict)} == {expected_digest()}
        assert find_committed(drill) == 1
        assert drill.find_violations(settled=False) == []
        for name in sorted(set(names)):
            assert drill.drive(Watcher(), name)["outcome"] in ("COMMITTED", "ALREADY_PUBLISHED")  # type: ignore[index]
        assert drill.find_violations(settled=True) == []


def find_committed(drill: Drill) -> int:
    """How many publication receipts say that their run committed."""
    told = drill.written.root.glob("*/ofs/publication/*.json")
    return sum(json.loads(path.read_bytes())["outcome"] == "COMMITTED" for path in told)
