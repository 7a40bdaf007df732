"""Sweeps and forensic runs that are killed, disturbed or doubled anywhere: one document, the same answer, nothing told twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from ofs_spark.foundation.ends import find_owner
from tests.crash.drill import Answer, Drill, Kill, Killed, Place, Watcher
from tests.crash.rebuilds import (
    COURSES,
    SWEEP,
    Rebuilding,
    expected,
    list_documents,
    online,
    read_ledger,
    strip,
)
from tests.crash.test_faults import Disturb, Fault, find_faults

BOTH = pytest.mark.parametrize("course", COURSES, ids=[one.name for one in COURSES])


class KillAfter(Kill):
    """Kills its driver after its n-th effect: it has happened, and nobody heard of it."""

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        answer = super().__call__(effect, call)
        if len(self.seen) == self.at:
            raise Killed
        return answer


def judge_rest(drill: Drill, course: Rebuilding, what: str) -> list[str]:
    """A clean driver after a disturbed one, and one after that: the effects of the first."""
    seen = course.require_whole(drill, what).seen
    assert len(list_documents(drill, course)) == 1, what
    assert [after for _, after in read_ledger(drill)].count("DONE") == 1, what
    again = course.require_whole(drill, what).seen
    assert not {one for one in again if one.startswith("engine.")}, what
    return seen


@BOTH
def test_a_kill_before_and_after_every_effect(course: Rebuilding) -> None:
    whole = course.watch()
    for at in range(len(whole) + 1):
        for kind in (Kill, KillAfter)[: 2 if at else 1]:
            what = f"{course.name}: {kind.__name__} {at} ({whole[min(at, len(whole) - 1)]})"
            with Place(online) as drill:
                ended = course.drive(drill, killed := kind(at))
                assert isinstance(ended, Killed | dict), f"{what}: {ended!r}"
                assert drill.find_violations(settled=False) == [], what
                seen = judge_rest(drill, course, what)
                for record, work in (
                    ("scan_record.replace", "engine.scan"),
                    ("fold_record.replace", "engine.find_repeats"),
                ):
                    assert record not in killed.seen or work not in seen, f"{what}: {work} once more"
                if "parity_report.put" in killed.seen:
                    assert not {one for one in seen if one.startswith("engine.")}, what


def test_a_sweep_killed_at_its_photographs_goes_on_from_the_folded_states() -> None:
    with Place(online) as drill:
        at = SWEEP.watch().index("photos.put")
        assert isinstance(SWEEP.drive(drill, Kill(at)), Killed)
        seen = judge_rest(drill, SWEEP, "killed at the photographs")
    assert [one for one in seen if one.startswith("engine.")] == [
        "engine.start",
        "engine.prove",
        "engine.prove",
        "engine.photograph",
    ]


@BOTH
def test_two_kills_one_after_the_other(course: Rebuilding) -> None:
    whole = course.watch()
    for first in range(0, len(whole), 7):
        for second in range(0, len(whole), 11):
            with Place(online) as drill:
                for at in (first, second):
                    course.drive(drill, Kill(at))
                judge_rest(drill, course, f"{course.name}: {first} and {second}")


def disturb(course: Rebuilding, at: int, effect: str, name: str, fault: Fault) -> str:
    """One disturbed driver, and the next ones: how the disturbed one ended."""
    what = f"{course.name}: {effect} ({at}): {name}"
    with Place(online) as drill:
        ended = course.drive(drill, Disturb(at, fault))
        assert drill.find_violations(settled=False) == [], what
        if isinstance(ended, dict) and strip(ended) != expected(course):
            return judge_uncheckable(drill, course, ended, effect, name, what)
        if not isinstance(ended, dict) and name != "defect":
            owner = find_owner(ended)
            assert owner is not None, f"{what}: {ended!r}"
            assert "IMMUTABILITY" not in owner.code, f"{what}: {ended}"
            assert owner.code != "MANIFEST_ABSENT" or name == "not seen", f"{what}: {ended}"
        judge_rest(drill, course, what)
        return "answered" if isinstance(ended, dict) else "refused"


def judge_uncheckable(
    drill: Drill, course: Rebuilding, ended: dict[str, object], effect: str, name: str, what: str
) -> str:
    """An input that could not be had, in a sweep, is its result: it says which, and claims nothing of what it did not see."""
    assert (course, effect) == (SWEEP, "input.read"), f"{what}: {ended}"
    assert name in ("denied", "missing", "torn"), f"{what}: {ended}"
    own = {one["anchor_ref"]: one for one in expected(course)["results"]}
    for one in ended["results"]:  # type: ignore[attr-defined]
        told = own[one["anchor_ref"]]
        if one["outcome"] == "UNCHECKABLE":
            assert (one["rebuilt_hash"], bool(one["reason"]), bool(one["prerequisite"])) == (None, True, True), what
        else:
            assert (one["outcome"], one["rebuilt_hash"]) == (told["outcome"], told["rebuilt_hash"]), what
    again = course.drive(drill, Watcher())
    assert again == ended, what
    assert drill.find_violations(settled=True) == [], what
    return "uncheckable"


@pytest.mark.parametrize("course", COURSES, ids=[one.name for one in COURSES])
def test_every_effect_in_every_way(course: Rebuilding) -> None:
    ends: Counter[str] = Counter()
    effects = course.watch()
    cases = [(at, effect, *one) for at, effect in enumerate(effects) for one in find_faults(effect).items()]
    wrong = []
    for case in cases:
        try:
            ends[disturb(course, *case)] += 1
        except AssertionError as broken:
            wrong.append(str(broken)[:400])
    assert wrong == []
    assert ends["answered"] > 50, ends
    assert ends["refused"] > 50, ends
