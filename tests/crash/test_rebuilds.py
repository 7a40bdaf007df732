"""Sweeps and forensic runs that are killed, disturbed or doubled anywhere: one document, the same answer, nothing told twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from ofs_spark.foundation.ends import find_owner
from tests.crash.drill import Answer, Drill, EndAt, Kill, Killed, Place, Watcher, clear
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
from tests.crash.test_gc import Claims, clearing
from tests.crash.test_kills import WRITES
from tests.worlds.sabotage import flip_byte

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
        after = at and whole[at - 1].rsplit(".", 1)[1] in WRITES
        for kind in (Kill, KillAfter)[: 2 if after else 1]:  # after a read stands what stood before the next effect
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
        "engine.start",  # while the rooms are loaded
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


@BOTH
def test_gcs_beside_a_run_remove_nothing_of_it(course: Rebuilding) -> None:
    """Without rest, and every object is old to them: what is staged, photographed and tabled stays until it is named."""
    with Place(online) as drill:
        begun = threading.Event()
        with clearing(drill, begun) as answers:
            assert isinstance(course.drive(drill, Claims(begun)), dict)
        assert answers
        assert [one for answer in answers for one in answer["warnings"]] == []
        cleared = clear(drill, Watcher())
        assert isinstance(cleared, dict), cleared
        judge_rest(drill, course, "cleared")


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
    """An input that could not be had is a result: it says which, and claims nothing of what it did not see."""
    assert effect == "input.read", f"{what}: {ended}"
    assert name in ("denied", "missing", "torn"), f"{what}: {ended}"
    if course != SWEEP:
        outcome = "UNCHECKABLE"
        if ended["plan_id"] != expected(course)["plan_id"]:
            assert name == "torn", f"{what}: {ended}"
            outcome = "MATCH"  # half of this profile is one, with the same law: the plan names the bytes that were read
        assert ended["parity"]["outcome"] == outcome, f"{what}: {ended}"  # type: ignore[index]
        assert course.drive(drill, Watcher()) == ended, what
        assert drill.find_violations(settled=True) == [], what
        return "uncheckable"
    own = {one["anchor_ref"]: one for one in expected(course)["results"]}
    for one in ended["results"]:  # type: ignore[attr-defined]
        told = own[one["anchor_ref"]]
        if one["outcome"] == "UNCHECKABLE":
            assert all((one["reason"], one["prerequisite"])), what
        else:
            assert (one["outcome"], one["rebuilt_hash"]) == (told["outcome"], told["rebuilt_hash"]), what
    again = course.drive(drill, Watcher())
    assert again == ended, what
    assert drill.find_violations(settled=True) == [], what
    return "uncheckable"


@pytest.mark.nightly
@BOTH
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


def test_a_report_whose_put_had_no_answer_stands() -> None:
    """Put or not, nobody heard: the driver answers from what stands, or is refused by name and the next one reports."""
    at = SWEEP.watch().index("parity_report.put")
    for name in ("error", "timeout", "lost reply", "lost reply, timeout"):
        with Place(online) as drill:
            ended = SWEEP.drive(drill, Disturb(at, find_faults("parity_report.put")[name]))
            assert isinstance(ended, dict) is name.startswith("lost"), (name, ended)
            if isinstance(ended, dict):
                assert any("after the parity report was published" in one for one in ended["warnings"]), ended
            judge_rest(drill, SWEEP, name)


class Meet(Watcher):
    """Two drivers that wait for each other before an effect, once."""

    def __init__(self, effect: str, gate: threading.Barrier) -> None:
        super().__init__()
        self.effect, self.gate = effect, gate

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        if effect == self.effect and effect not in self.seen:
            self.seen.append(effect)
            with suppress(threading.BrokenBarrierError):
                self.gate.wait(timeout=2)
            return call()
        return super().__call__(effect, call)


@BOTH
@pytest.mark.parametrize("effect", ["ledger.register", "ledger.claim", "input.read"])
def test_two_drivers_of_one_request_leave_one_document(effect: str, course: Rebuilding) -> None:
    with Place(online) as drill, ThreadPoolExecutor(2) as pool:
        gate = threading.Barrier(2)
        asked = [pool.submit(course.drive, drill, Meet(effect, gate)) for _ in range(2)]
        ends = [one.result() for one in asked]
        told = [one for one in ends if isinstance(one, dict)]
        assert told, ends
        assert all(strip(one) == expected(course) for one in told)
        refused = [find_owner(one) for one in ends if not isinstance(one, dict)]
        assert all(
            one is not None and one.code in ("LEASE_HELD", "LEASE_LOST", "RUN_IN_PROGRESS") for one in refused
        ), ends
        judge_rest(drill, course, effect)


def test_a_driver_that_was_taken_over_at_its_report_leaves_the_others_report() -> None:
    """The first one stops before its put, is taken for dead, and goes on when the second one has reported."""
    with Place(online) as drill:
        ends: list[object] = []

        class Overtaken(Watcher):
            def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
                if effect == "parity_report.put":
                    drill.dead.add("driver:1")
                    ends.append(SWEEP.drive(drill, Watcher()))
                return super().__call__(effect, call)

        first = SWEEP.drive(drill, Overtaken())
        (second,) = ends
        assert isinstance(second, dict), second
        assert isinstance(first, dict), first
        assert first["results_ref"] == second["results_ref"]
        judge_rest(drill, SWEEP, "overtaken")


@BOTH
def test_an_archive_that_is_mended_after_a_kill_gives_the_answer(course: Rebuilding) -> None:
    """What the killed attempt proved of a damaged archive is its own: the next one's receipt says what it finds."""
    with Place(online) as drill:
        segment = drill.written.segments[1]
        body = segment.read_bytes()
        flip_byte(segment)
        course.drive(drill, ended := EndAt("photos.read"))
        assert "replay_receipt.put" in ended.seen
        assert "scan_record.replace" not in ended.seen
        segment.write_bytes(body)
        judge_rest(drill, course, "mended")
