"""Publishers in lockstep: every order of their steps ends with one manifest, and everybody who is left says so.

A publisher is the protocol itself, as `pipeline.py` goes through it: claim, look, fence, put, read back, record. Its store
and its ledger are the in-memory twins; before each step it waits for its turn, and orders are all there are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any

import pytest

from ofs_spark.foundation.clock import SystemClock
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Put
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import Limits, State
from ofs_spark.io.ledger.memory import MemoryLedger
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.io.watched import WatchedLedger, WatchedObjects
from ofs_spark.publish.commit import commit, require_committed
from tests.crash.drill import Killed

REF = OwnedRef("platform_20260210T130700Z/ofs/manifests/dm_1.json")
SIX = ("ledger.claim", "manifest.look", "ledger.find", "manifest.put", "manifest.read", "ledger.end")
FOUR = ("ledger.find", "manifest.put", "manifest.read", "ledger.end")
SAID = ("COMMITTED", "ALREADY_PUBLISHED", "ANSWERED")
"""Answers of a driver that knows the dataset to stand."""
ATTEMPTS = Limits(attempts=1000, publish_retries=1000, lease_s=120)
MANIFEST = {"pins": {"extract": "m1"}, "plan_id": "p", "materialization": {"content_digest": "d"}}


@dataclass
class Turns:
    """Lets a publisher take one step at a time. dies_at: its step that it does not live to take, -1 for none."""

    steps: Sequence[str]
    dies_at: int = -1
    taken: int = 0
    passed: int = 0
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    waits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self, effect: str, call: Any, /) -> Any:
        """What the step does, once it is its turn; what is none of the steps that are left happens at once."""
        if effect not in self.steps[self.passed :]:
            return call()
        self.passed = self.steps.index(effect, self.passed) + 1
        if self.taken:  # the first step begins with the first turn
            self.waits.release()
            self.go.acquire()
        if self.taken == self.dies_at:
            raise Killed
        self.taken += 1
        return call()


@dataclass
class Publisher:
    """One driver. end: what it came to; its thread is its own."""

    name: str
    run_key: str
    turns: Turns
    objects: MemoryObjects
    ledger: MemoryLedger
    gone: set[str]
    end: str = ""

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def step(self) -> None:
        """Takes its next step, and is where it waits for the one after it; nothing once it has ended."""
        self.turns.go.release()
        self.turns.waits.acquire()

    def _live(self) -> None:
        self.turns.go.acquire()
        try:
            self.end = publish(self.name, self.run_key, self.turns, self)
        except Refusal as refusal:
            self.end = refusal.code
        except Killed:
            self.end = "KILLED"
        finally:
            self.gone.add(self.name)
            for _ in range(len(self.turns.steps) + 1):  # turns that are left over are nobody's
                self.turns.waits.release()


def publish(name: str, run_key: str, around: Any, at: Any) -> str:
    """The walk of one driver: what it answers."""
    control = RunControl(
        WatchedLedger(at.ledger, around),
        SystemClock(),
        name,
        ATTEMPTS,
        is_gone=lambda _owner: True,
        pause=lambda _s: None,
    )
    objects = WatchedObjects(at.objects, around)
    run = control.open(run_key, run_key, "hash")
    if run.state is State.DONE:
        return "ANSWERED"
    held = control.claim(run)
    if objects.exists(REF):
        outcome = "ALREADY_PUBLISHED"
    else:
        manifest = {**MANIFEST, "build_environment": {"attempt": name}}
        made = commit(objects, REF, manifest, lambda: control.fence(held), lambda _s: None)
        require_committed(made, REF, manifest)
        outcome = made.outcome.value
    control.end(held, State.DONE, outcome, {"outcome": outcome})
    return outcome


def list_orders(counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every order in which publishers take so many steps each."""
    if not any(counts):
        yield ()
    for one, left in enumerate(counts):
        if left:
            rest = tuple(count - (at == one) for at, count in enumerate(counts))
            yield from ((one, *order) for order in list_orders(rest))


