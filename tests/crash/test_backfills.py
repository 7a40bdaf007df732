"""Backfills that are killed, paused and raced: one successor, which the link names, and an old dataset that never changes."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.refs import name_manifest, name_supersession
from tests.crash.drill import Drill, Kill, Killed, Place, Watcher, expected_digest, require_whole
from tests.crash.test_kills import WRITES
from tests.crash.test_zombies import Pause
from tests.worlds.model import RUN

REQUEST = "request.backfill"


def build_old(drill: Drill) -> str:
    """The dataset that is superseded."""
    answer = drill.drive(Watcher())
    assert isinstance(answer, dict), answer
    return str(answer["dataset_manifest_id"])


def read_link(drill: Drill, old: str) -> dict[str, Any]:
    link: dict[str, Any] = json.loads((drill.written.root / name_supersession(RUN, old)).read_bytes())
    return link


def watch_backfill() -> list[str]:
    """The effects of a backfill that nothing disturbs."""
    with Place() as drill:
        watcher = Watcher()
        drill.drive(watcher, REQUEST, supersedes=build_old(drill))
        return watcher.seen


@pytest.fixture(scope="module")
def effects() -> list[str]:
    return watch_backfill()


def test_the_link_is_reserved_right_before_the_put_and_completed_after(effects: list[str]) -> None:
    put = effects.index("manifest.put")
    assert effects[put - 3 : put] == ["link.put", "ledger.find", "ledger.list"]  # between them, the fence
    assert "link.swap" in effects[put:]
    assert effects.index("fact.put") < effects.index("engine.start")  # BackfillDeclared


def test_every_kill_of_a_backfill(effects: list[str]) -> None:
    places = [at for at, effect in enumerate(effects) if effect.rsplit(".", 1)[1] in (*WRITES, "swap")]
    for at in (*places, len(effects)):
        what = f"killed before effect {at}"
        with Place() as drill:
            old = build_old(drill)
            ended = drill.drive(Kill(at), REQUEST, supersedes=old)
            assert isinstance(ended, Killed | dict), f"{what}: {ended!r}"
            assert drill.find_violations(settled=False) == [], what
            require_whole(drill, what, REQUEST, supersedes=old)
            link = read_link(drill, old)
            assert link["state"] == "COMPLETED", what
            assert drill.drive(Watcher())["dataset_manifest_id"] == old, what  # type: ignore[index]


def kill_before(effects: list[str], effect: str, drill: Drill, old: str, stamp: str = "") -> None:
    ended = drill.drive(Kill(effects.index(effect)), REQUEST, supersedes=old, stamp=stamp)
    assert isinstance(ended, Killed), ended


def test_a_dead_reservation_is_replaced_and_stays_so(effects: list[str]) -> None:
    with Place() as drill:
        old = build_old(drill)
        kill_before(effects, "manifest.put", drill, old, "first")
        first = read_link(drill, old)
        assert first["state"] == "RESERVED"
        second = drill.drive(Watcher(), "request.other", supersedes=old, stamp="second")
        assert isinstance(second, dict), second
        assert read_link(drill, old)["successor"] == second["dataset_manifest_id"] != first["successor"]
        late = drill.drive(Watcher(), REQUEST, supersedes=old, stamp="first")
        assert isinstance(late, Refusal)
        assert (late.code, late.details["newest"]) == ("SUPERSESSION_LINK_INVALID", second["dataset_manifest_id"])
        assert drill.find_violations(settled=True) == []


def test_the_reservation_of_an_earlier_attempt_is_its_own(effects: list[str]) -> None:
    with Place() as drill:
        old = build_old(drill)
        kill_before(effects, "manifest.put", drill, old)
        reserved = read_link(drill, old)
        require_whole(drill, "its own", REQUEST, supersedes=old)
        completed = read_link(drill, old)
        same = ("successor", "plan_id", "run_key", "superseded", "reason_code")
        assert [completed[name] for name in same] == [reserved[name] for name in same]
        assert completed["attempt"] == reserved["attempt"]  # what it had prepared was published


def test_a_live_reservation_is_not_replaced(effects: list[str]) -> None:
    with Place() as drill:
        old, others = build_old(drill), list[Any]()

        def meanwhile() -> None:
            others.append(drill.drive(Watcher(), "request.other", supersedes=old, stamp="second"))

        paused = Pause(effects.index("manifest.put"), meanwhile)
        first = drill.drive(paused, REQUEST, supersedes=old, stamp="first")
        assert isinstance(first, dict), first
        (other,) = others
        assert isinstance(other, Refusal), other
        assert other.code == "SUPERSESSION_LINK_INVALID"
        assert other.details["holder"] == first["run_key"]
        assert read_link(drill, old)["successor"] == first["dataset_manifest_id"]
        assert drill.find_violations(settled=True) == []


def test_where_a_driver_outlives_its_reservation_the_link_decides(effects: list[str]) -> None:
    """Paused for longer than its lease between reservation and put: its manifest stands beside the chain, and is told so."""
    with Place() as drill:
        old, others = build_old(drill), list[Any]()

        def meanwhile() -> None:
            drill.dead.add("driver:2")
            others.append(drill.drive(Watcher(), "request.other", supersedes=old, stamp="second"))

        paused = Pause(effects.index("manifest.put"), meanwhile)
        first = drill.drive(paused, REQUEST, supersedes=old, stamp="first")
        (second,) = others
        assert isinstance(first, dict), first
        assert isinstance(second, dict), second
        assert read_link(drill, old)["successor"] == second["dataset_manifest_id"]
        receipt = json.loads((drill.written.root / f"{RUN}/ofs/run_receipts/{first['run_key']}.json").read_bytes())
        assert receipt["signals"][name_supersession(RUN, old)] == "FAILED"
        assert {one.split()[0] for one in drill.find_violations(settled=False)} == {"I17"}


@pytest.mark.parametrize("spoiled", [b"{}", b"", b"null", b'{"schema_version":'], ids=range(4))
def test_a_spoiled_link_reserves_nothing_and_is_mended_by_its_successor(spoiled: bytes) -> None:
    with Place() as drill:
        old = build_old(drill)
        require_whole(drill, "first", REQUEST, supersedes=old)
        path = drill.written.root / name_supersession(RUN, old)
        body = path.read_bytes()
        path.write_bytes(spoiled)
        other = drill.drive(Watcher(), "request.other", supersedes=old, stamp="second")
        assert isinstance(other, Refusal), other
        assert other.code == "SUPERSESSION_LINK_INVALID"
        require_whole(drill, "mended", REQUEST, supersedes=old)
        assert path.read_bytes() == body
        path.unlink()
        require_whole(drill, "written again", REQUEST, supersedes=old)
        assert path.read_bytes() == body


def test_32_racing_successors_have_one_winner() -> None:
    with Place() as drill, ThreadPoolExecutor(32) as pool:
        old = build_old(drill)
        before = (drill.written.root / name_manifest(RUN, old)).read_bytes()

        def supersede(number: int) -> Any:
            return drill.drive(Watcher(), f"request.{number:04d}", supersedes=old, stamp=f"stamp {number}")

        ends = list(pool.map(supersede, range(32)))
        told = Counter(one["outcome"] if isinstance(one, dict) else getattr(one, "code", repr(one)) for one in ends)
        assert told == {"COMMITTED": 1, "SUPERSESSION_LINK_INVALID": 31}
        (winner,) = (one for one in ends if isinstance(one, dict))
        assert winner["content_digest"] == expected_digest()
        assert read_link(drill, old)["successor"] == winner["dataset_manifest_id"]
        assert (drill.written.root / name_manifest(RUN, old)).read_bytes() == before
        assert drill.find_violations(settled=True) == []
