"""OFS owns only what it owns: every command and every refusal, in a process that can write nowhere else and is watched."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import cli
from ofs_spark.foundation.codes import CODES
from tests.integration.test_refusals import CASES, FOUR
from tests.spec.tables import ALL, refusals
from tests.spec.tables.windows import world
from tests.worlds.model import RUN, World
from tests.worlds.protected import PROTECTIONS, Watched, is_possible, watch
from tests.worlds.sabotage import SABOTAGES
from tests.worlds.snapshots import SNAPSHOTS, write_online_world
from tests.worlds.writer import Layout, Written, write_world

ROOT = Path(__file__).resolve().parents[2]
BOUNDARIES = ROOT / "contracts" / "ownership_boundaries.json"
RECONCILIATION = "learning/reconciliation/ofs_reconciliation.json"

ALLOWED = {
    f"objects/{RUN}/ofs/": "everything that OFS makes",
    f"objects/{RUN}/{RECONCILIATION}": "the contribution to the platform's reconciliation",
    f"objects/{RUN}/learning/reconciliation/.put-": "that document, before it has its name",
    "state/ledger.sqlite": "the ledger, with the log and the index that SQLite keeps beside it",
    "state/.ledger-": "the ledger, before it has its name",
    "demo/": "the folder that `ofs demo` is given, a world of its own",
    "own/": "the folder that `ofs import` is given, likewise",
    "objects/.spark/": "the log of the JVM that a command starts",
}
"""Where a command may write below a world's folder, and why. Nothing else there changes: not the archive, the labels, the run
facts, the gated outputs, the bus, the intents, the profiles, the wiring, another plane's reconciliation."""
OWNED = {"{platform_run_id}/ofs/", "{platform_run_id}/job_receipts/", f"{{platform_run_id}}/{RECONCILIATION}"}
"""What the contract gives to OFS. Nothing writes job receipts yet: here they are not allowed."""
HOLES = ("state", "demo", "own", f"objects/{RUN}/ofs", f"objects/{RUN}/learning/reconciliation", "objects/.spark")
FOREIGN = (f"{RUN}/learning/reconciliation/mf_reconciliation.json", f"{RUN}/bus/fraud/0.jsonl", f"{RUN}/sr/plan.json")

