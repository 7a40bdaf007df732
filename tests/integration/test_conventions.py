"""What every command line is expected to have: options on either side, a version, a log, completion."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from ofs_spark.cli import build_parser
from tests.acceptance.test_ownership import list_commands
from tests.worlds.command import run_command
from tests.worlds.published import Shelf, make_shelf

DATASET = "dm_" + "1" * 32
RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) (ofs_spark\.[a-z]+) .+")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = make_shelf(tmp_path / "a plane")
    made.publish(1, DATASET)
    return made


def test_options_of_every_command_stand_before_or_after_it(shelf: Shelf) -> None:
    wiring = ("--wiring", str(shelf.wiring))
    whole = run_command(*wiring, "--json", "--quiet", "status")
    assert json.loads(whole.stdout)["runs"]
    for arguments in (
        ("status", *wiring, "--json", "--quiet"),
        (*wiring, "status", "--json", "--quiet"),
        ("--json", "--quiet", "status", *wiring),
        ("--quiet", *wiring, "--json", "status", "--json"),
    ):
        assert run_command(*arguments) == whole
    below = run_command("ledger", "list", *wiring, "--json", "--quiet")
    assert run_command("ledger", "--json", *wiring, "list", "--quiet") == below
    assert json.loads(below.stdout)["runs"]


def test_what_was_said_before_a_command_is_kept_behind_it(shelf: Shelf, tmp_path: Path) -> None:
    policy = tmp_path / "none"
    refused = run_command("--wiring", str(shelf.wiring), "--policy", str(policy), "--json", "status")
    assert (refused.exit_code, str(policy) in refused.stdout) == (80, True)
    assert run_command("--wiring", str(shelf.wiring), "status", "--policy", str(policy), "--json").exit_code == 80


def test_the_version_is_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFS_CODE_RELEASE", "git-0123")
    told = run_command("--version")
    assert (told.exit_code, told.stdout) == (0, f"ofs {version('ofs-spark')}\n")
    assert json.loads(run_command("--version", "--json").stdout) == {
        "version": version("ofs-spark"),
        "code_release": "git-0123",
    }


def test_without_a_command_nothing_is_guessed() -> None:
    told = run_command("--json", "--quiet")
    assert (told.exit_code, json.loads(told.stdout)["message"]) == (2, "a command is required")
    assert run_command("ledger").exit_code == 2


@pytest.mark.parametrize("level", ["error", "warning", "info", "debug"])
def test_a_log_level_logs_what_it_says(level: str, shelf: Shelf) -> None:
    found = run_command("--wiring", str(shelf.wiring), "datasets", "--log-level", level)
    refused = run_command("--wiring", str(shelf.wiring), "show", "dm_222222", "--json", "--log-level", level)
    for told in (found, refused):
        assert all(RECORD.fullmatch(line) for line in told.stderr.splitlines()), told.stderr
    levels = {RECORD.fullmatch(line)[1] for line in (found.stderr + refused.stderr).splitlines()}  # type: ignore[index]
    order = ["ERROR", "WARNING", "INFO", "DEBUG"]
    assert levels <= set(order[: order.index(level.upper()) + 1])
    assert ("ERROR ofs_spark.steps RUN_NOT_FOUND: " in refused.stderr) is True
    assert ("INFO ofs_spark.steps wiring: " in found.stderr) is (level in ("info", "debug"))
    for call in ("manifest.read", "ledger.list", "link.read"):
        assert (f"DEBUG ofs_spark.calls {call} " in found.stderr) is (level == "debug")
    assert found.stdout == run_command("--wiring", str(shelf.wiring), "datasets", "--quiet").stdout


def test_a_note_is_a_warning_and_no_level_logs_nothing(shelf: Shelf) -> None:
    shelf.wiring.write_text(shelf.wiring.read_text().replace("objects:", "objects:\n  region: eu-west-1", 1))
    told = run_command("--wiring", str(shelf.wiring), "status", "--log-level", "warning")
    assert [RECORD.fullmatch(line)[1] for line in told.stderr.splitlines()] == ["WARNING"]  # type: ignore[index]
    assert "the wiring states objects.region" in told.stderr
    assert run_command("--wiring", str(shelf.wiring), "status", "--quiet").stderr == ""
    assert run_command("status", "--log-level", "loud").exit_code == 2


def test_who_stopped_reading_the_log_ends_no_command(shelf: Shelf, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ofs_spark.cli", "datasets", "--json", "--log-level", "debug", "--wiring"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, str(shelf.wiring)], stdout=subprocess.PIPE, stderr=full, check=False, cwd=tmp_path
        )
    assert (done.returncode, json.loads(done.stdout)["total"]) == (0, 1)


def test_a_log_line_holds_no_control_character(shelf: Shelf) -> None:
    told = run_command("--wiring", str(shelf.wiring), "show", "dm_\x1b[31m\n", "--json", "--log-level", "error")
    assert {char for char in told.stderr if not char.isprintable()} == {"\n"}
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_knows_every_command_and_option(shell: str, tmp_path: Path) -> None:
    script = run_command("completion", shell).stdout
    assert json.loads(run_command("completion", shell, "--json").stdout)["script"].strip() == script.strip()
    for command in list_commands(build_parser()):
        assert command.split()[-1] in script, command
    for option in ("log-level", "wiring", "supersedes", "grace"):
        assert option in script
    program = shutil.which(shell)
    if program is None:
        return  # its words were looked at; nothing here reads its language
    file = tmp_path / "completion"
    file.write_text(script)
    assert subprocess.run([program, "-n", str(file)], capture_output=True, check=False).returncode == 0


def complete_in_bash(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    line = " ".join(words)
    asked = f"""
source {script}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}
"$(complete -p ofs | sed -E 's/.*-F ([^ ]+).*/\\1/')" ofs '{words[-1]}' '{words[-2]}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=False)
    return [word.strip() for word in done.stdout.splitlines()]


def test_bash_completes_commands_options_and_choices(tmp_path: Path) -> None:
    script = tmp_path / "ofs.bash"
    script.write_text(run_command("completion", "bash").stdout)
    assert {"datasets", "demo"} == set(complete_in_bash(script, "ofs", "d"))
    assert complete_in_bash(script, "ofs", "status", "--wir") == ["--wiring"]
    assert set(complete_in_bash(script, "ofs", "--log-level", "")) >= {"debug", "info"}
