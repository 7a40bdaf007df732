"""`ofs cancel`: a run ends in order by its own driver, or at once where that is gone; what stands is never undone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark import pipeline
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.ends import Stopped
from ofs_spark.foundation.errors import Refusal
from ofs_spark.intent.run import CANCELLED_BY_RUN_CONTROL
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.watched import watch
from tests.invariants.check import find_violations
from tests.invariants.history import History
from tests.servers.postgres import Postgres
from tests.spec.tables.windows import world
from tests.worlds.command import Result, run_command
from tests.worlds.running import build, policy_with
from tests.worlds.writer import Written, write_world

ROOT = Path(__file__).resolve().parents[2]
HANGING = """
import sys, time
from ofs_spark import cli
from ofs_spark.io.engines import Engines

def engine(*_asked):
    print("holds the run", file=sys.stderr, flush=True)
    time.sleep(600)

Engines.find = engine
sys.exit(cli.main(sys.argv[1:]))
"""
CHAIN = ["REQUESTED", "STARTED", "CANCEL_REQUESTED", "CANCELLED"]


@pytest.fixture(params=["sqlite", "postgresql"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Written:
    """A world, its ledger in a file or on a server."""
    made = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "world")
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        place_ledger(made, server.dsn(request.getfixturevalue("postgres_schema")))
    return made


def place_ledger(written: Written, dsn: str) -> None:
    wiring = yaml.safe_load(written.wiring.read_text())
    written.wiring.write_text(yaml.safe_dump({**wiring, "ledger": {"dsn": dsn}}))


def call(written: Written, *arguments: str) -> Result:
    return run_command("--wiring", str(written.wiring), "--json", "--quiet", *arguments)


def ask(written: Written, *arguments: str) -> dict[str, Any]:
    result = call(written, *arguments)
    assert result.exit_code == 0, result
    return dict(json.loads(result.stdout.splitlines()[-1]))


def find_run(written: Written) -> dict[str, Any]:
    (run,) = ask(written, "ledger", "list")["runs"]
    return ask(written, "ledger", "show", run["run_key"])


def list_reasons(written: Written) -> list[str]:
    return [event["reason"] for event in find_run(written)["events"]]


def read_receipt(written: Written, run_key: str) -> dict[str, Any]:
    (found,) = written.root.glob(f"*/ofs/run_receipts/{run_key}.json")
    return dict(json.loads(found.read_bytes()))


@contextmanager
def driven(written: Written, lease_s: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A build in a process of its own that holds its run."""
    policy = policy_with(folder, {"launcher": {"lease_seconds": lease_s}})
    command = [sys.executable, "-c", HANGING, "--wiring", str(written.wiring), "--policy", str(policy), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "build", str(written.intent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as driver:
        assert driver.stderr is not None
        try:
            assert any(line == "holds the run\n" for line in driver.stderr)
            yield driver
        finally:
            driver.kill()


def test_a_driver_ends_itself_at_its_next_heartbeat(written: Written, tmp_path: Path) -> None:
    with driven(written, 10, tmp_path / "policy") as driver:
        run = find_run(written)
        told = ask(written, "cancel", run["run_key"][:6])
        assert (told["outcome"], told["state"], told["run_key"]) == ("CANCEL_REQUESTED", "RUNNING", run["run_key"])
        assert told["lease_until"] >= run["lease_until"]
        assert told["next"].endswith(f"status {run['run_key']}")
        assert ask(written, "cancel", run["run_key"])["outcome"] == "CANCEL_REQUESTED", "asked once more, told once"
        out, _ = driver.communicate(timeout=60)
    answer = json.loads(out)
    assert (driver.returncode, answer["exit_status"], answer["reason"]) == (143, 143, "CANCELLED")
    assert answer["message"] == CANCELLED_BY_RUN_CONTROL
    assert list_reasons(written) == CHAIN
    receipt = read_receipt(written, run["run_key"])
    assert (receipt["outcome"], receipt["exit_status"], len(receipt["attempts"])) == ("FAILED", 143, 1)
    assert ask(written, "cancel", run["run_key"])["outcome"] == "NOT_RUNNING"
    answer = build(written).published
    assert answer["outcome"] == "COMMITTED"
    assert find_run(written)["attempts"] == 2


def test_a_driver_that_is_gone_is_cancelled_at_once(written: Written, tmp_path: Path) -> None:
    with driven(written, 120, tmp_path / "policy") as driver:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    run_key = find_run(written)["run_key"]
    told = ask(written, "cancel", run_key)
    assert (told["outcome"], told["state"], told["lease_until"]) == ("CANCELLED", "FAILED", None)
    assert list_reasons(written) == ["REQUESTED", "STARTED", "SETTLED", "CANCELLED"]
    receipt = read_receipt(written, run_key)
    assert (receipt["outcome"], receipt["exit_status"]) == ("FAILED", 143)
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["ABANDONED", "FAILED"]
    assert build(written).published["outcome"] == "COMMITTED"


@dataclass(frozen=True)
class Meddler:
    """Acts before or after an effect of the driver; what is sent to workers does nothing."""

    effect: str
    act: Callable[[], object]
    after: bool

    def __call__(self, effect: str, call: Callable[[], Any], /) -> Any:
        if effect == self.effect and not self.after:
            self.act()
        answer = call()
        if effect == self.effect and self.after:
            self.act()
        return answer

    def __reduce__(self) -> Any:
        return Meddler, ("", bool, False)


def drive_until(
    written: Written, effect: str, act: Callable[[], object], *, after: bool = False
) -> BaseException | None:
    """A build in this process with `act` called before or after an effect: how it ended."""
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        try:
            pipeline.build_dataset(written.intent.read_bytes(), watch(context, Meddler(effect, act, after)))
        except (Refusal, Stopped) as ended:
            return ended
    return None


def test_the_fence_before_the_commit_sees_it_too(written: Written) -> None:
    ended = drive_until(written, "label_receipt.put", lambda: ask(written, "cancel", find_run(written)["run_key"]))
    assert isinstance(ended, Stopped)
    assert list(written.root.glob("*/ofs/manifests/*")) == []
    assert list_reasons(written) == CHAIN
    assert build(written).published["outcome"] == "COMMITTED"


def test_a_cancel_after_the_manifest_stands_changes_nothing(written: Written) -> None:
    told: list[dict[str, Any]] = []

    def cancel() -> None:
        told.append(ask(written, "cancel", find_run(written)["run_key"]))

    assert drive_until(written, "manifest.put", cancel, after=True) is None
    (answer,) = told
    assert (answer["outcome"], answer["state"]) == ("ALREADY_PUBLISHED", "RUNNING")
    assert (written.root / answer["manifest_ref"]).exists()
    assert list_reasons(written) == ["REQUESTED", "STARTED", "COMMITTED"]
    again = ask(written, "cancel", answer["run_key"])
    assert (again["outcome"], again["state"], again["manifest_ref"]) == (
        "ALREADY_PUBLISHED",
        "DONE",
        answer["manifest_ref"],
    )
    assert again["next"].endswith(f"show {answer['manifest_ref']}")


def test_a_driver_that_died_after_its_commit_is_not_told_as_cancelled(written: Written) -> None:
    starting = "import sys; from ofs_spark import cli; cli.main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OFS_FAILPOINT": "manifest.put.after=kill"}
    done = subprocess.run(
        [sys.executable, "-c", starting, "--wiring", str(written.wiring), "build", str(written.intent)],
        env=environment,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    told = ask(written, "cancel", find_run(written)["run_key"])
    assert told["outcome"] == "ALREADY_PUBLISHED"
    answer = build(written).published
    assert answer["manifest_ref"] == told["manifest_ref"]
    assert find_run(written)["state"] == "DONE"


def test_what_does_not_run_is_said(written: Written) -> None:
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        run = context.control.open("ab" * 16, "request.0001", "cd" * 32)
    told = ask(written, "cancel", run.run_key)
    assert (told["outcome"], told["state"], told["lease_until"]) == ("NOT_RUNNING", "QUEUED", None)
    assert list_reasons(written) == ["REQUESTED"]
    page = run_command("--wiring", str(written.wiring), "--quiet", "cancel", run.run_key).stdout
    assert "nothing runs: the run is QUEUED" in page


def test_a_prefix_names_a_run_where_no_other_begins_so(written: Written) -> None:
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        for key in ("ab" * 16, "abababcd" * 4):
            context.control.open(key, f"request.{key[:8]}", "cd" * 32)
    for arguments in (("status",), ("ledger", "show"), ("cancel",)):
        assert ask(written, *arguments, "abababab")["run_key"] == "ab" * 16
        several = call(written, *arguments, "ababab")
        told = json.loads(several.stdout.splitlines()[-1])
        assert (several.exit_code, told["reason"]) == (2, "USAGE")
        assert told["message"] == f"2 run keys begin with ababab: {'ab' * 16}, {'abababcd' * 4}"
        assert find_faults(told, "failure_answer") == []
        for text in ("ababa", "ffffff", "abababX", "%"):
            result = call(written, *arguments, text)
            told = json.loads(result.stdout.splitlines()[-1])
            assert (result.exit_code, told["code"]) == (60, "RUN_NOT_FOUND")


def test_a_build_beside_the_main_thread_is_ended_by_the_fence(tmp_path: Path) -> None:
    made = write_world(world("event|time|card\ne0|10:00|1"), tmp_path)
    ended: list[BaseException | None] = []

    def cancel() -> None:
        with open_context(made.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
            (run,) = context.control.ledger.list_runs()
            assert pipeline.cancel_run(run.run_key, context)["outcome"] == "CANCEL_REQUESTED"

    driver = threading.Thread(target=lambda: ended.append(drive_until(made, "engine.verify", cancel)))
    driver.start()
    driver.join()
    assert isinstance(ended[0], Stopped)
    assert list_reasons(made) == CHAIN


def test_what_a_cancelled_run_leaves_keeps_every_rule(tmp_path: Path) -> None:
    made, history = write_world(world("event|time|card\ne0|10:00|1"), tmp_path), History()
    ledger = tmp_path / "ledger.sqlite"
    drive_until(made, "label_receipt.put", lambda: ask(made, "cancel", find_run(made)["run_key"]))
    assert find_violations(made.root, ledger, history) == []
    assert build(made).published["outcome"] == "COMMITTED"
    assert find_violations(made.root, ledger, history) == []


def test_the_lists_are_told_by_state_and_number(written: Written) -> None:
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        runs = [context.control.open(f"{n:032x}", f"request.{n:04}", "cd" * 32) for n in range(4)]
        context.control.claim(runs[1])
    listed = ask(written, "ledger", "list", "--most", "2")["runs"]
    assert [run["run_key"] for run in listed] == [runs[2].run_key, runs[3].run_key]
    (running,) = ask(written, "ledger", "list", "--state", "RUNNING")["runs"]
    assert (running["run_key"], running["attempts"], running["token"]) == (runs[1].run_key, 1, 1)
    assert running["started_at_utc"] < running["lease_until"]
    assert running["owner"].endswith(f":{os.getpid()}")
    page = run_command("--wiring", str(written.wiring), "ledger", "list").stdout.splitlines()
    assert page[0].split() == ["RUN", "STATE", "STARTED", "TOOK"]
    assert run_command("--wiring", str(written.wiring), "ledger", "list", "--state", "DONE").stdout == (
        "the ledger holds no such run\n"
    )
    shown = run_command("--wiring", str(written.wiring), "ledger", "show", runs[1].run_key).stdout
    assert "QUEUED → RUNNING  STARTED  claim 1" in shown