ORPHAN = f"{RUN}/ofs/files/{'0' * 64}.parquet"
"""An object of OFS that nobody names, as old as can be: what `ofs gc` takes away."""
GATED = refusals.CASES["receipt_passed"].world
GATED_EVENT = str(GATED.segments[0].rows[0].event_id)
WHERE = ("--json", "--quiet", "--wiring", "{wiring}")
Asked = Mapping[str, tuple[tuple[tuple[str, ...], int], ...]]
IMPORTED = ("--events", "{events}", "--id", "id", "--time", "at", "--type-is", "payment")
COMMANDS: Asked = {
    "build": (
        (("{intent}",), 0),
        (("{intent}",), 0),
        (("{another request}",), 0),
        (("{request of another intent}",), 10),
        (("{no intent}",), 10),
        (("/nowhere",), 2),
    ),
    "backfill": (
        (("{intent}", "--supersedes", "{dataset_manifest_id}", "--reason", "LATE", "--request-id", "backfill.0001"), 0),
        (("{intent}", "--supersedes", "dm_nowhere", "--reason", "LATE", "--request-id", "backfill.0002"), 60),
        (("{intent}", "--reason", "LATE"), 2),
    ),
    "show": ((("{manifest_ref}",), 0), (("{dataset_manifest_id}",), 0), (("dm_nowhere",), 60), (("../../x",), 20)),
    "verify": ((("{manifest_ref}",), 0), (("{dataset_manifest_id}",), 0), (("dm_nowhere",), 60)),
    "explain": (
        (("{manifest_ref}", GATED_EVENT), 0),
        (("{manifest_ref}", "nobody"), 2),
        (("dm_nowhere", GATED_EVENT), 60),
    ),
    "datasets": (((), 0), (("--all",), 0)),
    "completion": ((("bash",), 0), (("csh",), 2)),
    "retire": (
        (("{manifest_ref}", "--reason", "labels were loaded twice"), 0),
        (("{dataset_manifest_id}", "--reason", "again"), 0),
        (("{manifest_ref}", "--reason", ""), 10),
        (("{manifest_ref}",), 2),
        (("dm_nowhere", "--reason", "x"), 60),
    ),
    "cancel": ((("{run_key}",), 0), (("nothing",), 60)),
    "ledger list": (((), 0), (("--state", "DONE", "--most", "1"), 0), (("--state", "x"), 2), (("--most", "0"), 2)),
    "ledger show": ((("{run_key}",), 0), (("nothing",), 60)),
    "status": (((), 0), (("--all",), 0), (("{run_key}",), 0), (("nothing",), 60)),
    "gc": (((), 0), ((RUN, "--apply", "--grace", "48"), 0), (("--grace", "1"), 2), (("elsewhere",), 2)),
    "retry-publish": ((("{run_key}",), 60), (("nothing",), 60)),
    "identity": ((("{intent}",), 0), (("{no intent}",), 10)),
    "validate": (
        (("{intent}",), 0),
        (("{no intent}",), 10),
        (("{index}", "--contract", "archive.segment_index.v0"), 0),
        (("{profile}", "--contract", "feature_profile"), 0),
    ),
    "init": ((("{folder}/own/first",), 0), (("{folder}/own/first",), 2), (("{folder}/objects",), 2)),
    "import": (
        (("{folder}/own/world", *IMPORTED), 0),
        (("{folder}/own/world", *IMPORTED), 2),
        (("{folder}/objects", *IMPORTED), 2),
        (("{folder}/own/other", *IMPORTED, "--key", "nowhere"), 2),
        (("{folder}/own/other", *IMPORTED[:-2]), 2),
    ),
    "demo": (
        (("--folder", "{folder}/demo/world", "--payments", "8000"), 0),
        (("--folder", "{folder}/objects", "--payments", "1000"), 80),
    ),
}
"""Command → its arguments and exit status, in this order, in one world."""
REBUILDS: Asked = {
    "parity": (
        (("{match}",), 0),
        (("{match}",), 0),
        (("{mismatch}",), 70),
        (("{match of many}", "--anchors", "{anchors}"), 0),
        (("{build}",), 10),
        (("/nowhere",), 2),
    ),
    "forensic": ((("{forensic}",), 0), (("{forensic of nothing}",), 20), (("{match}",), 10), (("/nowhere",), 2)),
}
"""The same, in the platform's online world."""
JOBS: Asked = {
    "backfill_dataset.py": (
        (("{intent}", "--supersedes", "{dataset_manifest_id}", "--reason", "LATE", *WHERE[2:]), 10),
        (("{intent}", "--reason", "LATE", *WHERE[2:]), 2),
    ),
    "build_dataset.py": ((("{intent}", *WHERE[2:]), 0), (("{no intent}", *WHERE[2:]), 10)),
}
REBUILD_JOBS: Asked = {
    "parity.py": ((("{match}", *WHERE[2:]), 0), (("{mismatch}", *WHERE[2:]), 70), (("{build}", *WHERE[2:]), 10)),
    "forensic.py": ((("{forensic}", *WHERE[2:]), 0), (("{match}", *WHERE[2:]), 10)),
}
Refused = tuple[World, str, Callable[[Written], None] | None]
"""A world, the code that refuses it, and damage done to it first."""
SABOTAGED: dict[str, Refused] = {
    f"damage {name}": (world(FOUR), code, damage) for name, (damage, code) in SABOTAGES.items()
}
REFUSED: dict[str, Refused] = {f"refusal {name}": (made, code, None) for name, (made, code) in CASES.items()}
TABLED: dict[str, Refused] = {f"table {name}": (case.world, case.code, None) for name, case in ALL.items() if case.code}
FIRST = {code: name for name, (_, code, _) in reversed(TABLED.items())}
"""One case of the tables for each code; the nightly run has them all."""
WORLDS = SABOTAGED | REFUSED | TABLED
DAILY = [name for name in WORLDS if name not in TABLED or name in FIRST.values()]
STEPS = [
    f"{entry} {number}"
    for entry, asked in {**COMMANDS, **REBUILDS, **JOBS, **REBUILD_JOBS}.items()
    for number in range(len(asked))
]


