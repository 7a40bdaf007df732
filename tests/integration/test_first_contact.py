"""What a new user waits for: commands that answer load what they need alone, and a build says when it compiles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.spec.tables.windows import world
from tests.worlds.snapshots import RUN, OnlineWorld, changed, write_online_world
from tests.worlds.writer import write_world

ROOT = Path(__file__).resolve().parents[2]
VALID = ROOT / "contracts" / "examples" / "valid"
INTENT = str(VALID / "learning.ofs_build_intent.v0" / "training.json")
MANIFEST = "platform_20260210T130700Z/ofs/manifests/dm_05b3abf2579a5eb66403cd78be557fd8.json"

NEVER = {
    *("pyarrow", "numpy", "numba", "pandas", "pyspark", "deltalake", "boto3", "botocore"),
    *("rich", "typer", "click", "sqlalchemy"),
}
"""None of these commands computes or draws."""
COMMANDS: dict[tuple[str, ...], set[str]] = {
    ("status",): NEVER | {"pydantic", "shtab"},
    ("datasets",): NEVER | {"pydantic", "shtab"},
    ("show", MANIFEST): NEVER | {"pydantic"},
    ("identity", INTENT): NEVER | {"yaml", "sqlite3"},
    ("validate", INTENT): NEVER | {"yaml", "sqlite3"},
}
LOOPS = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in (ROOT / "ofs_spark").rglob("*.py")
    if "\n@compile_loop(" in file.read_text(encoding="utf-8")
}
"""Modules that hold compiled loops."""
LOADED = (
    "import sys; from ofs_spark.cli import main; status = main(sys.argv[1:]); print(*sys.modules); sys.exit(status)"
)


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A new process that has the package under test."""
    known = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=known)


@pytest.fixture
def wiring(tmp_path: Path) -> Path:
    """An object root with one manifest, and an empty ledger."""
    manifest = tmp_path / "objects" / MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_bytes((VALID / "learning.dataset_manifest.v1" / "training_ready.json").read_bytes())
    file = tmp_path / "wiring.yaml"
    places = {
        "objects": {"root": "objects"},
        "ledger": {"dsn": "sqlite:///ledger.sqlite"},
        "profiles": {"root": "profiles"},
        "labels": {"kind": "extract", "ref": "labels.json"},
    }
    file.write_text(yaml.safe_dump(places))
    return file


@pytest.mark.parametrize("options", [("--json",), ()], ids=["programs", "people"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_question_loads_no_more_than_its_answer_needs(
    command: tuple[str, ...], options: tuple[str, ...], wiring: Path
) -> None:
    # An intent's ids and faults need no wiring; with one, `validate` also resolves its pins.
    places = ("--wiring", str(wiring)) if command[0] in ("status", "show", "datasets") else ()
    done = run_python("-c", LOADED, *places, *options, *command)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "ofs_spark.console" in loaded
    assert loaded & COMMANDS[command] == set()


BUILD = """
import sys
from pathlib import Path
from ofs_spark import pipeline
from ofs_spark.io.context import open_context

class Stop:
    def run(self, tasks, steps):
        raise SystemExit

with open_context(Path(sys.argv[1]), None, lambda room, doing: print(doing), Stop) as context:
    getattr(pipeline, sys.argv[3])(Path(sys.argv[2]).read_bytes(), context)
"""
"""A build, or a rebuild, that ends where its engine begins."""


def test_the_first_build_of_a_release_says_that_it_compiles(tmp_path: Path) -> None:
    """Without the compiler's work: what is told depends on the mark that a whole compilation leaves."""
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "world")
    cache = tmp_path / "cache"

    def told(number: int) -> list[str]:
        intent = tmp_path / f"{number}.json"
        document = json.loads(written.intent.read_bytes())
        intent.write_text(json.dumps({**document, "request_id": f"request.number.{number}"}))
        places = (str(written.wiring), str(intent), "build_dataset")
        done = run_python("-c", BUILD, *places, OFS_CACHE_DIR=str(cache), NUMBA_DISABLE_JIT="1")
        assert done.returncode == 0, done.stderr
        return [line for line in done.stdout.splitlines() if "loops" in line]

    compiling = ["compiling loops (first run of this release)"]
    assert told(1) == compiling
    assert told(2) == ["loads Arrow and compiled loops"]
    (mark,) = cache.rglob("complete")
    mark.unlink()  # as after an interruption
    assert told(3) == compiling


@pytest.mark.parametrize("command", ["build", "validate"])
def test_what_the_pins_refuse_costs_no_compilation(command: str, tmp_path: Path) -> None:
    """A mistake is told in seconds on a machine that has compiled nothing yet."""
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "world")
    written.run_facts.unlink()
    line = ("--json", "--wiring", str(written.wiring), command, str(written.intent))
    done = run_python("-c", LOADED, *line, OFS_CACHE_DIR=str(tmp_path / "cache"), NUMBA_DISABLE_JIT="1")
    assert done.returncode == (20 if command == "build" else 10), done.stderr
    assert "loops" not in done.stderr
    assert set(done.stdout.splitlines()[-1].split()) & LOOPS == set()


SNAPSHOT = f"{RUN}/ofp/0.json"
REBUILDS: dict[str, tuple[str, ...]] = {
    "parity": (),
    "forensic": (),
    "parity --anchors": ("--anchors", "anchors.jsonl"),
    "parity --features": ("--features", f"{RUN}/ofp/logged.jsonl"),
}
"""How a rebuild is asked for, and the options of it."""


