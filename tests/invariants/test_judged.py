"""What holds of parity and forensic documents is broken on purpose, and named; whole ones break nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.drill import Drill, Place, Watcher
from tests.crash.rebuilds import COURSES, FORENSIC, SWEEP, online
from tests.worlds.model import canon
from tests.worlds.sabotage import flip_byte
from tests.worlds.snapshots import RUN

Damage = Callable[[Path], object]


def find_one(root: Path, pattern: str) -> Path:
    """The first of what a run has left."""
    return sorted((root / RUN / "ofs").glob(pattern))[0]


def edit(pattern: str, **members: Any) -> Damage:
    def damage(root: Path) -> None:
        path = find_one(root, pattern)
        path.write_bytes(canon({**json.loads(path.read_bytes()), **members}))

    return damage


def forge_manifest(root: Path) -> None:
    report = json.loads(find_one(root, "parity/*.json").read_bytes())
    told = root / RUN / "ofs" / "index" / "by_plan" / f"{report['plan_id']}.json"
    told.parent.mkdir(parents=True)
    told.write_bytes(canon({"plan_id": report["plan_id"]}))


REPORT, RECORD = "parity/*.json", "forensic/????????????????????????????????.json"
DAMAGES: dict[str, Damage] = {
    "report gone": lambda root: find_one(root, REPORT).unlink(),
    "record gone": lambda root: find_one(root, RECORD).unlink(),
    "report says otherwise": edit(REPORT, outcome="MATCH"),
    "report of another run": edit(REPORT, run_key="0" * 32),
    "report to train on": edit(REPORT, training_dataset=True),
    "report of another plan": edit(REPORT, plan_id="0" * 64),
    "report counts otherwise": edit(REPORT, counts={"anchors": 3, "match": 3, "mismatch": 0, "uncheckable": 0}),
    "evidence changed": lambda root: flip_byte(find_one(root, "replay_completeness/*.json")),
    "evidence gone": lambda root: shutil.rmtree(root / RUN / "ofs" / "resolved_build_plan"),
    "table's log gone": lambda root: find_one(root, "parity/*/_delta_log/*.json").unlink(),
    "table's rows gone": lambda root: find_one(root, "parity/*/*.parquet").unlink(),
    "artifact changed": lambda root: flip_byte(find_one(root, "forensic/*.contributions.parquet")),
    "artifact gone": lambda root: find_one(root, "forensic/*.snapshot.json").unlink(),
    "told as a dataset": forge_manifest,
}


def rebuild(drill: Drill) -> None:
    assert len({SWEEP, FORENSIC}) == len(COURSES)
    for course in COURSES:
        assert isinstance(course.drive(drill, Watcher()), dict)
    assert drill.find_violations(settled=True) == []


@pytest.mark.parametrize("name", DAMAGES)
def test_what_does_not_hold_of_a_document_is_named(name: str) -> None:
    with Place(online) as drill:
        rebuild(drill)
        drill.history = type(drill.history)()
        DAMAGES[name](drill.written.root)
        assert "I18" in {text.split()[0] for text in drill.find_violations(settled=True)}


def test_folded_states_that_are_gone_are_named() -> None:
    with Place(online) as drill:
        rebuild(drill)
        record = json.loads(find_one(drill.written.root, "staging/*/fold.json").read_bytes())
        (shard, *_) = record["shards"]
        for path in (drill.written.root / RUN / "ofs/staging").glob(f"*/{shard['states']['sha256']}.arrow"):
            path.unlink()
        assert {text.split()[0] for text in drill.find_violations(settled=True)} == {"I16"}
