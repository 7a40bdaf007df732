"""`ofs gc` as people call it: what it lists, what it removes, what it refuses, and that a dataset verifies afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.contracts import find_faults
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.crash.drill import Drill, Place, require_whole
from tests.crash.test_gc import list_files, orphan, verify_all
from tests.worlds.command import Result, run_command
from tests.worlds.model import RUN
from tests.worlds.running import policy_with


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM."""
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())


@pytest.fixture
def drill() -> Iterator[Drill]:
    """A world with one dataset, and what a driver left that was killed right before its commit."""
    with Place() as made:
        orphan(made, 1)
        require_whole(made, "after a killed driver")
        yield made


def ofs(drill: Drill, *arguments: str, options: tuple[str, ...] = ("--json", "--quiet")) -> Result:
    return run_command("--wiring", str(drill.written.wiring), *options, *arguments)


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result
    return dict(json.loads(result.stdout.splitlines()[-1]))


def age(drill: Drill, hours: float) -> None:
    """As if everything that OFS made had been written so many hours earlier."""
    for path in (drill.written.root / RUN / "ofs").rglob("*"):
        if path.is_file():
            then = path.stat().st_mtime - hours * 3_600
            os.utime(path, (then, then))


def list_orphans(drill: Drill) -> set[str]:
    """Tables and file lists that the one manifest does not name."""
    (manifest,) = verify_all(drill)
    table = json.loads((drill.written.root / manifest).read_bytes())["materialization"]
    written = {ref for ref in list_files(drill) if "/datasets/" in ref or "/files/" in ref}
    return {ref for ref in written if not ref.startswith((table["path"], table["files"]["ref"]))}


def test_what_a_killed_driver_left_is_listed_and_removed_after_the_grace(drill: Drill) -> None:
    orphans, before = list_orphans(drill), list_files(drill)
    assert len(orphans) == 3, "a table's file, its log, a file list"
    orphans |= {ref for ref in before if "/staging/" in ref or "/publish_pending/" in ref}
    young = answer(ofs(drill, "gc", "--apply"))
    assert (young["found"]["orphans"], set(young["kept"]), young["receipts"]) == (0, {"referenced", "young"}, [])
    assert list_files(drill) == before
    age(drill, 26)
    listed = answer(ofs(drill, "gc"))
    assert (listed["applied"], listed["grace_hours"], list_files(drill)) == (False, 25.03, before)
    assert listed["found"]["objects"] == len(orphans)
    assert {one["kind"] for one in listed["orphans"]} >= {"table", "staged_rows", "file_list"}
    assert all(one["age_hours"] >= 26 for one in listed["orphans"])
    applied = answer(ofs(drill, "gc", RUN, "--apply", "--grace", "25.5"))
    assert applied["removed"] == {name: listed["found"][name] for name in ("objects", "bytes")}
    assert list_files(drill) == before - orphans
    (receipt,) = applied["receipts"]
    document = json.loads((drill.written.root / receipt).read_bytes())
    assert find_faults(document, "ofs.gc_receipt.v1") == []
    assert document["orphans"] == applied["orphans"]
    (manifest,) = verify_all(drill)
    assert answer(ofs(drill, "verify", manifest))["verified"]
    require_whole(drill, "after gc")
    assert answer(ofs(drill, "gc", "--apply"))["found"]["orphans"] == 0


def test_another_platform_run_is_not_looked_at(drill: Drill) -> None:
    age(drill, 26)
    before = list_files(drill)
    elsewhere = answer(ofs(drill, "gc", "platform_20250101T000000Z", "--apply"))
    assert (elsewhere["scanned"]["objects"], elsewhere["found"]["orphans"]) == (0, 0)
    assert list_files(drill) == before


def test_a_manifest_that_cannot_be_read_stops_the_cleaning(drill: Drill) -> None:
    age(drill, 26)
    (manifest,) = verify_all(drill)
    path = drill.written.root / manifest
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    before = list_files(drill)
    found = answer(ofs(drill, "gc", "--apply"))
    assert [manifest in one for one in found["warnings"]] == [True]
    assert list_files(drill) == before
    page = ofs(drill, "gc", options=("--quiet",)).stdout
    assert manifest in page
    path.write_bytes(whole)
    assert answer(ofs(drill, "gc", "--apply"))["removed"]["objects"] > 0


@pytest.mark.parametrize(
    "arguments",
    [("--grace", "25"), ("--grace", "0"), ("--grace", "-1"), ("--grace", "nan"), ("--grace", "x"), ("platform",)],
)
def test_wrong_use(drill: Drill, arguments: tuple[str, ...]) -> None:
    age(drill, 26)
    before = list_files(drill)
    result = ofs(drill, "gc", "--apply", *arguments)
    assert (result.exit_code, json.loads(result.stdout)["reason"]) == (2, "USAGE")
    assert list_files(drill) == before


def test_the_least_grace_follows_policy(drill: Drill, tmp_path: Path) -> None:
    policy = policy_with(tmp_path / "policy", {"launcher": {"run_limit_hours": 1}})
    age(drill, 2.1)
    options = ("--json", "--quiet", "--policy", str(policy))
    assert ofs(drill, "gc", "--grace", "2", options=options).exit_code == 2
    assert answer(ofs(drill, "gc", options=options))["found"]["orphans"] > 0
    assert answer(ofs(drill, "gc", "--grace", "2.2", options=options))["found"]["orphans"] == 0


def test_a_policy_that_is_none_is_refused_before_anything(drill: Drill, tmp_path: Path) -> None:
    result = ofs(drill, "gc", "--grace", "30", options=("--json", "--quiet", "--policy", str(tmp_path / "none")))
    assert (result.exit_code, json.loads(result.stdout)["code"]) == (80, "ENVIRONMENT_UNFIT")


def test_people_are_told_what_goes_and_how_to_have_it_gone(drill: Drill) -> None:
    age(drill, 26)
    page = ofs(drill, "gc", options=("--quiet",)).stdout
    for ref in (one.split("/_delta_log")[0] for one in list_orphans(drill) if "_delta_log" in one or "/files/" in one):
        assert ref in page
    assert page.endswith("nothing was removed; `--apply` removes them\n")
    assert "removed" in ofs(drill, "gc", "--apply", options=("--quiet",)).stdout


def test_a_driver_that_is_at_work_keeps_what_it_wrote() -> None:
    """Its lease says so, however old its files look; one that is gone is replaced, and keeps nothing."""
    with Place() as drill:
        left = orphan(drill, 1)
        age(drill, 1_000)
        assert answer(ofs(drill, "gc", "--apply"))["kept"] == {"running": 3}
        assert left <= list_files(drill)
        require_whole(drill, "the next driver")
        assert answer(ofs(drill, "gc", "--apply"))["removed"]["objects"] > len(left)
        assert not left & list_files(drill)
