"""A sweep and a forensic run on S3 and Postgres come to what they come to in a folder, and a gc takes nothing of them."""

from __future__ import annotations

import pytest

from tests.crash.drill import Kill, Killed, Watcher, clear
from tests.crash.rebuilds import COURSES, SWEEP, Rebuilding, online
from tests.crash.served import ServedDrill, Servers, serve_drill
from tests.crash.test_kills import find_places
from tests.worlds.places import list_all


def list_kept(drill: ServedDrill) -> set[str]:
    """What stands of documents, tables, artifacts and evidence."""
    kept = (
        "/ofs/parity/",
        "/ofs/forensic/",
        "/ofs/resolved_build_plan/",
        "/ofs/replay_completeness/",
        "/ofs/governance/",
    )
    return {ref for ref in list_all(drill.place.objects) if any(part in ref for part in kept)}


@pytest.mark.parametrize("course", COURSES, ids=[one.name for one in COURSES])
def test_a_run_is_the_folders_and_a_gc_removes_nothing_of_it(course: Rebuilding, servers: Servers) -> None:
    with serve_drill(servers, online) as drill:
        course.require_whole(drill, "served")
        before = list_kept(drill)
        cleared = clear(drill, Watcher())
        assert isinstance(cleared, dict), cleared
        assert cleared["removed"]["objects"] > 0  # the staged rows and states
        assert list_kept(drill) == before
        course.require_whole(drill, "cleared")


def test_some_kills_before_writes(servers: Servers) -> None:
    for at in find_places(SWEEP.watch())[::6]:
        with serve_drill(servers, online) as drill:
            ended = SWEEP.drive(drill, Kill(at))
            assert isinstance(ended, Killed | dict), (at, ended)
            assert drill.find_violations(settled=False) == [], at
            SWEEP.require_whole(drill, f"killed before effect {at}")