def prepare(made: World, folder: Path) -> Written:
    """The world, with what others own beside what OFS owns, and the ledger in a folder of its own."""
    written = write_world(made, folder, Layout(rows_per_segment=2))
    written.wiring.write_text(written.wiring.read_text().replace("ledger.sqlite", "state/ledger.sqlite"))
    for hole in HOLES:
        (folder / hole).mkdir(parents=True, exist_ok=True)
    for ref in FOREIGN:
        (written.root / ref).parent.mkdir(parents=True, exist_ok=True)
        (written.root / ref).write_bytes(b"{}")
    (written.root / ORPHAN).parent.mkdir(parents=True, exist_ok=True)
    (written.root / ORPHAN).write_bytes(b"x")
    os.utime(written.root / ORPHAN, (0, 0))
    return written


def write_intents(written: Written) -> dict[str, str]:
    """More intents beside the world's: another request for its dataset, its request with other contents, none at all."""
    own = json.loads(written.intent.read_bytes())
    basis = {"label_asof_utc": "2026-05-01T00:00:00Z", "resolution_rule": "ls.resolved.v0"}
    changes: dict[str, dict[str, Any]] = {
        "another request": {"request_id": "another.request.1"},
        "request of another intent": {"label_basis": basis},
        "no intent": {"replay_basis": []},
    }
    paths = {name: written.intent.with_name(f"{name}.json") for name in changes}
    for name, path in paths.items():
        path.write_text(json.dumps({**own, **changes[name]}))
    return {name: str(path) for name, path in paths.items()}


def plan_commands(folder: Path) -> list[dict[str, Any]]:
    written = prepare(GATED, folder)
    named = {"wiring": written.wiring, "intent": written.intent, "index": written.index, "profile": written.profile}
    named["events"] = folder / "events.csv"
    named["events"].write_text("id,at\na,2026-02-10T10:00:00Z\nb,never\n")
    places = {**{name: str(path) for name, path in named.items()}, **write_intents(written), "folder": str(folder)}
    online = folder.parent / "online"
    own = prepare_online(online)
    return [*plan_steps(COMMANDS, JOBS, folder, places), *plan_steps(REBUILDS, REBUILD_JOBS, online, own)]


def prepare_online(folder: Path) -> dict[str, str]:
    """The platform's online world, with what others own beside what OFS owns: files to name in arguments."""
    world = write_online_world(folder)
    wiring = folder / "wiring.yaml"
    wiring.write_text(wiring.read_text().replace("ledger.sqlite", "state/ledger.sqlite"))
    for hole in HOLES:
        (folder / hole).mkdir(parents=True, exist_ok=True)
    for ref in FOREIGN:
        (world.objects / ref).parent.mkdir(parents=True, exist_ok=True)
        (world.objects / ref).write_bytes(b"{}")
    matching, missing = f"{RUN}/ofp/0.json", f"{RUN}/ofp/nowhere.json"
    other = world.put_anchor("other", {**SNAPSHOTS[1], "snapshot_hash": "ab" * 32})
    asked = {
        "match": ("parity_rebuild", matching),
        "mismatch": ("parity_rebuild", other),
        "match of many": ("parity_rebuild", None),
        "build": ("dataset_build", None),
        "forensic": ("forensic_rebuild", matching),
        "forensic of nothing": ("forensic_rebuild", missing),
    }
    for number, (name, (kind, anchor)) in enumerate(asked.items()):
        (folder / f"{name}.json").write_bytes(world.ask(kind, f"request.{number:04d}", anchor))
    lines = [json.dumps({"anchor_ref": f"{RUN}/ofp/{number}.json"}) for number in range(3)]
    (folder / "anchors.jsonl").write_text("\n".join(lines))
    named = {name: str(folder / f"{name}.json") for name in asked}
    return {**named, "wiring": str(wiring), "anchors": str(folder / "anchors.jsonl")}