def ask(online: OnlineWorld, asked: str, anchor: str = SNAPSHOT, **members: object) -> tuple[str, ...]:
    """The arguments of a rebuild's command; its intent and the list of a sweep are written."""
    command = asked.split()[0]
    own = anchor if asked == command else None
    intent, listed = online.folder / "intent.json", online.folder / "anchors.jsonl"
    intent.write_bytes(online.ask(f"{command}_rebuild", "rebuild.0001", own, **members))
    listed.write_text("".join(f'{{"anchor_ref": "{ref}"}}\n' for ref in (f"{RUN}/ofp/1.json", anchor)))
    options = [str(listed) if one == listed.name else one for one in REBUILDS[asked]]
    return ("--json", "--wiring", str(online.folder / "wiring.yaml"), command, str(intent), *options)


@pytest.mark.parametrize("asked", REBUILDS)
def test_what_the_pins_of_a_rebuild_refuse_costs_no_compilation(asked: str, tmp_path: Path) -> None:
    online = write_online_world(tmp_path / "world")
    (online.folder / "profiles" / "core_features.yaml").write_text("a: [1")
    line = ask(online, asked, run_facts_ref=f"{RUN}/sr/nowhere.json")
    done = run_python("-c", LOADED, *line, OFS_CACHE_DIR=str(tmp_path / "cache"), NUMBA_DISABLE_JIT="1")
    assert done.returncode == 20, done.stderr
    answer = json.loads(done.stdout.splitlines()[-2])
    told = {one["code"] for one in answer["details"]["faults"]}
    assert {"FEATURE_PROFILE_UNRESOLVED", "RUN_FACTS_UNAVAILABLE"} <= told
    assert "loops" not in done.stderr
    assert set(done.stdout.splitlines()[-1].split()) & LOOPS == set()


@pytest.mark.parametrize("command", ["parity", "forensic", "validate"])
def test_an_anchor_that_is_none_costs_no_compilation(command: str, tmp_path: Path) -> None:
    online = write_online_world(tmp_path / "world")
    ref = online.put_anchor("own", changed(1, lambda one: one.pop("snapshot_hash")))
    line = ask(online, "parity" if command == "validate" else command, ref)
    line = tuple("validate" if one == "parity" else one for one in line) if command == "validate" else line
    done = run_python("-c", LOADED, *line, OFS_CACHE_DIR=str(tmp_path / "cache"), NUMBA_DISABLE_JIT="1")
    assert done.returncode == (10 if command == "validate" else 20), done.stderr
    assert ref in done.stdout
    assert "snapshot_hash" in done.stdout
    assert set(done.stdout.splitlines()[-1].split()) & LOOPS == set()


@pytest.mark.parametrize(("asked", "function"), [("parity", "check_parity"), ("forensic", "rebuild_forensics")])
def test_a_rebuild_whose_pins_hold_compiles_next(asked: str, function: str, tmp_path: Path) -> None:
    online = write_online_world(tmp_path / "world")
    _, _, wiring, _, intent = ask(online, asked)
    done = run_python(
        "-c", BUILD, wiring, intent, function, OFS_CACHE_DIR=str(tmp_path / "cache"), NUMBA_DISABLE_JIT="1"
    )
    assert done.returncode == 0, done.stderr
    pins, compiling, *_ = done.stdout.splitlines()[1:]
    assert pins.startswith("resolves run facts, profile, archive index and")
    assert compiling == "compiling loops (first run of this release)"


@pytest.mark.parametrize("command", ["parity", "forensic"])
def test_a_rebuild_that_was_made_before_is_answered_without_a_loop(command: str, tmp_path: Path) -> None:
    online = write_online_world(tmp_path / "world")
    line = ask(online, command)
    raw = Path(line[-1]).read_bytes()
    (online.compare if command == "parity" else online.rebuild)(raw)
    done = run_python("-c", LOADED, *line, OFS_CACHE_DIR=str(tmp_path / "cache"), NUMBA_DISABLE_JIT="1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-2])["outcome"] == ("MATCH" if command == "parity" else "REBUILT")
    assert set(done.stdout.splitlines()[-1].split()) & LOOPS == set()


def test_what_is_nothing_to_explain_costs_no_compilation(wiring: Path, tmp_path: Path) -> None:
    line = ("--json", "--wiring", str(wiring), "explain", MANIFEST, "e1", "no_such_column")
    done = run_python("-c", LOADED, *line, OFS_CACHE_DIR=str(tmp_path / "cache"), NUMBA_DISABLE_JIT="1")
    assert done.returncode == 2, done.stderr
    assert "the dataset has no column no_such_column" in done.stdout
    assert set(done.stdout.splitlines()[-1].split()) & LOOPS == set()


def test_a_build_without_a_place_for_compiled_code_says_what_to_do(tmp_path: Path) -> None:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "world")
    places = (str(written.wiring), str(written.intent), "build_dataset")
    done = run_python("-c", BUILD, *places, OFS_CACHE_DIR="/proc/nowhere", NUMBA_DISABLE_JIT="1")
    assert "note: /proc/nowhere/ofs/compiled cannot keep compiled loops: set OFS_CACHE_DIR\n" in done.stdout


def test_the_rooms_of_a_build_hold_every_compiled_loop(tmp_path: Path) -> None:
    """What load_build_rooms imports is all there is to compile; a verification compiles nothing."""
    assert LOOPS
    for module, expected in (("materialize", LOOPS), ("verify", set[str]())):
        program = f"import sys, ofs_spark.workflow.{module}, ofs_spark.io.spark_engine; print(*sys.modules)"
        done = run_python("-c", program, OFS_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT="1")
        assert set(done.stdout.split()) & LOOPS == expected
