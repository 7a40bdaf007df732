"""Every effect of a build goes wrong once, in every way that its port knows: the next driver ends with the one dataset.

Every run of the tests lets each effect go wrong in one way, and each way come up; the nightly one has all pairs.

What a port may do is said in its docstring (`foundation/ports.py`, `intent/ports.py`). Beyond that, storage that gives
half an object, and one that has lost an object for a moment.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from ofs_spark.foundation.ends import find_owner, refuse_os_error
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing
from tests.crash.drill import Answer, Drill, EndAt, Place, Watcher, expected_digest, require_whole, select_own

Fault = Callable[[Callable[[], Any]], Any]
READS, WRITES = ("read",), ("put", "replace", "swap")
JOBS = ("start", "scan", "load", "verify", "prove", "find_repeats", "photograph")
ALL = ("read", "tail", "digest", "look", "list", *WRITES)


def fail(make: Callable[[], BaseException]) -> Fault:
    def fault(_call: Callable[[], Any]) -> Any:
        raise make()

    return fault


def lose_reply(make: Callable[[], BaseException]) -> Fault:
    def fault(call: Callable[[], Any]) -> Any:
        call()
        raise make()

    return fault


def tear(call: Callable[[], Any]) -> Any:
    """Half of what was read."""
    body = call()
    return body[: len(body) // 2]


def silence() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


def timeout() -> OSError:
    return TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def unable(number: int) -> Callable[[], Refusal]:
    return lambda: refuse_os_error(OSError(number, os.strerror(number)), "the object")


def unfit() -> Refusal:
    return refuse("ENVIRONMENT_UNFIT", "the ledger that ledger.dsn names cannot be used", pointer="/ledger/dsn")


OBJECT_FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "error": (fail(silence), ALL),
    "timeout": (fail(timeout), ALL),
    "lost reply": (lose_reply(silence), WRITES),
    "lost reply, timeout": (lose_reply(timeout), WRITES),
    "denied": (fail(unable(errno.EACCES)), ALL),
    "ENOSPC": (fail(unable(errno.ENOSPC)), WRITES),
    "EROFS": (fail(unable(errno.EROFS)), WRITES),
    "torn": (tear, READS),
    "missing": (fail(lambda: ObjectMissing("gone")), ("read", "tail")),
    "not seen": (lambda _call: False, ("look",)),
    "memory": (fail(MemoryError), ("read", *WRITES)),
    "defect": (fail(lambda: TypeError("a defect")), ALL),
}
LEDGER_FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "unfit": (fail(unfit), ("register", "find", "list", "claim", "end")),
    "lost reply": (lose_reply(unfit), ("register", "claim", "end")),
    "late": (fail(lambda: refuse("LEASE_LOST", "another was faster")), ("claim", "end")),
}
OTHER_FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "error": (fail(silence), ("commit", *JOBS)),
    "lost reply": (lose_reply(silence), ("commit", *JOBS[1:])),
    "refused": (fail(lambda: refuse("MATERIALIZATION_CORRUPT", "a table stands there")), ("commit",)),
    "dead": (
        fail(lambda: refuse("ENVIRONMENT_UNFIT", "the JVM is gone")),
        JOBS,
    ),
    "memory": (fail(MemoryError), JOBS),
}


class Disturb(Watcher):
    """Lets the n-th effect go wrong."""

    def __init__(self, at: int, fault: Fault) -> None:
        super().__init__()
        self.at, self.fault = at, fault

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        self.seen.append(effect)
        answer: Answer = self.fault(call) if len(self.seen) == self.at + 1 else call()
        return answer


def find_faults(effect: str) -> dict[str, Fault]:
    """The faults of an effect, by name."""
    kind, verb = effect.rsplit(".", 1)
    table = (
        LEDGER_FAULTS
        if kind == "ledger"
        else OTHER_FAULTS
        if verb in ("commit",) or kind == "engine"
        else OBJECT_FAULTS
    )
    return {name: fault for name, (fault, verbs) in table.items() if verb in verbs}


@dataclass(frozen=True)
class Course:
    """What is disturbed: the build of a new dataset, or a request after a clean build of it, or after one that ended, or a
    backfill of it.

    ended_at: the effect that ended the earlier build, "" for a clean one.
    """

    name: str
    built: bool
    request_id: str = ""
    ended_at: str = ""
    backfills: bool = False

    def begin(self, drill: Drill) -> str:
        """What came before; the dataset that is superseded, "" for none."""
        if not self.built:
            return ""
        ended = drill.drive(EndAt(self.ended_at) if self.ended_at else Watcher())
        assert self.ended_at or isinstance(ended, dict), ended
        return str(ended["dataset_manifest_id"]) if self.backfills and isinstance(ended, dict) else ""

    def watch(self) -> list[str]:
        """Its effects, where nothing disturbs it."""
        with Place() as drill:
            old, watcher = self.begin(drill), Watcher()
            drill.drive(watcher, self.request_id, supersedes=old)
            return select_own(watcher.seen) if self.ended_at else watcher.seen


COURSES = (
    Course("build", False),
    Course("same request", True),
    Course("another request", True, "request.another"),
    Course("backfill", True, "request.backfill", backfills=True),
    Course("publish-only retry", True, "", "manifest.put"),
    Course("from staged rows", True, "", "engine.load"),
)

NIGHTLY = ("backfill", "from staged rows")
"""Courses whose effects are, but for a few, those of the others."""

Case = tuple[int, str, str, Fault]
"""Ordinal and name of an effect, name of its fault, the fault."""


def list_cases(effects: Sequence[str]) -> list[Case]:
    """Every effect in every way."""
    return [(at, effect, *one) for at, effect in enumerate(effects) for one in find_faults(effect).items()]


def choose_cases(effects: Sequence[str]) -> list[Case]:
    """Every effect in one way, the one that came up least before it; then the ways that have not come up, once each."""
    used: Counter[str] = Counter()
    chosen = []
    for at, effect in enumerate(effects):
        faults = find_faults(effect)
        name = min(faults, key=used.__getitem__)
        used[name] += 1
        chosen.append((at, effect, name, faults[name]))
    return chosen + list({case[2]: case for case in list_cases(effects) if not used[case[2]]}.values())


def disturb(course: Course, at: int, effect: str, name: str, fault: Fault) -> str:
    """One disturbed driver, and the next one: how the disturbed one ended."""
    what = f"{course.name}: {effect} ({at}): {name}"
    with Place() as drill:
        old = course.begin(drill)
        ended = drill.drive(Disturb(at, fault), course.request_id, supersedes=old)
        if isinstance(ended, dict):
            assert ended["content_digest"] == expected_digest(), what
        elif name != "defect":
            owner = find_owner(ended)
            assert owner is not None, f"{what}: {ended!r}"
            assert "IMMUTABILITY" not in owner.code, f"{what}: {ended}"
            assert owner.code != "MANIFEST_ABSENT" or name == "not seen", f"{what}: {ended}"
        assert drill.find_violations(settled=False) == [], what
        require_whole(drill, what, course.request_id, supersedes=old)
        require_whole(drill, what)
        return "published" if isinstance(ended, dict) else ended.code if isinstance(ended, Refusal) else "defect"


@pytest.mark.parametrize("choose", [choose_cases, pytest.param(list_cases, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(
    "course",
    [pytest.param(one, id=one.name, marks=pytest.mark.nightly if one.name in NIGHTLY else ()) for one in COURSES],
)
def test_every_effect_goes_wrong(course: Course, choose: Callable[[Sequence[str]], list[Case]]) -> None:
    ends: Counter[str] = Counter()
    effects = course.watch()
    assert [effect for effect in effects if not find_faults(effect)] == []
    cases, every = choose(effects), list_cases(effects)
    assert {case[0] for case in cases} == {case[0] for case in every}
    assert {case[2] for case in cases} == {case[2] for case in every}
    for case in cases:
        ends[disturb(course, *case)] += 1
    assert len(every) > 100
    assert ends["published"] > len(cases) // (12 if course.ended_at else 6), ends