def plan_steps(commands: Asked, jobs: Asked, folder: Path, places: Mapping[str, str]) -> list[dict[str, Any]]:
    """The steps of commands, and of jobs after them."""
    steps = []
    for command, asked in commands.items():
        for number, (arguments, _) in enumerate(asked):
            steps.append(
                plan_step(f"{command} {number}", folder, fill((*WHERE, *command.split(" "), *arguments), places))
            )
    for job, asked in jobs.items():
        for number, (arguments, _) in enumerate(asked):
            step = plan_step(f"{job} {number}", folder, fill(arguments, places))
            steps.append(step | {"job": str(ROOT / "jobs" / job)})
    return steps


def fill(arguments: tuple[str, ...], places: Mapping[str, str]) -> list[str]:
    """The arguments with the places that are known already; what an answer names, the process fills in."""
    for name, path in places.items():
        arguments = tuple(one.replace(f"{{{name}}}", path) for one in arguments)
    return list(arguments)


def plan_refusal(name: str, folder: Path) -> dict[str, Any]:
    made, _, damage = WORLDS[name]
    written = prepare(made, folder)
    if damage is not None:
        damage(written)
    return plan_step(name, folder, fill((*WHERE, "build", str(written.intent)), {"wiring": str(written.wiring)}))


def plan_step(name: str, folder: Path, arguments: list[str]) -> dict[str, Any]:
    return {"name": name, "folder": str(folder), "holes": list_allowed(folder), "arguments": arguments}


def list_allowed(folder: Path) -> list[str]:
    return [f"{folder}/{prefix}" for prefix in ALLOWED]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    base = tmp_path_factory.mktemp("commands")
    return watch(plan_commands(base / "world"), base, HOLES)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    base = tmp_path_factory.mktemp("refused")
    return watch([plan_refusal(name, base / str(number)) for number, name in enumerate(DAILY)], base, HOLES)


def assert_kept(watched: Watched, name: str, status: int, code: str | None = None) -> None:
    """The step ended as it must, so that it did its work, and wrote only where OFS owns."""
    report = watched.reports[name]
    assert (report["exit"], report["answer"].get("code", code)) == (status, code or report["answer"].get("code")), (
        report
    )
    assert watched.find_trespass(name) == []


@pytest.mark.parametrize("name", STEPS)
def test_a_command_writes_only_what_ofs_owns(name: str, commands: Watched) -> None:
    entry, number = name.rsplit(" ", 1)
    _, status = {**COMMANDS, **REBUILDS, **JOBS, **REBUILD_JOBS}[entry][int(number)]
    assert_kept(commands, name, status)
    assert commands.reports[name]["reached"] == []


@pytest.mark.parametrize("name", DAILY)
def test_a_refusal_writes_only_what_ofs_owns(name: str, refused: Watched) -> None:
    code = WORLDS[name][1]
    assert_kept(refused, name, CODES[code].exit_status, code)
    assert refused.reports[name]["reached"] == []


def test_the_watch_hears_what_a_build_writes(commands: Watched) -> None:
    report = commands.reports["build 0"]
    for part in ("/ofs/manifests/", f"/{RECONCILIATION}", "/ofs/datasets/", "/state/ledger.sqlite", "/ofs/governance/"):
        assert any(part in path for _, path in report["written"]), part


def test_the_watch_hears_what_a_gc_removes(commands: Watched) -> None:
    """The orphan alone: all else is young or named."""
    removed = [path for event, path in commands.reports["gc 1"]["written"] if event == "os.remove"]
    assert [path.endswith(ORPHAN) for path in removed if "/.put-" not in path] == [True]
    assert not [path for event, path in commands.reports["gc 0"]["written"] if event == "os.remove"]