def play(
    order: Iterable[int],
    turns: Sequence[Turns],
    run_keys: Sequence[str],
    store: Callable[[], MemoryObjects] = MemoryObjects,
) -> None:
    """Publishers take their steps in this order; then a clean driver of each request comes."""
    objects, ledger, gone = store(), MemoryLedger(), set[str]()
    drivers = [
        Publisher(f"driver:{number}", key, own, objects, ledger, gone)
        for number, (key, own) in enumerate(zip(run_keys, turns, strict=True))
    ]
    for one in order:
        drivers[one].step()
    for driver in drivers:
        driver.thread.join(timeout=30)
        assert driver.end, f"{order}: {driver.name} hangs"
    ends = [driver.end for driver in drivers]
    assert set(ends) <= {*SAID, "LEASE_LOST", "KILLED"}, (order, ends)
    said = [end for end in ends if end in SAID]
    assert ends.count("COMMITTED") <= 1, (order, ends)
    assert said or "KILLED" in ends or "LEASE_LOST" in ends, (order, ends)
    assert bool(said) <= (REF in objects.bodies), (order, ends)
    stood = objects.bodies.get(REF)
    for key in dict.fromkeys(run_keys):
        clean = Publisher("clean", key, Turns(()), objects, ledger, gone)
        clean.step()
        clean.thread.join(timeout=30)
        assert clean.end in SAID, (order, ends, clean.end)
        stood = stood or objects.bodies[REF]
        assert ledger.held[key].state is State.DONE
    assert objects.bodies == {REF: stood}, (order, ends)  # one manifest, the same for ever
    tokens = [event.token for event in ledger.happened if event.reason in ("STARTED", "TAKEN_OVER")]
    assert all(tokens.count(token) <= len(set(run_keys)) for token in tokens)


@pytest.mark.parametrize("run_keys", [("a", "b"), ("a", "a")], ids=["of two requests", "of one request"])
def test_every_order_of_two_publishers_of_six_steps(run_keys: tuple[str, ...]) -> None:
    orders = list(list_orders((6, 6)))
    assert len(orders) == 924
    for order in orders:
        play(order, [Turns(SIX), Turns(SIX)], run_keys)


@pytest.mark.parametrize("run_keys", [("a", "b"), ("a", "a")], ids=["of two requests", "of one request"])
def test_every_order_of_two_publishers_of_which_one_dies_anywhere(run_keys: tuple[str, ...]) -> None:
    for at in range(6):
        for order in islice(list_orders((6, 6)), at, None, 6):  # each order with one death
            play(order, [Turns(SIX, dies_at=at), Turns(SIX)], run_keys)


@pytest.mark.nightly
@pytest.mark.parametrize("run_keys", [("a", "b", "c"), ("a", "a", "b"), ("a", "a", "a")])
def test_every_order_of_three_publishers_of_four_steps(run_keys: tuple[str, ...]) -> None:
    orders = list(list_orders((4, 4, 4)))
    assert len(orders) == 34_650
    for order in orders:
        play(order, [Turns(FOUR), Turns(FOUR), Turns(FOUR)], run_keys)


def test_orders_of_three_publishers_drawn_by_chance() -> None:
    chance, orders = Random(4), list(list_orders((4, 4, 4)))
    for order in chance.sample(orders, 600):
        run_keys = chance.choice([("a", "b", "c"), ("a", "a", "b"), ("a", "a", "a")])
        play(order, [Turns(FOUR, dies_at=chance.randrange(-1, 4)), Turns(FOUR), Turns(FOUR)], run_keys)


class Careless(MemoryObjects):
    """A store that does not keep the condition."""

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        self.bodies[self.relative(ref)] = body
        return Put.CREATED


def test_a_store_that_ignores_the_condition_is_found_out() -> None:
    broken = 0
    for order in list_orders((4, 4)):
        try:
            play(order, [Turns(FOUR), Turns(FOUR)], ("a", "b"), Careless)
        except AssertionError:
            broken += 1
    assert broken > 10, broken
