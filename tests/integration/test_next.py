"""What a refusal tells people to run next can be run as it is printed, whatever was refused."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.cli import submit_build
from ofs_spark.io.context import open_context
from ofs_spark.io.local_engine import LocalEngine
from tests.integration.test_command import DAMAGES
from tests.integration.test_refusals import CASES, FOUR
from tests.spec.tables.windows import world
from tests.unit.permissions import unprivileged
from tests.worlds.command import run_command
from tests.worlds.running import build
from tests.worlds.sabotage import SABOTAGES
from tests.worlds.writer import Layout, Written, write_world


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM: what a refused command starts is no matter here."""
    monkeypatch.setattr("ofs_spark.io.context._Spark.engine", lambda _self: LocalEngine())


def refuse(written: Written) -> dict[str, Any]:
    """The refusal of the world's intent, as `ofs --json build` prints it."""
    result = run_command("--wiring", str(written.wiring), "--json", "--quiet", "build", str(written.intent))
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert told["outcome"] == "REFUSED"
    return told


def run_next(told: dict[str, Any]) -> None:
    """Runs `next` as a shell would: the command exists, it is used rightly, and the files it names are there."""
    program, *arguments = shlex.split(told["next"])
    assert program == "ofs"
    result = run_command(*arguments)
    assert result.exit_code != 2, result.stderr
    assert "No such file" not in result.stderr
    assert "Traceback" not in result.stderr


def write_case(name: str, folder: Path) -> Written:
    if name in CASES:
        return write_world(CASES[name][0], folder)
    written = write_world(world(FOUR), folder, Layout(rows_per_segment=2))
    (SABOTAGES.get(name) or DAMAGES[name])[0](written)
    return written


@pytest.mark.parametrize("name", [*CASES, *SABOTAGES, *DAMAGES])
def test_the_next_command_runs_as_printed(name: str, tmp_path: Path) -> None:
    written = write_case(name, tmp_path / "a world")
    told = refuse(written)
    assert told["do"]["text"]
    assert shlex.quote(str(written.wiring)) in told["next"]
    run_next(told)


def test_a_changed_intent_and_a_removed_manifest_name_the_intent(tmp_path: Path) -> None:
    written = write_world(world(FOUR), tmp_path)
    published = build(written).published
    document = json.loads(written.intent.read_bytes())
    written.intent.write_text(json.dumps({**document, "non_training_allowed": False}))
    told = refuse(written)
    assert (told["code"], told["do"]["file"]) == ("REQUEST_ID_PAYLOAD_MISMATCH", str(written.intent))
    run_next(told)
    written.intent.write_text(json.dumps(document))
    (written.root / published["manifest_ref"]).unlink()
    told = refuse(written)
    assert told["code"] == "MANIFEST_ABSENT"
    run_next(told)


def test_a_profile_that_does_not_compile_is_named_by_its_file(tmp_path: Path) -> None:
    written = write_world(world(FOUR).with_group(features=[{"name": "a", "aggregate": "median"}]), tmp_path)
    told = refuse(written)
    expected = f"ofs --wiring {written.wiring} validate {written.profile} --contract feature_profile"
    assert told["next"] == expected
    run_next(told)


def test_a_policy_folder_that_was_given_is_given_again(tmp_path: Path) -> None:
    written = write_world(world(FOUR), tmp_path)
    result = run_command(
        "--wiring", str(written.wiring), "--policy", str(tmp_path / "no"), "--json", "build", str(written.intent)
    )
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["code"] == "ENVIRONMENT_UNFIT"
    assert f"--policy {tmp_path / 'no'}" in told["next"]
    run_next(told)


def test_a_submitted_job_tells_a_command_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """spark-submit gives the job no command; the line to run again has one."""
    written = write_world(world(FOUR).with_intent(run_facts_ref="../elsewhere.json"), tmp_path)
    status = submit_build([str(written.intent), "--wiring", str(written.wiring)])
    refusal = json.loads(capsys.readouterr().out)
    assert (refusal["code"], status) == ("REF_SCOPE_INVALID", 20)
    assert shlex.split(refusal["next"]) == ["ofs", "--wiring", str(written.wiring), "build", str(written.intent)]


def test_a_file_that_may_not_be_looked_at_is_in_no_command(tmp_path: Path) -> None:
    written = write_world(world(FOUR), tmp_path)
    with open_context(written.wiring, None, lambda _room, _doing: None, LocalEngine) as context:
        assert context.locate_file("profiles", written.profile.name) == str(written.profile)
        written.profile.parent.chmod(0)
        with unprivileged():
            found = context.locate_file("profiles", written.profile.name)
        written.profile.parent.chmod(0o755)
    assert found == ""
