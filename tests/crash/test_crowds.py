"""Sixty-four drivers at a time publish one plan, each in full, round after round: one manifest, one commit, one digest."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.crash.drill import Drill, Place, Watcher, expected_digest, require_whole
from tests.crash.served import Servers, serve_drill

DRIVERS = 64


def publish_at_once(drill: Drill, drivers: int, what: str) -> None:
    """Every driver asks for the dataset by a request of its own."""
    expected = expected_digest()
    with ThreadPoolExecutor(drivers) as pool:
        names = [f"request.{number:04d}" for number in range(drivers)]
        ends: list[Any] = list(pool.map(lambda name: drill.drive(Watcher(), name), names))
    outcomes = Counter(one["outcome"] if isinstance(one, dict) else repr(one) for one in ends)
    assert outcomes == {"COMMITTED": 1, "ALREADY_PUBLISHED": drivers - 1}, f"{what}: {outcomes}"
    assert {one["content_digest"] for one in ends} == {expected}, what
    assert drill.find_violations(settled=False) == [], what
    require_whole(drill, what, names[0])


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.nightly)])
def test_a_crowd_publishes_in_a_folder(rounds: int) -> None:
    for number in range(rounds):
        with Place() as drill:
            publish_at_once(drill, DRIVERS, f"round {number}")


ROUNDS = [pytest.param(DRIVERS, marks=pytest.mark.nightly, id=f"round {number + 1}") for number in range(20)]


@pytest.mark.parametrize("drivers", [16, *ROUNDS])
def test_a_crowd_publishes_on_s3_and_postgres(drivers: int, servers: Servers) -> None:
    with serve_drill(servers) as drill:
        publish_at_once(drill, drivers, f"{drivers} drivers")
