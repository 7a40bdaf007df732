"""Gcs that are killed, and gcs beside builds: what a dataset names stays, whatever ages say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ofs_spark import pipeline
from ofs_spark.foundation.ports import Listed
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.local import LocalObjects
from tests.crash.drill import Answer, Drill, Kill, Killed, Place, Watcher, clear, require_whole
from tests.worlds.model import RUN

BUILDS = 8
ORPHANED = 3
"""Drivers of one run that are killed before the last: tokens that no other run has."""


@dataclass(frozen=True)
class Ancient(LocalObjects):
    """A folder whose every object is as old as can be: ages protect nothing."""

    def list_objects(self, ref: str) -> list[Listed]:
        return [replace(one, modified=0) for one in super().list_objects(ref)]


class KillAtEvidence(Watcher):
    """Kills its driver when its table and file list stand, and nothing names them or ever will."""

    def __init__(self) -> None:
        super().__init__()
        self.is_dead = False

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        self.is_dead |= effect == "replay_receipt.put"
        if self.is_dead:
            raise Killed
        return super().__call__(effect, call)


def list_files(drill: Drill) -> set[str]:
    """What stands below `…/ofs/`, but for receipts of gcs."""
    files = (path for path in (drill.written.root / RUN / "ofs").rglob("*") if path.is_file())
    return {path.relative_to(drill.written.root).as_posix() for path in files if "/ofs/gc/" not in path.as_posix()}


def orphan(drill: Drill, drivers: int, request_id: str = "") -> set[str]:
    """What drivers leave that are killed before their evidence."""
    before = list_files(drill)
    for _ in range(drivers):
        assert isinstance(drill.drive(KillAtEvidence(), request_id), Killed)
    return {ref for ref in list_files(drill) - before if "/datasets/" in ref or "/files/" in ref}


def verify_all(drill: Drill) -> list[str]:
    """The manifests, each of a dataset that verifies in full."""
    manifests = sorted((drill.written.root / RUN / "ofs/manifests").glob("dm_*.json"))
    refs = [path.relative_to(drill.written.root).as_posix() for path in manifests if "v0" not in path.name]
    with open_context(drill.written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        for ref in refs:
            answer = pipeline.verify_dataset(ref, context)
            assert answer["verified"], [one for one in answer["checks"] if not one["ok"]]
    return refs


def test_a_gc_that_is_killed_before_any_of_its_effects_is_run_again() -> None:
    killed = 0
    for at in range(1_000):
        with Place() as drill:
            orphans = orphan(drill, 1)
            require_whole(drill, "after a killed driver")
            ended = clear(drill, Kill(at))
            assert drill.find_violations(settled=True) == [], at
            verify_all(drill)
            killed += isinstance(ended, Killed)
            last = clear(drill, Watcher())
            assert isinstance(last, dict), last
            assert not orphans & list_files(drill), at
            assert not (drill.written.root / RUN / "ofs/staging").exists()
            verify_all(drill)
            require_whole(drill, f"gc killed before effect {at}")
            if not isinstance(ended, Killed):
                break
    assert killed > 20


def test_a_young_orphan_stays() -> None:
    with Place() as drill:
        orphans = orphan(drill, 1)
        require_whole(drill, "after a killed driver")
        before = list_files(drill)
        answer = clear(drill, Watcher(), hours=25.0)
        assert isinstance(answer, dict)
        assert (answer["found"]["orphans"], list_files(drill)) == (0, before)
        assert orphans <= before


@contextmanager
def clearing(drill: Drill, begun: threading.Event) -> Iterator[list[dict[str, Any]]]:
    """Gcs without rest, for which every object is old, from the moment that a build has begun until the block ends."""
    stop, answers = threading.Event(), list[dict[str, Any]]()

    def sweep() -> None:
        begun.wait(60)
        while not stop.is_set():
            with open_context(drill.written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
                old = replace(context, clearable=Ancient.at(drill.written.root))
                answers.append(pipeline.clear_orphans((), None, old, removes=True))

    threads = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Claims(Watcher):
    """Says when its driver has claimed its run."""

    def __init__(self, begun: threading.Event) -> None:
        super().__init__()
        self.begun = begun

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        answer = super().__call__(effect, call)
        if effect == "ledger.claim":
            self.begun.set()
        return answer


class Another(Drill):
    """Drivers in the same place who ask for datasets of their own: as of another second."""

    def ask(self, request_id: str = "", stamp: str = "") -> bytes:
        document = json.loads(super().ask(request_id, stamp))
        labels = {
            **document["label_basis"],
            "label_asof_utc": f"2026-05-31T00:{self.drivers // 60:02d}:{self.drivers % 60:02d}Z",
        }
        return json.dumps({**document, "label_basis": labels}).encode()


def test_gcs_beside_eight_running_builds_remove_nothing_that_is_named() -> None:
    with Place() as drill, ThreadPoolExecutor(BUILDS) as pool:
        orphans, begun = orphan(drill, ORPHANED, "request.of.the.dead"), threading.Event()
        require_whole(drill, "after three killed drivers", "request.of.the.dead")
        with clearing(drill, begun) as answers:
            drills = [Another(drill.written, drill.history, drill.dead, 10 * number) for number in range(1, BUILDS + 1)]
            ends = list(pool.map(lambda one: one.drive(Claims(begun), f"request.{one.drivers:04d}"), drills))
        assert [end["outcome"] if isinstance(end, dict) else end for end in ends] == ["COMMITTED"] * BUILDS
        assert [one for answer in answers for one in answer["warnings"]] == []
        assert len(answers) > 2
        assert sum(answer["removed"]["objects"] for answer in answers) > 0
        assert len(verify_all(drill)) == BUILDS + 1
        with clearing(drill, begun) as last:
            while not last:
                begun.wait(0.01)
        assert not orphans & list_files(drill)
        assert len(verify_all(drill)) == BUILDS + 1
        assert drill.find_violations(settled=True) == []
