"""What a refusal tells people to run next can be run as it is printed, whatever was refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.cli import submit_backfill, submit_build, submit_forensic, submit_parity
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
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
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())


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
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        assert context.locate_file("profiles", written.profile.name) == str(written.profile)
        written.profile.parent.chmod(0)
        with unprivileged():
            found = context.locate_file("profiles", written.profile.name)
        written.profile.parent.chmod(0o755)
    assert found == ""


ROOT = Path(__file__).resolve().parents[2]
PLACEHOLDER = re.compile(r"<[^>]*>|…|\.\.\.|^\[|^(?!PINS_CHANGED$)[A-Z][A-Z_]{2,}$")
"""What stands for something that is not known, and that no shell can run."""
ODD_NAMES = ("it's", 'a "quoted" name', "wörld 世界", "$(touch x)", "a;b & c", "-dash", "tab\there", "back\\slash `x`")


def run_shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line as it is pasted into a shell."""
    known = {name: value for name, value in os.environ.items() if name not in ("OFS_WIRING", "OFS_POLICY")}
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env={**known, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_a_shell_runs_the_next_of_a_module_that_was_called_in_an_odd_folder(by: str, tmp_path: Path) -> None:
    """The program as it was called, the wiring where it was given by flag, every path quoted."""
    folder = tmp_path / 'it\'s a "wörld" $(touch x); -'
    written = write_world(world(FOUR), folder)
    written.index.unlink()
    python, wiring = shlex.quote(sys.executable), written.wiring.name
    options = f"--wiring {wiring}" if by == "flag" else ""
    given = {} if by == "flag" else {"OFS_WIRING": wiring}
    intent = shlex.quote(str(written.intent.relative_to(folder)))
    first = run_shell(f"{python} -m ofs_spark.cli {options} --json --quiet validate {intent}", folder, **given)
    assert first.returncode == 10, first.stderr
    written.profile.write_text("a: [1")
    line = f"{python} -m ofs_spark.cli {options} --json --quiet show nowhere/x.json"
    told = json.loads(run_shell(line, folder, **given).stdout)
    words = shlex.split(told["next"])
    assert words[:3] == [sys.executable, "-m", "ofs_spark.cli"]
    assert ("--wiring" in words) == (by == "flag")
    again = run_shell(told["next"], folder, **given)
    assert json.loads(again.stdout) == told
    assert sorted(path.name for path in folder.iterdir()) == sorted(["objects", "profiles", "wiring.yaml"])


@pytest.mark.parametrize("name", ODD_NAMES)
def test_paths_of_every_kind_are_quoted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_world(world(FOUR).with_group(features=[{"name": "a", "aggregate": "median"}]), tmp_path / "w")
    intent, wiring = tmp_path / f"{name}.json", tmp_path / "w" / f"{name}.yaml"
    intent.write_bytes(written.intent.read_bytes())
    wiring.write_bytes(written.wiring.read_bytes())
    monkeypatch.chdir(tmp_path)
    line = ["--wiring", str(wiring), "--json", "--quiet", "build", f"./{intent.name}"]
    told = json.loads(run_command(*line).stdout)
    assert told["code"] == "FEATURE_PROFILE_UNRESOLVED"
    assert shlex.split(told["next"])[:3] == ["ofs", "--wiring", str(wiring)]
    run_next(told)
    written.profile.write_bytes(write_world(world(FOUR), tmp_path / "good").profile.read_bytes())
    written.index.unlink()
    told = json.loads(run_command("--wiring", str(wiring), "--json", "--quiet", "build", "--", intent.name).stdout)
    assert told["code"] == "ARCHIVE_INDEX_MISSING"
    run_next(told)


NOBODY_RUN = "0" * 32
OTHERS: dict[str, tuple[tuple[str, ...], str]] = {
    "retry-publish of no run": (("retry-publish", NOBODY_RUN), "RUN_NOT_FOUND"),
    "retry-publish of a published run": (("retry-publish", "RUN_KEY"), "RETRY_NOT_PENDING"),
    "backfill of no dataset": (
        ("backfill", "INTENT", "--supersedes", "dm_" + NOBODY_RUN, "--reason", "WHY", "--request-id", "backfill.1"),
        "SUPERSESSION_LINK_INVALID",
    ),
    "backfill of a path": (
        ("backfill", "INTENT", "--supersedes", "a/b.json", "--reason", "WHY", "--request-id", "backfill.1"),
        "SUPERSESSION_LINK_INVALID",
    ),
    "backfill under a used id": (
        ("backfill", "INTENT", "--supersedes", "MANIFEST", "--reason", "WHY"), "REQUEST_ID_PAYLOAD_MISMATCH",
    ),
    "parity of a build": (("parity", "INTENT"), "INTENT_KIND_UNSUPPORTED"),
    "parity without an anchor": (("parity", "PARITY"), "PARITY_ANCHOR_INVALID"),
    "parity of no values": (("parity", "PARITY", "--features", "a/b.parquet"), "PARITY_ANCHOR_INVALID"),
    "forensic without an anchor": (("forensic", "FORENSIC"), "PARITY_ANCHOR_INVALID"),
    "explain of no dataset": (("explain", "dm_" + NOBODY_RUN, "e0"), "RUN_NOT_FOUND"),
    "explain of no manifest": (("explain", "a/b.json", "e0"), "REF_ACCESS_DENIED"),
    "verify of no manifest": (("verify", "a/b.json"), "REF_ACCESS_DENIED"),
    "show above the root": (("show", "../b.json"), "REF_SCOPE_INVALID"),
    "show of no manifest's text": (("show", "INDEX"), "SCHEMA_INVALID"),
    "cancel of no run": (("cancel", NOBODY_RUN), "RUN_NOT_FOUND"),
    "status of no run": (("status", NOBODY_RUN), "RUN_NOT_FOUND"),
    "ledger show of no run": (("ledger", "show", NOBODY_RUN), "RUN_NOT_FOUND"),
}  # fmt: skip


@pytest.fixture
def published(tmp_path: Path) -> Callable[[str], str]:
    """What stands for a word of OTHERS, in a world whose dataset is published."""
    written = write_world(world(FOUR), tmp_path / "a world")
    answer = build(written).published
    document = json.loads(written.intent.read_bytes())
    words = {
        "RUN_KEY": answer["run_key"],
        "MANIFEST": answer["manifest_ref"],
        "INTENT": str(written.intent),
        "INDEX": str(written.index.relative_to(written.root)),
        "WIRING": str(written.wiring),
    }
    for kind in ("parity", "forensic"):
        path = tmp_path / f"{kind}.json"
        asked = {**document, "intent_kind": f"{kind}_rebuild", "request_id": f"{kind}.request"}
        path.write_text(json.dumps(asked))
        words[kind.upper()] = str(path)
    return lambda word: words.get(word, word)


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_commands_refuse_tells_a_command_that_runs(name: str, published: Callable[[str], str]) -> None:
    line, code = OTHERS[name]
    told = json.loads(run_command("--json", "--quiet", "--wiring", published("WIRING"), *map(published, line)).stdout)
    assert (told["outcome"], told["code"]) == ("REFUSED", code), told
    assert told["do"]["text"]
    own = [word for word in shlex.split(told["next"]) if word not in map(published, line)]
    assert not [word for word in own if PLACEHOLDER.search(word)]
    if "file" in told["do"]:
        path, root = Path(told["do"]["file"]), Path(published("WIRING")).parent / "objects"
        assert path.is_file() or (path.is_relative_to(root) and not path.exists()), told["do"]
    if told["next"]:
        run_next(told)


SUBMITTED: dict[str, tuple[Callable[[list[str]], int], tuple[str, ...]]] = {
    "build": (submit_build, ("INTENT",)),
    "backfill": (
        submit_backfill,
        ("INTENT", "--supersedes", "dm_" + NOBODY_RUN, "--reason", "WHY", "--request-id", "backfill.1"),
    ),
    "parity": (submit_parity, ("PARITY",)),
    "forensic": (submit_forensic, ("FORENSIC",)),
}


@pytest.mark.parametrize("name", SUBMITTED)
def test_every_submitted_job_tells_a_command_that_runs(
    name: str, published: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    submit, line = SUBMITTED[name]
    path = Path(published(line[0]))
    path.write_text(
        json.dumps({**json.loads(path.read_bytes()), "request_id": "a.new.one", "run_facts_ref": "../x.json"})
    )
    assert submit([*map(published, line), "--wiring", published("WIRING")]) in (10, 20)
    told = json.loads(capsys.readouterr().out)
    assert told["outcome"] == "REFUSED"
    assert (told["do"]["file"], bool(told["do"]["pointer"])) == (str(path), True)
    assert shlex.split(told["next"])[:3] == ["ofs", "--wiring", published("WIRING")]
    assert shlex.split(told["next"])[3] in (name, "validate")
    run_next(told)


@pytest.mark.parametrize(
    "line", [("parity", "PARITY"), ("parity", "PARITY", "--features", "values.jsonl"), ("forensic", "FORENSIC")]
)
def test_what_is_no_build_is_repeated_as_it_was_asked(line: tuple[str, ...], published: Callable[[str], str]) -> None:
    """A build of such an intent would be refused for its kind."""
    path = Path(published(line[1]))
    document = json.loads(path.read_bytes())
    changed = {"request_id": "a.new.one", "run_facts_ref": f"{document['platform_run_id']}/sr/none.json"}
    anchor = {} if "--features" in line else {"parity_anchor_ref": f"{document['platform_run_id']}/none.json"}
    path.write_text(json.dumps({**document, **changed, **anchor}))
    stated = ["--wiring", published("WIRING"), "--json", line[0], str(path), *line[2:]]
    told = json.loads(run_command(*stated).stdout.splitlines()[-1])
    assert (told["code"], told["next"]) == ("RUN_FACTS_UNAVAILABLE", shlex.join(["ofs", *stated]))
