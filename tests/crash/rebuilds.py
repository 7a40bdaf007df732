"""Drivers that sweep the platform's own snapshots, or rebuild one, in the drills' places; and what they must come to."""

from __future__ import annotations

import atexit
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ofs_spark import pipeline
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.workflow.context import RunContext
from tests.crash.drill import PARENT, Drill, Place, Watcher
from tests.worlds.model import FACTS_REF
from tests.worlds.snapshots import RUN, OnlineWorld, changed, seal, write_online_world
from tests.worlds.writer import Written

Answer = dict[str, Any]
PLANTED = f"{RUN}/ofp/planted.json"
SWEPT = (f"{RUN}/ofp/0.json", PLANTED, f"{RUN}/ofp/2.json")
"""The anchors of a sweep: one that matches, one with a planted fault that is to be explained, one that matches."""


@cache
def online() -> Written:
    """The platform's online world."""
    folder = Path(mkdtemp(prefix="ofs-drill-online-", dir=PARENT))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    world = write_online_world(folder)
    world.put_anchor("planted", seal(changed(1, _plant)))
    objects = world.objects
    intent = folder / "intent.json"
    intent.write_bytes(world.ask("parity_rebuild", "parity.0001"))
    index = objects / RUN / "archive" / "segment_index.json"
    segments = tuple(sorted(objects.glob(f"{RUN}/archive/segments/*/*/*.parquet")))
    wiring, profile = folder / "wiring.yaml", folder / "profiles" / "core_features.yaml"
    return Written(objects, wiring, intent, index, segments, objects / "none.json", objects / FACTS_REF, profile)


def _plant(snapshot: dict[str, Any]) -> None:
    key = sorted(snapshot["features"])[0]
    snapshot["features"][key]["event_count"] += 1


@dataclass(frozen=True)
class Rebuilding:
    """A run that leaves a document. member: of its answer, the document's ref; scans: whether a later attempt may scan."""

    name: str
    command: Callable[[RunContext], Answer]
    member: str
    outcome: str

    def drive(
        self, drill: Drill, around: Watcher, engine: Callable[[], Engine] = EmbeddedEngine
    ) -> Answer | BaseException:
        """One driver."""
        return drill.run(self.command, around, engine)

    def watch(self) -> list[str]:
        """Its effects, where nothing disturbs it."""
        with Place(online) as drill:
            watcher = Watcher()
            answer = self.drive(drill, watcher)
            assert isinstance(answer, dict), answer
            return watcher.seen

    def require_whole(self, drill: Drill, what: str) -> Watcher:
        """A clean driver ends with the one answer, and nothing is broken."""
        watcher = Watcher()
        answer = self.drive(drill, watcher)
        assert isinstance(answer, dict), f"{what}: {answer!r}"
        assert strip(answer) == expected(self), what
        assert drill.find_violations(settled=True) == [], what
        return watcher


def _ask(kind: str, request: str, anchor: str | None = None) -> bytes:
    return OnlineWorld(Path()).ask(kind, request, anchor)


SWEEP = Rebuilding(
    "sweep",
    lambda context: pipeline.check_parity(_ask("parity_rebuild", "parity.0001"), context, SWEPT),
    "report_ref",
    "MISMATCH",
)
FORENSIC = Rebuilding(
    "forensic",
    lambda context: pipeline.rebuild_forensics(_ask("forensic_rebuild", "forensic.0001", SWEPT[0]), context),
    "record_ref",
    "REBUILT",
)
COURSES = (SWEEP, FORENSIC)


def strip(answer: Answer) -> Answer:
    """An answer without what is an attempt's own: the folder of its table, and its warnings of what went wrong."""
    return {name: value for name, value in answer.items() if name not in ("results_ref", "warnings")}


@cache
def expected(course: Rebuilding) -> Answer:
    """The answer of a driver that nothing disturbs."""
    with Place(online) as drill:
        answer = course.drive(drill, Watcher())
        assert isinstance(answer, dict), answer
        assert answer["outcome"] == course.outcome, answer
        return strip(answer)


def list_documents(drill: Drill, course: Rebuilding) -> list[str]:
    """Refs of the documents that stand, one a run."""
    folder = {"report_ref": "parity", "record_ref": "forensic"}[course.member]
    found = (drill.written.root / RUN / "ofs" / folder).glob("*.json")
    return sorted(path.name for path in found if not path.name.endswith(".snapshot.json"))


def read_ledger(drill: Drill) -> list[tuple[str, str]]:
    """(before, after) states of every event, as the ledger's file has them."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(drill.ledger)) as opened:
        return [tuple(row) for row in opened.execute("SELECT before, after FROM ofs_run_event ORDER BY ordinal")]


def read_document(drill: Drill, answer: Answer, course: Rebuilding) -> Answer:
    """The document that an answer names."""
    document: Answer = json.loads((drill.written.root / answer[course.member]).read_bytes())
    return document
