"""Run control over every ledger: who may change a run, what is recorded, what survives."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ofs_spark.foundation.clock import FixedClock, to_micros
from ofs_spark.foundation.ends import Stopped, WrongArgument
from ofs_spark.foundation.errors import InternalError, Refusal
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.ports import MOST_UNPLACED, Ledger
from ofs_spark.intent.run import CANCEL_REQUESTED, LEGAL, Limits, Published, Run, State, Transition, claim, end
from ofs_spark.io.ledger.memory import MemoryLedger
from ofs_spark.io.ledger.postgres import PostgresLedger
from ofs_spark.io.ledger.sqlite import APPLICATION, MIGRATIONS, SqliteLedger, open_for_writing
from ofs_spark.io.watched import WatchedLedger
from tests.unit.permissions import unprivileged

KEY, REQUEST, INTENT = "k" * 32, "request.0001", "ab" * 32
LIMITS = Limits(attempts=2, publish_retries=2, lease_s=60)


@dataclass
class House:
    """One ledger, one clock, any number of drivers."""

    ledger: Ledger
    clock: FixedClock

    def driver(self, owner: str = "one", limits: Limits = LIMITS) -> RunControl:
        return RunControl(self.ledger, self.clock, owner, limits)

    def started(self, owner: str = "one") -> tuple[RunControl, Run]:
        driver = self.driver(owner)
        return driver, driver.claim(driver.open(KEY, REQUEST, INTENT))

    @property
    def states(self) -> list[str]:
        return [event.after.value for event in self.ledger.list_events(KEY)]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    if request.param == "memory":
        return House(MemoryLedger(), FixedClock())
    if request.param == "sqlite":
        return House(SqliteLedger.at(f"sqlite:///{tmp_path}/a/ledger.sqlite"), FixedClock())
    server, schema = (request.getfixturevalue(name) for name in ("postgres", "postgres_schema"))
    clock = FixedClock()
    return House(TimedLedger(PostgresLedger.at(server.dsn(schema)), call_it, clock), clock)


@dataclass(frozen=True)
class TimedLedger(WatchedLedger):
    """A ledger whose server's clock is the test's."""

    clock: FixedClock

    def read_clock(self) -> int:
        return to_micros(self.clock.now())


def call_it(_effect: str, call: Any) -> Any:
    return call()


def refused(code: str) -> Any:
    return pytest.raises(Refusal, match=f"^{code}: ")


def test_a_run_goes_from_request_to_answer_and_every_step_is_an_event(house: House) -> None:
    driver, held = house.started()
    house.clock.advance(5)
    driver.end(held, State.DONE, "COMMITTED", {"outcome": "COMMITTED", "rows": 3})
    again = house.driver("two").open(KEY, REQUEST, INTENT)
    assert (again.state, again.outcome) == (State.DONE, {"outcome": "COMMITTED", "rows": 3})
    assert (again.lease_until, again.attempts) == (None, 1)
    told = [(e.at, e.token, e.before, e.after, e.reason) for e in house.ledger.list_events(KEY)]
    assert told == [
        (0, 0, None, State.QUEUED, "REQUESTED"),
        (0, 1, State.QUEUED, State.RUNNING, "STARTED"),
        (5_000_000, 1, State.RUNNING, State.DONE, "COMMITTED"),
    ]
    assert house.ledger.list_events(KEY)[1].detail == {
        "owner": "one",
        "attempts": 1,
        "publish_retries": 0,
        "lease_seconds": 60,
    }
    assert house.ledger.list_runs() == [again]


def test_a_request_id_stands_for_one_intent(house: House) -> None:
    house.driver().open(KEY, REQUEST, INTENT)
    with refused("REQUEST_ID_PAYLOAD_MISMATCH"):
        house.driver().open(KEY, REQUEST, "cd" * 32)
    assert house.states == ["QUEUED"]


def test_a_held_run_is_not_claimed_until_its_lease_runs_out(house: House) -> None:
    _, held = house.started("one")
    other = house.driver("two")
    house.clock.advance(59.999999)
    with refused("LEASE_LOST"):
        other.claim(other.open(KEY, REQUEST, INTENT))
    house.clock.advance(0.000001)
    taken = other.claim(other.open(KEY, REQUEST, INTENT))
    assert (taken.token, taken.attempts, taken.owner) == (held.token + 1, 2, "two")
    assert house.ledger.list_events(KEY)[-1].reason == "TAKEN_OVER"


def test_a_heartbeat_keeps_the_lease(house: House) -> None:
    driver, held = house.started("one")
    for _ in range(3):
        house.clock.advance(50)
        held = driver.beat(held)
    other = house.driver("two")
    with refused("LEASE_LOST"):
        other.claim(other.find(KEY))
    driver.end(held, State.DONE, "COMMITTED", {})


def test_an_attempt_that_outlived_the_run_limit_may_not_commit(house: House) -> None:
    """Whoever cleans up counts on it: no beat and no commit, though nobody else has the run; its end is recorded."""
    driver = house.driver(limits=replace(LIMITS, run_s=3_600))
    held = driver.claim(driver.open(KEY, REQUEST, INTENT))
    house.clock.advance(3_600)
    driver.beat(held)
    driver.fence(held)
    house.clock.advance(0.000001)
    for ask in (driver.beat, driver.fence):
        with pytest.raises(Refusal, match=r"run_limit_hours is 1$") as late:
            ask(held)
        assert (late.value.code, late.value.details["run_limit_hours"]) == ("LEASE_LOST", 1)
    assert driver.end(held, State.FAILED, "LEASE_LOST", {}).state is State.FAILED
    again = driver.claim(driver.open(KEY, REQUEST, INTENT))
    driver.fence(again)


def test_a_zombie_changes_nothing(house: House) -> None:
    zombie, held = house.started("one")
    house.clock.advance(61)
    other = house.driver("two")
    taken = other.claim(other.find(KEY))
    before = (house.ledger.find(KEY), house.states)
    for act in (
        lambda: zombie.fence(held),
        lambda: zombie.beat(held),
        lambda: zombie.end(held, State.DONE, "COMMITTED", {}),
        lambda: house.ledger.extend(KEY, held.token, 10**15),
        lambda: house.ledger.change(held, replace(held, state=State.DONE), happened()),
    ):
        with refused("LEASE_LOST"):
            act()
    assert (house.ledger.find(KEY), house.states) == before
    other.fence(taken)


def test_a_lease_that_ran_out_is_kept_until_somebody_takes_the_run(house: House) -> None:
    driver, held = house.started()
    house.clock.advance(600)
    driver.fence(held)
    assert driver.beat(held).lease_until == to_micros(house.clock.now()) + 60_000_000
    driver.end(held, State.FAILED, "X", {})


def test_a_driver_that_is_gone_is_replaced_at_once(house: House) -> None:
    _, held = house.started("host:7#gone")
    other = replace(house.driver("two"), is_gone=lambda owner: owner.endswith("#gone"))
    assert other.claim(other.find(KEY)).token == held.token + 1


def test_a_driver_is_named_by_host_and_process_alone(house: House) -> None:
    house.started("host:7#boot ns 12")
    other = house.driver("two")
    with refused("LEASE_LOST") as caught:
        other.claim(other.find(KEY))
    assert "held by host:7 until" in caught.value.message
    assert caught.value.details["owner"] == "host:7"


@pytest.mark.parametrize("beats", [True, False])
def test_a_lease_from_a_clock_that_was_set_back_is_watched_for_one_lease(house: House, beats: bool) -> None:
    driver, held = house.started("one")
    house.clock.at -= timedelta(days=1)
    watched: list[float] = []

    def pause(seconds: float) -> None:
        """Lets time pass, and the other driver beat once in it."""
        house.clock.advance(seconds)
        watched.append(seconds)
        if beats and sum(watched) > 20:
            house.ledger.extend(KEY, held.token, to_micros(house.clock.now()) + 60_000_000)

    other = replace(house.driver("two", replace(LIMITS, lease_s=6)), pause=pause)
    if beats:
        with refused("LEASE_LOST"):
            other.claim(other.find(KEY))
        driver.fence(held)
    else:
        assert other.claim(other.find(KEY)).token == held.token + 1
        assert sum(watched) >= 60, "one lease of the driver that held it, whatever one's own is"


def test_a_heartbeat_between_reading_and_taking_over_stops_the_takeover(house: House) -> None:
    _, held = house.started("one")
    house.clock.advance(61)
    other = house.driver("two")
    seen = other.find(KEY)
    house.ledger.extend(KEY, held.token, 10**12)
    with refused("LEASE_LOST"):
        other.claim(seen)


def test_of_two_claims_of_one_state_one_succeeds(house: House) -> None:
    one, two = house.driver("one"), house.driver("two")
    seen = one.open(KEY, REQUEST, INTENT)
    one.claim(seen)
    with refused("LEASE_LOST"):
        two.claim(seen)
    assert house.states == ["QUEUED", "RUNNING"]


def test_a_request_to_stop_is_of_one_claim(house: House) -> None:
    driver, held = house.started()
    other = house.driver("two")
    asked = other.ask_to_stop(other.find(KEY))
    assert other.ask_to_stop(asked) == asked
    assert driver.beat(held).is_asked_to_stop
    with pytest.raises(Stopped, match="143"):
        driver.fence(held)
    driver.end(held, State.FAILED, "CANCELLED", {})
    assert house.states == ["QUEUED", "RUNNING", "RUNNING", "FAILED"]
    assert house.ledger.list_events(KEY)[2].reason == CANCEL_REQUESTED
    driver, held = house.started()
    driver.fence(held)
    assert not driver.beat(held).is_asked_to_stop


def test_a_heartbeat_between_reading_and_asking_is_not_undone(house: House) -> None:
    driver, held = house.started()
    house.clock.advance(5)
    driver.beat(held)
    with refused("LEASE_LOST"):
        house.driver("two").ask_to_stop(held)
    assert house.states == ["QUEUED", "RUNNING"]


def test_cancelled_attempts_are_forgiven(house: House) -> None:
    for _ in range(4):
        driver, held = house.started()
        driver.end(held, State.FAILED, "CANCELLED", {})
    assert house.started()[1].attempts == 5


def test_runs_have_the_times_of_their_first_claim_and_last_end(house: House) -> None:
    driver, held = house.started()
    assert [(one.began, one.ended) for one in house.ledger.list_dated()] == [(0, None)]
    house.clock.advance(5)
    driver.end(held, State.FAILED, "X", {})
    driver.open("ef" * 16, "request.0002", INTENT)
    house.clock.advance(5)
    dated = house.ledger.list_dated()
    assert [(one.run.run_key, one.began, one.ended) for one in dated] == [(KEY, 0, 5_000_000), ("ef" * 16, None, None)]
    assert house.ledger.list_dated(1, State.FAILED) == dated[:1]
    assert house.ledger.list_dated(1) == dated[1:]
    assert house.ledger.list_dated(state=State.DONE) == []
    house.started()
    assert [(one.began, one.ended) for one in house.ledger.list_dated(state=State.RUNNING)] == [(0, None)]
    assert house.ledger.list_keys("efef") == ["ef" * 16]


def test_failed_attempts_are_bounded(house: House) -> None:
    for attempt in (1, 2):
        driver, held = house.started()
        assert held.attempt == f"attempt-{attempt}"
        driver.end(held, State.FAILED, "REPLAY_BASIS_GAP", {"code": "REPLAY_BASIS_GAP"})
    with refused("PUBLISH_RETRY_EXHAUSTED"):
        house.started()
    assert house.states == ["QUEUED", *["RUNNING", "FAILED"] * 2]


def test_staged_data_is_published_not_built_again_and_retries_are_bounded(house: House) -> None:
    driver, held = house.started()
    with refused("RETRY_NOT_PENDING"):
        driver.claim(driver.end(held, State.FAILED, "X", {}), publish_only=True)
    driver, held = house.started()
    run = driver.end(held, State.PUBLISH_PENDING, "COMMIT_OUTCOME_UNKNOWN", {})
    for retry, asked in ((1, True), (2, False)):
        held = driver.claim(run, publish_only=asked)
        assert (held.publish_only, held.publish_retries, held.attempts) == (True, retry, 2)
        run = driver.end(held, State.PUBLISH_PENDING, "COMMIT_OUTCOME_UNKNOWN", {})
    with refused("PUBLISH_RETRY_EXHAUSTED"):
        driver.claim(run)


def test_interrupted_attempts_are_forgiven_to_their_own_kind(house: House) -> None:
    """Two full attempts are interrupted and forgiven; two retries are all that there may be, whatever came before."""
    for _ in range(2):
        driver, held = house.started()
        driver.end(held, State.FAILED, "INTERRUPTED", {})
    driver, held = house.started()
    assert held.attempts == 3
    run = driver.end(held, State.PUBLISH_PENDING, "CANCELLED", {})
    for reason in ("CANCELLED", "COMMIT_OUTCOME_UNKNOWN", "INTERRUPTED", "COMMIT_OUTCOME_UNKNOWN"):
        run = driver.end(driver.claim(run, publish_only=True), State.PUBLISH_PENDING, reason, {})
    with refused("PUBLISH_RETRY_EXHAUSTED"):
        driver.claim(run, publish_only=True)
    assert (run.attempts, run.publish_retries) == (3, 4)


def test_a_finished_run_has_nothing_to_retry(house: House) -> None:
    driver, held = house.started()
    run = driver.end(held, State.DONE, "COMMITTED", {})
    with refused("RETRY_NOT_PENDING"):
        driver.claim(run, publish_only=True)


def test_a_dead_publish_only_driver_is_followed_by_another_one(house: House) -> None:
    driver, held = house.started()
    driver.claim(driver.end(held, State.PUBLISH_PENDING, "X", {}))
    house.clock.advance(61)
    taken = house.driver("two").claim(driver.find(KEY), publish_only=True)
    assert (taken.publish_only, taken.attempts, taken.publish_retries) == (True, 1, 2)


def test_a_run_nobody_asked_for_is_not_found(house: House) -> None:
    with refused("RUN_NOT_FOUND"):
        house.driver().find("0" * 32)


def happened() -> Transition:
    return Transition(KEY, 0, 1, State.RUNNING, State.DONE, "X", {})


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_only_drawn_transitions_are_legal(before: State, after: State) -> None:
    run = Run(KEY, REQUEST, INTENT, before, token=1, lease_until=10)
    if after is State.RUNNING:
        if State.RUNNING in LEGAL[before]:
            assert claim(run, "me", 10, LIMITS).state is State.RUNNING
        else:
            with pytest.raises(InternalError):
                claim(run, "me", 10, LIMITS)
    elif before is State.RUNNING and after in LEGAL[before]:
        assert end(run, 1, after, {}).state is after
    else:
        with pytest.raises((InternalError, Refusal)):
            end(run, 1, after, {})


def test_racing_drivers_have_one_winner(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/ledger.sqlite"
    SqliteLedger.at(dsn)
    won: list[str] = []
    lost: list[str] = []
    start = threading.Barrier(6)

    def race(owner: str) -> None:
        driver = RunControl(SqliteLedger.at(dsn), FixedClock(), owner, LIMITS)
        start.wait()
        try:
            driver.claim(driver.open(KEY, REQUEST, INTENT))
            won.append(owner)
        except Refusal as refusal:
            lost.append(refusal.code)

    threads = [threading.Thread(target=race, args=(f"d{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger = SqliteLedger.at(dsn)
    assert (len(won), lost) == (1, ["LEASE_LOST"] * 5)
    assert [e.after.value for e in ledger.list_events(KEY)] == ["QUEUED", "RUNNING"]
    assert ledger.list_runs()[0].owner == won[0]


def test_the_file_is_durable_versioned_and_its_events_are_append_only(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path}/ledger.sqlite"
    House(SqliteLedger.at(dsn), FixedClock()).started()
    ledger = SqliteLedger.at(dsn)
    assert ledger.list_runs()[0].state is State.RUNNING
    with closing(open_for_writing(ledger.path)) as connection:
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version")
        }
        columns = {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for table in ("ofs_run", "ofs_run_event")
        }
        for statement in ("DELETE FROM ofs_run_event", "UPDATE ofs_run_event SET reason = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "user_version": len(MIGRATIONS),
    }
    assert columns == {
        "ofs_run": ["ordinal", *(f.name for f in fields(Run)), "dataset_manifest_id", "published_at"],
        "ofs_run_event": ["ordinal", *(f.name for f in fields(Transition))],
    }


def test_a_ledger_that_cannot_be_used_is_an_unfit_environment(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "newer.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    (tmp_path / "noise.sqlite").write_bytes(b"this is no database, not even a small one" * 100)
    dsns = [
        f"sqlite:///{tmp_path}/newer.sqlite",
        f"sqlite:///{tmp_path}/noise.sqlite",
        "postgresql://h/d",
        "sqlite://",
        "??",
        f"sqlite:///{tmp_path}",
        f"sqlite:///{tmp_path}/noise.sqlite/ledger.sqlite",
    ]
    for dsn in dsns:
        with refused("ENVIRONMENT_UNFIT") as caught:
            House(SqliteLedger.at(dsn), FixedClock()).started()
        assert caught.value.details == {"pointer": "/ledger/dsn"}


FOREIGN = {
    "a table": "CREATE TABLE notes (a)",
    "a log": "PRAGMA journal_mode=WAL; CREATE TABLE notes (a)",
    "a version of ours": f"CREATE TABLE notes (a); PRAGMA user_version = {len(MIGRATIONS)}",
    "a mark": "PRAGMA application_id = 7",
    "a mark beside our tables": "CREATE TABLE ofs_run (a); CREATE TABLE ofs_run_event (a); PRAGMA user_version = 1;"
    " PRAGMA application_id = 7",
    "a table of our name": "CREATE TABLE ofs_run (run_key)",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_the_file_of_another_application_is_refused_and_left_as_it_is(name: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FOREIGN[name])
    before = path.read_bytes()
    ledger = SqliteLedger(str(path))
    run = Run(KEY, REQUEST, INTENT)
    for act in (
        lambda: SqliteLedger.at(f"sqlite:///{path}"),
        ledger.list_runs,
        lambda: ledger.find(KEY),
        lambda: ledger.register(run, Transition(KEY, 0, 0, None, State.QUEUED, "REQUESTED", {})),
        lambda: ledger.extend(KEY, 1, 5),
    ):
        with refused("ENVIRONMENT_UNFIT") as caught:
            act()
        assert "another application" in caught.value.message
        assert caught.value.details == {"pointer": "/ledger/dsn"}
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.sqlite"]
    assert path.read_bytes() == before


def test_a_new_ledger_is_marked_as_one(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite").touch()
    for name in ("new.sqlite", "empty.sqlite"):
        House(SqliteLedger.at(f"sqlite:///{tmp_path}/{name}"), FixedClock()).started()
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION


def test_a_ledger_that_becomes_unusable_is_an_unfit_environment(tmp_path: Path) -> None:
    ledger = SqliteLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite")
    driver, held = House(ledger, FixedClock()).started()
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for act in (ledger.list_runs, lambda: driver.open("new", REQUEST, INTENT)):
        with refused("ENVIRONMENT_UNFIT"):
            act()
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.executescript("DROP TABLE ofs_run; PRAGMA user_version = 1")
    for call in (
        ledger.list_runs,
        lambda: ledger.find(KEY),
        lambda: ledger.extend(KEY, 1, 5),
        lambda: driver.beat(held),
    ):
        with refused("ENVIRONMENT_UNFIT") as caught:
            call()
        assert caught.value.details == {"pointer": "/ledger/dsn"}


def test_reading_creates_nothing_and_an_absent_ledger_is_empty(tmp_path: Path) -> None:
    ledger = SqliteLedger.at(f"sqlite:///{tmp_path}/a/ledger.sqlite")
    assert (ledger.list_runs(), ledger.find(KEY), ledger.list_events(KEY)) == ([], None, [])
    (tmp_path / "empty.sqlite").touch()
    empty = SqliteLedger.at(f"sqlite:///{tmp_path}/empty.sqlite")
    assert (empty.list_runs(), empty.find(KEY), empty.list_events(KEY)) == ([], None, [])
    assert [path.name for path in tmp_path.iterdir()] == ["empty.sqlite"]
    assert (tmp_path / "empty.sqlite").stat().st_size == 0
    _, held = House(empty, FixedClock()).started()
    assert empty.list_runs() == [held]


@pytest.mark.parametrize("name", ["a b", "a%2Fb", "q?x=1", "wörld#1", "file:x"])
def test_a_ledger_may_stand_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    _, held = House(SqliteLedger.at(f"sqlite:///{tmp_path}/{name}/ledger.sqlite"), FixedClock()).started()
    assert SqliteLedger.at(f"sqlite:///{tmp_path}/{name}/ledger.sqlite").list_runs() == [held]
    assert [path.name for path in (tmp_path / name).iterdir()] == ["ledger.sqlite"]


def test_reading_waits_for_no_writer(tmp_path: Path) -> None:
    ledger = SqliteLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite")
    _, held = House(ledger, FixedClock()).started()
    with closing(open_for_writing(ledger.path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE ofs_run SET token = 7")
        assert SqliteLedger.at(f"sqlite:///{ledger.path}").list_runs() == [held]


@contextmanager
def only_reading(folder: Path) -> Iterator[None]:
    """Without the right to write anything in `folder`."""
    for thing in (folder, *folder.iterdir()):
        thing.chmod(0o555 if thing.is_dir() else 0o444)
    with unprivileged():
        yield
    folder.chmod(0o755)


def test_a_ledger_that_cannot_be_written_is_read_and_refuses_writes() -> None:
    with tempfile.TemporaryDirectory() as scratch:  # pytest's own folders are closed to others
        folder = Path(scratch, "ledger")
        ledger = SqliteLedger.at(f"sqlite:///{folder}/ledger.sqlite")
        _, held = House(ledger, FixedClock()).started()
        Path(scratch).chmod(0o755)
        with only_reading(folder):
            assert SqliteLedger.at(f"sqlite:///{folder}/ledger.sqlite").list_runs() == [held]
            with refused("ENVIRONMENT_UNFIT"):
                ledger.extend(KEY, held.token, 10**15)
            assert [path.name for path in folder.iterdir()] == ["ledger.sqlite"]


def test_what_a_log_beside_an_unwritable_ledger_holds_is_read_too() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "ledger")
        ledger = SqliteLedger.at(f"sqlite:///{folder}/ledger.sqlite")
        _, held = House(ledger, FixedClock()).started()
        Path(scratch).chmod(0o755)
        with closing(open_for_writing(ledger.path)):  # while a writer has it open, commits stay in the log
            ledger.extend(KEY, held.token, 10**15)
            with only_reading(folder):
                assert [run.lease_until for run in ledger.list_runs()] == [10**15]


OLD_DDL = """
CREATE TABLE ofs_run (
    ordinal INTEGER PRIMARY KEY, run_key TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL, intent_hash TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, publish_retries INTEGER NOT NULL, token INTEGER NOT NULL,
    owner TEXT NOT NULL, lease_until BIGINT, publish_only BOOLEAN NOT NULL, outcome TEXT);
