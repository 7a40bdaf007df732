"""The `ofs` command: exit statuses, one JSON object on the last line, and words for people. No JVM is needed to refuse."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.codes import CODES
from ofs_spark.foundation.contracts import find_faults
from tests.spec.tables.windows import world
from tests.worlds.command import Result, run_command
from tests.worlds.model import canon, label
from tests.worlds.running import build
from tests.worlds.sabotage import SABOTAGES
from tests.worlds.writer import Written, write_world

WORLD = world("event|time|card\ne0|10:00|1\ne1|10:01|1\ne2|10:02|2")


def ofs(written: Written, *arguments: str, options: tuple[str, ...] = ("--json", "--quiet")) -> Result:
    return run_command("--wiring", str(written.wiring), *options, *arguments)


def last(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout.splitlines()[-1]))


def without_cut_off(written: Written) -> None:
    document = json.loads(written.intent.read_bytes())
    del document["label_basis"]["label_asof_utc"]
    written.intent.write_bytes(canon(document))


def published_for_less(written: Written) -> None:
    """A non-training dataset stands; the same one is asked for to train on."""
    document = json.loads(written.intent.read_bytes())
    assert build(written).answer
    training = {"request_id": "world.request.0009", "non_training_allowed": False}
    written.intent.write_bytes(canon({**document, **training}))


DAMAGES: dict[str, tuple[Callable[[Written], None], str, int]] = {
    "intent": (without_cut_off, "LABEL_ASOF_MISSING", 10),
    "pins": (*SABOTAGES["run_facts_missing"], 20),
    "replay": (*SABOTAGES["index_missing"], 30),
    "labels": (*SABOTAGES["extract_missing"], 40),
    "publish": (published_for_less, "TRAINING_NOT_ADMISSIBLE", 60),
    "environment": (lambda w: w.wiring.unlink(), "ENVIRONMENT_UNFIT", 80),
}


@pytest.mark.parametrize("room", DAMAGES)
def test_a_refusal_is_an_exit_status_and_a_document(room: str, tmp_path: Path) -> None:
    damage, code, status = DAMAGES[room]
    written = write_world(WORLD, tmp_path)
    damage(written)
    result = ofs(written, "build", str(written.intent))
    assert result.exit_code == status
    told = last(result)
    assert (told["outcome"], told["code"], told["room"]) == ("REFUSED", code, room)
    assert told["next"]
    assert told["retryable"] is CODES[code].retryable
    assert result.stderr == ""


def test_a_refusal_tells_people_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    written.index.unlink()
    result = ofs(written, "build", str(written.intent), options=())
    assert result.exit_code == 30
    said = result.stdout + result.stderr
    assert "ARCHIVE_INDEX_MISSING" in said
    assert "restore the segment index" in said


def test_a_published_dataset_is_answered_shown_and_listed(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    published = build(written).published
    again = ofs(written, "build", str(written.intent))
    answered, root = last(again), str(written.root)
    assert find_faults(answered, "build_answer") == []
    assert answered.pop("where") == {"wiring": str(written.wiring), "chosen_by": "flag", "object_root": root}
    places = {name: answered.pop(f"{name}_path") for name in ("manifest", "table")}
    assert places == {name: f"{root}/{published[f'{name}_ref']}".rstrip("/") for name in places}
    assert (again.exit_code, answered) == (0, published)
    shown = last(ofs(written, "show", published["manifest_ref"]))
    assert shown == last(ofs(written, "show", published["dataset_manifest_id"]))
    assert shown["materialization"]["content_digest"] == published["content_digest"]
    (run,) = last(ofs(written, "status"))["runs"]
    assert (run["run_key"], run["state"], run["outcome"]) == (published["run_key"], "DONE", "COMMITTED")
    events = last(ofs(written, "status", published["run_key"]))["events"]
    assert [event["after"] for event in events] == ["QUEUED", "RUNNING", "DONE"]


def test_a_refused_run_is_listed_with_its_code(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    written.run_facts.unlink()
    ofs(written, "build", str(written.intent))
    (run,) = last(ofs(written, "status"))["runs"]
    assert (run["state"], run["outcome"]) == ("FAILED", "RUN_FACTS_UNAVAILABLE")


def test_identity_and_validate_need_no_world(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    published = build(written).published
    ids = last(ofs(written, "identity", str(written.intent)))
    assert ids["dataset_manifest_id"] == published["dataset_manifest_id"]
    assert ids["run_key"] == published["run_key"]
    good = ofs(written, "validate", str(written.intent))
    assert (good.exit_code, last(good)["valid"]) == (0, True)
    without_cut_off(written)
    bad = ofs(written, "validate", str(written.intent))
    assert (bad.exit_code, last(bad)["valid"]) == (10, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "nowhere.json"),
        ("build",),
        ("rebuild",),
        ("build", "--fast", "x"),
        ("demo", "--payments", "999"),
        ("demo", "--pay", "1000"),  # no abbreviations
    ],
    ids=str,
)
def test_wrong_use_is_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    wrong = ofs(write_world(WORLD, tmp_path), *arguments)
    assert (wrong.exit_code, wrong.stdout.count("\n")) == (2, 1)
    told = last(wrong)
    assert (told["outcome"], told["reason"], told["exit_status"]) == ("FAILED", "USAGE", 2)
    assert find_faults(told, "failure_answer") == []
    assert "ofs: " in wrong.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("buld", "x"), "invalid choice: 'buld'; did you mean build?"),
        (("ledger", "lst"), "invalid choice: 'lst'; did you mean list?"),
        (("build", "x", "--log-level", "Inf"), "invalid choice: 'Inf'; did you mean info?"),
        (("build", "x", "--wirng=y"), "unrecognized arguments: --wirng=y; did you mean --wiring?"),
        (("backfill", "x", "--suprsedes", "y"), "unrecognized arguments: --suprsedes y; did you mean --supersedes?"),
        (("status", "a", "b"), "unrecognized arguments: b"),
    ],
    ids=str,
)
def test_what_was_meant_is_told(arguments: tuple[str, ...], told: str) -> None:
    assert run_command(*arguments).stderr.splitlines()[-1].endswith(told)


def test_all_commands_are_told_where_none_is_near() -> None:
    (listed,) = run_command("zzz").stderr.splitlines()[-1:]
    assert "did you mean" not in listed
    assert all(f"'{command}'" in listed for command in COMMANDS)


COMMANDS = ("identity", "validate", "build", "backfill", "verify", "show", "status", "retry-publish", "demo")


def test_help_names_every_command_option_and_variable() -> None:
    told = run_command("--help")
    assert told.exit_code == 0
    for word in (*COMMANDS, "--wiring", "--policy", "--json", "--quiet", "OFS_WIRING", "OFS_POLICY"):
        assert word in told.stdout
    assert all(run_command(command, "--help").exit_code == 0 for command in COMMANDS)
    assert (run_command().exit_code, run_command().stdout) == (2, told.stdout)


def test_the_environment_names_wiring_and_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_world(WORLD, tmp_path)
    monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    assert (run_command("--json", "status").exit_code, run_command("status").stdout) == (0, "the ledger holds no run\n")
    monkeypatch.setenv("OFS_POLICY", str(tmp_path / "nowhere"))
    assert run_command("--json", "status").exit_code == 80


def test_wrong_use_reaches_the_terminal_as_text() -> None:
    wrong = run_command("build", "\x1b[31mnowhere")
    assert wrong.stderr == "ofs: cannot read \\x1b[31mnowhere: No such file or directory\n"
    assert "\x1b" not in run_command("\x1b[2Jbuild").stderr


def test_an_unknown_manifest_is_refused(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    unknown = ofs(written, "show", "dm_" + "0" * 32)
    assert (unknown.exit_code, last(unknown)["code"]) == (60, "RUN_NOT_FOUND")
    outside = ofs(written, "show", "../../etc/passwd")
    assert (outside.exit_code, last(outside)["code"]) == (20, "REF_SCOPE_INVALID")


def test_labels_of_a_world_reach_the_answer(tmp_path: Path) -> None:
    labelled = world("event|time|card\ne0|10:00|1\ne1|10:01|1")
    assertion = label(1, "e0", "FRAUD_CONFIRMED", "2026-02-20T00:00:00Z")
    written = write_world(type(labelled)(labelled.segments, labelled.intent, labelled.profile, (assertion,)), tmp_path)
    build(written)
    assert last(ofs(written, "build", str(written.intent)))["coverage"] == {"fraud_disposition": 0.5}


def test_what_status_tells_people_to_run_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_world(WORLD, tmp_path / "a world")
    for number in range(2):
        document = {**json.loads(written.intent.read_bytes()), "request_id": f"request.{number}." + "x" * 100}
        written.intent.write_bytes(canon(document))
        written.run_facts.unlink(missing_ok=True)
        ofs(written, "build", str(written.intent))
    monkeypatch.setattr("ofs_spark.commands.runs.NEWEST", 1)
    told = ofs(written, "status", options=()).stdout
    commands = [line.split(": ", 1)[1] for line in told.splitlines() if "ofs --wiring" in line]
    assert len(commands) == 1  # nothing is cut: there is no terminal
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "ofs"
        assert run_command(*arguments).exit_code == 0
