"""A whole build whose ledger is in PostgreSQL, through the command line; drivers that die; clocks that are off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.clock import FixedClock, SystemClock, parse_instant, to_micros
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.wiring import read_wiring
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import Limits
from ofs_spark.io import adapters
from ofs_spark.io.adapters import Adapter, load_wiring
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.ledger.postgres import PostgresLedger
from ofs_spark.io.objects.local import LocalObjects
from tests.integration.test_cancel import ask, call, driven, list_reasons, place_ledger
from tests.servers.cut import Cut, Cutter
from tests.servers.postgres import PASSWORD, Postgres
from tests.spec.tables.windows import world
from tests.worlds.command import run_command
from tests.worlds.running import build
from tests.worlds.writer import Written, write_world

ROOT = Path(__file__).resolve().parents[2]
LOADED = (
    "import sys; from ofs_spark.cli import main; status = main(sys.argv[1:]); print(*sys.modules); sys.exit(status)"
)


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())


@pytest.fixture
def written(postgres: Postgres, postgres_schema: str, tmp_path: Path) -> Written:
    made = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "world")
    place_ledger(made, postgres.dsn(postgres_schema))
    return made


def test_a_build_and_what_is_told_of_it(written: Written) -> None:
    told = ask(written, "status")
    assert (told["runs"], told["total"], told["where"]["chosen_by"]) == ([], 0, "flag")
    answer = ask(written, "build", str(written.intent))
    assert answer["outcome"] == "COMMITTED"
    assert ask(written, "build", str(written.intent))["content_digest"] == answer["content_digest"]
    (run,) = ask(written, "status")["runs"]
    assert (run["state"], run["outcome"], run["run_key"]) == ("DONE", "COMMITTED", answer["run_key"])
    shown = ask(written, "ledger", "show", run["run_key"][:8])
    assert [event["reason"] for event in shown["events"]] == ["REQUESTED", "STARTED", "COMMITTED"]
    assert [shown["started_at_utc"], shown["ended_at_utc"]] == [event["at_utc"] for event in shown["events"][1:]]
    assert ask(written, "verify", answer["dataset_manifest_id"])["verified"] is True
    assert run["run_key"] in run_command("--wiring", str(written.wiring), "status").stdout
    assert not (written.wiring.parent / "ledger.sqlite").exists()


def test_a_killed_driver_is_replaced_at_once_and_a_living_one_is_not(written: Written, tmp_path: Path) -> None:
    with driven(written, 120, tmp_path / "policy") as driver:
        living = build(written)
        assert living.code == "LEASE_LOST"
        assert "once it is gone, its own machine takes the run over at once" in str(living.refusal)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert build(written).published["outcome"] == "COMMITTED"
    assert list_reasons(written) == ["REQUESTED", "STARTED", "TAKEN_OVER", "COMMITTED"]


def test_both_ledgers_come_to_one_dataset(written: Written, tmp_path: Path) -> None:
    other = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "other")
    assert build(written).published["content_digest"] == build(other).published["content_digest"]


def test_a_driver_whose_clock_is_hours_off_keeps_and_respects_leases(postgres: Postgres, postgres_schema: str) -> None:
    ledger = PostgresLedger.at(postgres.dsn(postgres_schema))
    now = SystemClock().now()
    early, late = FixedClock(now - timedelta(hours=5)), FixedClock(now + timedelta(hours=5))
    one, two = (RunControl(ledger, clock, name, Limits(lease_s=60)) for clock, name in ((early, "one"), (late, "two")))
    held = one.claim(one.open("ab" * 16, "request.0001", "cd" * 32))
    assert abs((held.lease_until or 0) - to_micros(now) - 60e6) < 30e6, "given by the server's clock"
    with pytest.raises(Refusal, match="LEASE_LOST") as caught:
        two.claim(two.find(held.run_key))
    assert parse_instant(caught.value.details["lease_until"]) == held.lease_until
    assert not two.is_abandoned(held)
    assert all(abs(event.at - to_micros(now)) < 60e6 for event in ledger.list_events(held.run_key))
    ledger.extend(held.run_key, held.token, to_micros(now) - 1)
    assert one.is_abandoned(one.find(held.run_key)), "run out by the server's clock, though its own says otherwise"
    assert two.claim(two.find(held.run_key)).token == held.token + 1


def test_a_ledger_that_is_lost_in_a_build_hides_no_dataset(
    written: Written, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever message it is lost at, later ones included: the build is refused, or its dataset stands and is told."""
    monkeypatch.setattr("ofs_spark.io.context.is_gone", lambda _driver: True)  # as a command is that has ended
    address = read_wiring(written.wiring).ledger_dsn
    with Cutter(postgres.port) as network:
        place_ledger(written, address.replace(f":{postgres.port}/", f":{network.port}/"))
        for number in range(8, 130, 20):
            network.arm(Cut("client", number, "before", lasting=True))
            result = call(written, "build", str(written.intent))
            network.arm(None)
            told = json.loads(result.stdout.splitlines()[-1])
            stands = list(written.root.glob("*/ofs/manifests/*.json"))
            assert (result.exit_code, told.get("code", "none")) in {(80, "ENVIRONMENT_UNFIT"), (0, "none")}, told
            assert (told["outcome"] in ("COMMITTED", "ALREADY_PUBLISHED")) == (result.exit_code == 0)
            assert bool(stands) or result.exit_code
            assert PASSWORD not in result.stdout + result.stderr
    place_ledger(written, address)
    assert build(written).published["rows"] == 1


@pytest.mark.parametrize("ledger", ["sqlite", "postgresql"])
def test_a_question_loads_psycopg_for_such_a_ledger_alone(ledger: str, written: Written, tmp_path: Path) -> None:
    if ledger == "sqlite":
        written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "other")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOADED, "--wiring", str(written.wiring), "--json", "status"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert ("psycopg" in loaded) == (ledger == "postgresql")
    assert loaded & {"pyarrow", "numpy", "numba", "pyspark", "pydantic"} == set()


def test_a_prod_wiring_takes_it_beside_an_object_store(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, Any] = {**adapters.OBJECT_STORES, "s3": Adapter(LocalObjects.at)}
    monkeypatch.setattr(adapters, "OBJECT_STORES", served)
    stated = read_wiring(written.wiring)
    prod = replace(stated, kind="prod", objects_root="s3://bucket/p", profiles_root="s3://bucket/q")
    wiring = adapters.serve_wiring(prod)
    assert wiring.ledger_dsn == stated.ledger_dsn


def test_a_password_in_the_file_is_refused_and_a_variable_is_taken(
    written: Written, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = read_wiring(written.wiring).ledger_dsn
    place_ledger(written, address.replace("ofs@", "ofs:literal@"))
    with pytest.raises(Refusal, match="it may hold a password") as caught:
        load_wiring(written.wiring)
    assert "literal" not in str(caught.value.to_document())
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("LEDGER_PASSWORD", PASSWORD.replace(" ", "%20"))
    place_ledger(written, address.replace("ofs@", "ofs:${LEDGER_PASSWORD}@"))
    assert ask(written, "status")["total"] == 0
    monkeypatch.setenv("LEDGER_PASSWORD", "of another server")
    result = call(written, "status")
    assert (result.exit_code, "of another server" in result.stdout + result.stderr) == (80, False)
    secrets = written.wiring.with_name("pgpass")
    secrets.write_text(f"127.0.0.1:{postgres.port}:*:*:{PASSWORD}\n")
    secrets.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(secrets))
    place_ledger(written, address)
    assert ask(written, "status")["total"] == 0