CREATE TABLE ofs_run_event (
    ordinal INTEGER PRIMARY KEY, run_key TEXT NOT NULL, "at" BIGINT NOT NULL, token INTEGER NOT NULL,
    "before" TEXT, "after" TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX ofs_run_event_of_run ON ofs_run_event (run_key, ordinal);
CREATE TRIGGER ofs_run_event_kept BEFORE DELETE ON ofs_run_event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER ofs_run_event_fixed BEFORE UPDATE ON ofs_run_event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
INSERT INTO ofs_run VALUES (1, 'old', 'request.old', 'cd', 'DONE', 1, 0, 1, 'h:1', NULL, 0, '{"outcome":"COMMITTED"}');
INSERT INTO ofs_run VALUES (2, 'dead', 'request.dead', 'ef', 'RUNNING', 1, 1, 2, 'h:2', 9, 1, NULL);
INSERT INTO ofs_run_event VALUES (1, 'old', 7, 0, NULL, 'QUEUED', 'REQUESTED', '{"request_id":"request.old"}');
INSERT INTO ofs_run_event VALUES (2, 'dead', 8, 2, 'PUBLISH_PENDING', 'RUNNING', 'PUBLISH_ONLY', '{}');
PRAGMA user_version = 1;
"""
"""A ledger as version 0.1.0 wrote it."""


def test_a_ledger_of_the_first_release_opens_unchanged_and_goes_on(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(OLD_DDL)
        before = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    house = House(SqliteLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite"), FixedClock())
    done = Run("old", "request.old", "cd", State.DONE, 1, 0, 1, "h:1", None, False, {"outcome": "COMMITTED"})
    dead = Run("dead", "request.dead", "ef", State.RUNNING, 1, 1, 2, "h:2", 9, True, None)
    assert house.ledger.list_runs() == [done, dead]
    assert [run.publish_only is True for run in house.ledger.list_runs()] == [False, True]
    assert house.ledger.list_events("old") == [
        Transition("old", 7, 0, None, State.QUEUED, "REQUESTED", {"request_id": "request.old"})
    ]
    house.clock.advance(1)
    taken = house.driver().claim(house.driver().find("dead"))
    _, held = house.started()
    assert house.ledger.list_runs() == [done, taken, held]
    fresh = SqliteLedger.at(f"sqlite:///{tmp_path}/fresh.sqlite")
    House(fresh, FixedClock()).started()
    schemas = []
    for file in ("ledger.sqlite", "fresh.sqlite"):
        with closing(sqlite3.connect(tmp_path / file)) as connection:
            schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall())
            assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert schemas[0] == schemas[1]
    assert {name for _, name, _ in before} < {name for _, name, _ in schemas[0]}


def test_a_migration_knows_the_platform_run_of_what_was_published(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.executescript(OLD_DDL)
        outcome = '{"manifest_ref":"platform_1/ofs/manifests/dm_1.json","dataset_manifest_id":"dm_1"}'
        connection.execute("UPDATE ofs_run SET outcome = ? WHERE run_key = 'old'", (outcome,))
        connection.commit()
    ledger = SqliteLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite")
    assert ledger.list_tokens("platform_1") == [("dead", 2), ("old", 1)]  # as it is: of whose data nobody knows
    House(ledger, FixedClock()).driver().open("new", REQUEST, INTENT, "platform_2")
    assert [run.platform_run_id for run in ledger.list_runs()] == ["platform_1", None, "platform_2"]
    assert sorted(ledger.list_tokens("platform_1")) == [("dead", 2), ("old", 1)]
    assert sorted(ledger.list_tokens("platform_2")) == [("dead", 2), ("new", 0)]
    house = House(ledger, FixedClock())
    house.clock.advance(1)
    driver = house.driver()
    driver.claim(driver.open("dead", "request.dead", "ef", "platform_2"))
    assert ledger.list_tokens("platform_1") == [("old", 1)]


def test_runs_are_listed_by_what_is_asked(house: House) -> None:
    driver = house.driver()
    held = [driver.claim(driver.open(f"k{n}", f"request.000{n}", INTENT, f"platform_{n % 2}")) for n in range(5)]
    assert house.ledger.list_runs() == held
    assert house.ledger.list_runs(2) == held[3:]
    assert (house.ledger.list_runs(0), house.ledger.list_runs(9), house.ledger.count_runs()) == ([], held, 5)
    assert sorted(house.ledger.list_tokens("platform_1")) == [("k1", 1), ("k3", 1)]
    published = {"dataset_manifest_id": "dm_1", "manifest_ref": "a/dm_1.json"}
    driver.end(held[3], State.DONE, "COMMITTED", published)
    driver.end(held[4], State.FAILED, "X", {"code": "X", "message": "dm_1"})
    found = house.ledger.find_publisher("dm_1")
    assert found is not None
    assert (found.run_key, house.ledger.find_publisher("dm_%")) == ("k3", None)


DATASETS = ("dm_" + "ab" * 16, "dm_" + "abc" * 10 + "ab", "dm_" + "0" * 32)


def publish(house: House, number: int, dataset: str) -> Run:
    """A run that ends with a dataset, a second after the one before."""
    driver = house.driver()
    held = driver.claim(driver.open(f"{number:032d}", f"request.{number:04d}", INTENT, "platform_1"))
    house.clock.advance(1)
    outcome = {"outcome": "COMMITTED", "dataset_manifest_id": dataset, "manifest_ref": f"platform_1/{dataset}.json"}
    return driver.end(held, State.DONE, "COMMITTED", outcome)


def test_datasets_are_listed_the_newest_first_and_by_the_beginning_of_their_ids(house: House) -> None:
    assert house.ledger.list_datasets() == []
    for number, dataset in enumerate((*DATASETS, DATASETS[0])):  # the first one is answered to another request again
        publish(house, number, dataset)
    driver = house.driver()
    failed = driver.claim(driver.open("f" * 32, "request.9999", INTENT, "platform_1"))
    driver.end(failed, State.FAILED, "X", {"code": "X", "dataset_manifest_id": "dm_" + "1" * 32})
    first, second, third = (Published(one, "platform_1", (at + 1) * 1_000_000) for at, one in enumerate(DATASETS))
    assert house.ledger.list_datasets() == [third, second, first]
    assert house.ledger.list_datasets("dm_ab") == [second, first]
    assert house.ledger.list_datasets("dm_aba") == [first]
    assert house.ledger.list_datasets(DATASETS[1]) == [second]
    for nothing in (f"{DATASETS[1]}0", "dm_b", "dm_%", "dm_\0"):
        assert house.ledger.list_datasets(nothing) == []


OLD_AGAIN = """
DROP INDEX ofs_run_of_dataset;
ALTER TABLE ofs_run DROP COLUMN dataset_manifest_id;
ALTER TABLE ofs_run DROP COLUMN published_at;
PRAGMA user_version = 3;
"""
"""Makes a ledger of the release before datasets were named in it."""


def test_an_older_ledger_lists_its_datasets_before_and_after_its_migration(tmp_path: Path) -> None:
    house = House(SqliteLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite"), FixedClock())
    for number, dataset in enumerate(DATASETS):
        publish(house, number, dataset)
    house.driver().open("e" * 32, "request.9999", INTENT)
    known = house.ledger.list_datasets()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.executescript(OLD_AGAIN)
    assert (len(known), house.ledger.list_datasets()) == (3, known)
    assert house.ledger.list_datasets("dm_aba") == [known[2]]
    house.driver().open("d" * 32, "request.9998", INTENT)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert house.ledger.list_datasets() == known


def test_the_beginning_of_several_run_keys_is_wrong_use_that_lists_them(house: House) -> None:
    keys = [f"{'ab' * 4}{number:024d}" for number in range(22)]
    for number, key in enumerate(keys):
        house.driver().open(key, f"request.{number:04d}", INTENT)
    with pytest.raises(WrongArgument, match=r"^22 run keys begin with abababab: ") as wrong:
        house.driver().find_by("abababab")
    assert str(wrong.value).endswith(f"{keys[18]}, {keys[19]}, and 2 more")
    assert house.driver().find_by(keys[3][:31] + "3").run_key == keys[3]
    with refused("RUN_NOT_FOUND"):
        house.driver().find_by("ababa")


def test_runs_of_an_unknown_platform_run_are_named_in_a_bounded_number(house: House) -> None:
    """Each is looked for in the store by every build: a ledger of the first release may hold any number of them."""
    for n in range(MOST_UNPLACED + 20):
        run = Run(f"{n:032d}", f"request.{n}", INTENT)
        house.ledger.register(run, Transition(run.run_key, 0, 0, None, State.QUEUED, "REQUESTED", {}))
    held = house.driver().open(KEY, REQUEST, INTENT, "platform_1")
    named = [key for key, _ in house.ledger.list_tokens("platform_1")]
    assert named == [held.run_key, *(f"{n:032d}" for n in reversed(range(20, MOST_UNPLACED + 20)))]


class Twins(RuleBasedStateMachine):
    """Whatever drivers do in whatever order, both ledgers say the same, and the books are in order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FixedClock()
        sqlite = SqliteLedger.at(f"sqlite:///{self.folder.name}/ledger.sqlite")
        self.houses = [House(MemoryLedger(), self.clock), House(sqlite, self.clock)]
        self.held: dict[str, list[Run]] = {}

    def both(self, act: Any) -> list[Any]:
        answers: list[Any] = []
        for house in self.houses:
            try:
                answers.append(act(house))
            except (Refusal, InternalError) as refusal:
                answers.append(str(refusal))
        assert answers[0] == answers[1]
        return answers

    @rule(seconds=st.sampled_from([1, 30, 60]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(owner=st.sampled_from(["a", "b"]), publish_only=st.booleans())
    def claim(self, owner: str, publish_only: bool) -> None:
        def act(house: House) -> Run:
            driver = house.driver(owner, Limits(3, 3, 60))
            return driver.claim(driver.open(KEY, REQUEST, INTENT), publish_only=publish_only)

        answers = self.both(act)
        if isinstance(answers[0], Run):
            self.held[owner] = answers

    @rule(owner=st.sampled_from(["a", "b"]), state=st.sampled_from([State.DONE, State.FAILED, State.PUBLISH_PENDING]))
    def end(self, owner: str, state: State) -> None:
        if owner in self.held:
            held = self.held[owner][0]
            self.both(lambda house: house.driver(owner).end(held, state, "R", {"by": owner}))

    @rule(owner=st.sampled_from(["a", "b"]))
    def beat(self, owner: str) -> None:
        if owner in self.held:
            held = self.held[owner][0]
            self.both(lambda house: house.driver(owner).beat(held).lease_until)

    @rule(owner=st.sampled_from(["a", "b"]))
    def ask_to_stop(self, owner: str) -> None:
        def act(house: House) -> tuple[Run, bool]:
            driver = house.driver(owner)
            run = driver.open(KEY, REQUEST, INTENT)
            asked = driver.ask_to_stop(run) if run.state is State.RUNNING else run
            return asked, asked.is_asked_to_stop

        self.both(act)

    @rule(owner=st.sampled_from(["a", "b"]))
    def fence(self, owner: str) -> None:
        def act(house: House) -> bool:
            try:
                house.driver(owner).fence(self.held[owner][0])
            except Stopped:
                return True
            return False

        if owner in self.held:
            self.both(act)

    @invariant()
    def books_are_in_order(self) -> None:
        memory, sqlite = (house.ledger for house in self.houses)
        assert memory.list_runs() == sqlite.list_runs()
        assert memory.list_dated() == sqlite.list_dated()
        events = memory.list_events(KEY)
        assert events == sqlite.list_events(KEY)
        for earlier, later in pairwise(events):
            assert later.before is earlier.after
            assert later.after in LEGAL[earlier.after]
            claims = later.after is State.RUNNING and later.reason != CANCEL_REQUESTED
            assert later.token == earlier.token + claims

    def teardown(self) -> None:
        self.folder.cleanup()


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