def list_commands(parser: argparse.ArgumentParser) -> list[str]:
    """Every command, one below another with its name before it."""
    (choices,) = (one.choices for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return [
        " ".join([name, *below])
        for name, made in choices.items()
        for below in ([[one] for one in list_commands(made)] if made._subparsers else [[]])
    ]


def test_every_command_and_job_has_its_entry() -> None:
    assert {*COMMANDS, *REBUILDS} == set(list_commands(cli.build_parser()))
    assert {*JOBS, *REBUILD_JOBS} == {path.name for path in (ROOT / "jobs").glob("*.py")}


def test_what_is_allowed_is_what_the_contract_gives_to_ofs() -> None:
    given = json.loads(BOUNDARIES.read_bytes())["boundaries"]
    assert {one["prefix"] for one in given if one["owner"] == "ofs"} == OWNED


ROGUE = """
import os, shutil, sqlite3, sys, tempfile
folder = sys.argv[1]
def attempt(act):
    try:
        act()
    except (OSError, sqlite3.Error) as refused:
        print(type(refused).__name__, file=sys.stderr)
attempt(lambda: open(folder + "/segment_index.json", "a").close())
attempt(lambda: os.chmod(folder + "/segment_index.json", 0o600))
attempt(lambda: os.mkdir(folder + "/made"))
attempt(lambda: os.rename(folder + "/segment_index.json", folder + "/moved"))
attempt(lambda: tempfile.mkstemp(dir=folder))
attempt(lambda: sqlite3.connect(folder + "/rogue.sqlite").execute("CREATE TABLE t (x)"))
attempt(lambda: shutil.rmtree(folder + "/segments"))
sys.exit(0)
"""


@pytest.mark.parametrize("protection", ["", *PROTECTIONS])
def test_a_write_where_another_owns_fails_and_is_seen(protection: str, tmp_path: Path) -> None:
    """Without protection the change itself is seen too. Who owns a file may change its rights, whatever they are."""
    if protection and not is_possible(protection, tmp_path / "trial"):
        pytest.skip(f"NOT SHOWN: {protection} cannot be had on this machine")
    folder, job = tmp_path / "world", tmp_path / "rogue.py"
    written = prepare(world(FOUR), folder)
    job.write_text(ROGUE)
    before = written.index.read_bytes()
    step = plan_step("rogue", folder, [str(written.index.parent)]) | {"job": str(job)}
    watched = watch([step], tmp_path, HOLES, protection=protection)
    found, archive = watched.find_trespass("rogue"), f"{written.index.parent}"
    for event in ("open", "os.chmod", "os.mkdir", "os.rename", "tempfile.mkstemp", "sqlite3.connect", "shutil.rmtree"):
        assert any(one.startswith(f"{event} {archive}/") for one in found), (event, found)
    changed = [one for one in found if one.startswith("changed ")]
    assert changed or protection == "read-only mount"
    assert changed in ([], [f"changed {written.index}"]) or not protection
    assert (written.index.exists() and written.index.read_bytes() == before) == bool(protection)


@pytest.mark.nightly
def test_every_refusal_writes_only_what_ofs_owns(tmp_path: Path) -> None:
    watched = watch([plan_refusal(name, tmp_path / str(number)) for number, name in enumerate(TABLED)], tmp_path, HOLES)
    for name in TABLED:
        code = WORLDS[name][1]
        assert_kept(watched, name, CODES[code].exit_status, code)


@pytest.mark.nightly
@pytest.mark.spark
def test_every_command_writes_only_what_ofs_owns_on_spark(tmp_path: Path) -> None:
    """The JVM and its workers are not heard, but can write nowhere else either, and the world is compared."""
    watched = watch(plan_commands(tmp_path / "world"), tmp_path, HOLES, engine="spark")
    for entry, asked in {**COMMANDS, **REBUILDS, **JOBS, **REBUILD_JOBS}.items():
        for number, (_, status) in enumerate(asked):
            assert_kept(watched, f"{entry} {number}", status)
