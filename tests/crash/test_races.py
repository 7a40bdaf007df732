"""Many writers of one key: exactly one creates it, each time, in a folder and in a bucket."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Barrier as ThreadBarrier
from typing import Any

import pytest

from ofs_spark.foundation.ports import Clearable, Put
from ofs_spark.foundation.wiring import StoreSettings
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.s3 import S3Objects

WRITERS = 64
PROCESSES = 4
SOME, MANY = 10, 1_000
"""Rounds: of every run of the tests, and of the nightly one."""


def race(objects: Clearable, me: str, rounds: int, wait: Callable[[], Any]) -> list[str]:
    """Puts a body of its own at the key of each round, together with all other writers; which rounds it won."""
    won = []
    for number in range(rounds):
        ref, body = name_key(number), f'{{"by": "{me}"}}'.encode()
        wait()
        if objects.put_if_absent(ref, body) is Put.CREATED:
            won.append(f"{number} {me}")
    return won


def name_key(number: int) -> str:
    return f"platform_20260210T130700Z/ofs/manifests/dm_{number:032d}.json"


def race_in_process(objects: Clearable, first: int, rounds: int, gate: Barrier) -> list[str]:
    """The share of one process: threads that start each round together with those of all processes."""
    share = WRITERS // PROCESSES
    inner = ThreadBarrier(share, action=lambda: _meet(gate))
    with ThreadPoolExecutor(share) as pool:
        running = [pool.submit(race, objects, str(first + one), rounds, inner.wait) for one in range(share)]
        return [won for one in running for won in one.result()]


def _meet(gate: Barrier) -> None:
    gate.wait()


def send_race(objects: Clearable, first: int, rounds: int, gate: Barrier, answers: Any) -> None:
    answers.put(race_in_process(objects, first, rounds, gate))


def find_double_wins(objects: Clearable, rounds: int) -> tuple[list[str], int]:
    """Rounds that ended with another number of winners than one, or with another body than its winner's; all wins."""
    # Spawned: threads of this process, as of servers and engines, hold locks that a fork would copy.
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(PROCESSES), context.SimpleQueue()
    racers = [
        context.Process(target=send_race, args=(objects, first, rounds, gate, answers))
        for first in range(0, WRITERS, WRITERS // PROCESSES)
    ]
    for one in racers:
        one.start()
    wins = [won.split() for _ in racers for won in answers.get()]
    for one in racers:
        one.join()
    winners: dict[str, list[str]] = {str(number): [] for number in range(rounds)}
    for number, me in wins:
        winners[number].append(me)
    wrong = []
    for number, found in winners.items():
        stands = objects.read(name_key(int(number)), 1 << 20)
        if len(found) != 1 or stands != f'{{"by": "{found[0]}"}}'.encode():
            wrong.append(f"round {number}: won by {found}, {stands!r} stands")
    return wrong, len(wins)


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Clearable:
    if request.param == "folder":
        return LocalObjects.at(tmp_path / "root")
    address = request.getfixturevalue("s3_address")
    bucket = request.getfixturevalue("make_bucket")(address)
    store: Clearable = S3Objects.at(f"{bucket}/objects", StoreSettings(endpoint=address))
    return store


@pytest.mark.parametrize("rounds", [SOME, pytest.param(MANY, marks=pytest.mark.nightly)])
def test_of_64_writers_in_4_processes_one_creates_each_key(rounds: int, objects: Clearable) -> None:
    wrong, wins = find_double_wins(objects, rounds)
    assert (wrong, wins) == ([], rounds)
    assert len(objects.list_below("platform_20260210T130700Z")) == rounds
