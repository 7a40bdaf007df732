"""The ledger in PostgreSQL: what a lost connection leaves, who wins a race, what is not a ledger's, what is never told."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from ofs_spark.foundation.clock import FixedClock
from ofs_spark.foundation.errors import InternalError, Refusal
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.ports import Ledger
from ofs_spark.intent.run import Limits, Run, State, Transition
from ofs_spark.io.ledger import postgres as adapter
from ofs_spark.io.ledger import postgres_connection, statements
from ofs_spark.io.ledger.memory import MemoryLedger
from ofs_spark.io.ledger.postgres import NOTHING, PERHAPS, PostgresLedger
from ofs_spark.io.ledger.sqlite import SqliteLedger
from tests.servers.cut import Cut, Cutter
from tests.servers.postgres import PASSWORD, Postgres

KEY = "ab" * 16
HELD = Run(KEY, "request.0001", "cd" * 32, State.RUNNING, 1, 0, 1, "host:1", 5, False, None, "platform_1")
RACERS = 16


def event_of(run: Run, reason: str = "STARTED") -> Transition:
    return Transition(run.run_key, 7, run.token, State.QUEUED, run.state, reason, {"text": "x"})


NEW = replace(HELD, run_key="ef" * 16)
DONE = replace(HELD, state=State.DONE, outcome={"outcome": "COMMITTED"})
PUBLISHED = {"outcome": "COMMITTED", "dataset_manifest_id": "dm_abc", "manifest_ref": "platform_1/dm_abc.json"}
DONE_BEFORE = replace(HELD, run_key="cd" * 16, state=State.DONE, lease_until=None, outcome=PUBLISHED)
TAKEN = replace(HELD, token=2, owner="host:2")
WRITES: dict[str, Callable[[Ledger], object]] = {
    "register": lambda ledger: ledger.register(NEW, event_of(NEW)),
    "register again": lambda ledger: ledger.register(HELD, event_of(HELD)),
    "claim": lambda ledger: ledger.change(HELD, TAKEN, event_of(TAKEN)),
    "end": lambda ledger: ledger.change(HELD, DONE, event_of(DONE)),
    "beat": lambda ledger: ledger.extend(KEY, 1, 10**15),
}
READS: dict[str, Callable[[Ledger], object]] = {
    "find": lambda ledger: ledger.find(KEY),
    "list_events": lambda ledger: ledger.list_events(KEY),
    "list_runs": lambda ledger: ledger.list_runs(),
    "list_dated": lambda ledger: ledger.list_dated(1, State.RUNNING),
    "list_keys": lambda ledger: ledger.list_keys("abab"),
    "count_runs": lambda ledger: ledger.count_runs(),
    "list_tokens": lambda ledger: ledger.list_tokens("platform_1"),
    "list_datasets": lambda ledger: ledger.list_datasets("dm_ab"),
    "find_publisher": lambda ledger: ledger.find_publisher("dm_1"),
    "read_clock": lambda ledger: ledger.read_clock(),
}


@dataclass
class Place:
    """A ledger that holds a run, reached straight and through a network that can be cut."""

    server: Postgres
    schema: str
    network: Cutter
    admin: psycopg.Connection[Any]

    @property
    def straight(self) -> PostgresLedger:
        return PostgresLedger(self.server.dsn(self.schema))

    @property
    def far(self) -> PostgresLedger:
        return PostgresLedger(self.server.dsn(self.schema, self.network.port))

    def look(self) -> tuple[Any, ...]:
        """Every row, as the server has it, in one snapshot: a commit may be under way."""
        self.admin.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ")
        rows = tuple(self.admin.execute(f"TABLE {name}".encode()).fetchall() for name in ("ofs_run", "ofs_run_event"))
        self.admin.execute(b"COMMIT")
        return rows

    def begin_anew(self) -> None:
        """One run, held, and its first event, once nothing of earlier calls is under way."""
        until = time.monotonic() + 10
        while self.admin.execute(OTHERS).fetchone() != (0,) and time.monotonic() < until:
            time.sleep(0.01)
        for statement in RESTORE:
            self.admin.execute(statement.encode())


OTHERS = b"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ofs'"
RESTORE = (
    "SET session_replication_role = replica",
    "DELETE FROM ofs_run",
    "DELETE FROM ofs_run_event",
    "INSERT INTO ofs_run OVERRIDING SYSTEM VALUE TABLE kept_run",
    "INSERT INTO ofs_run_event OVERRIDING SYSTEM VALUE TABLE kept_event",
    "ALTER TABLE ofs_run ALTER ordinal RESTART WITH 2",
    "ALTER TABLE ofs_run_event ALTER ordinal RESTART WITH 2",
)


@pytest.fixture
def place(postgres: Postgres, postgres_schema: str) -> Iterator[Place]:
    address = postgres.dsn(postgres_schema)
    with Cutter(postgres.port) as network, psycopg.connect(address, autocommit=True) as admin:
        made = Place(postgres, postgres_schema, network, admin)
        made.straight.register(HELD, event_of(HELD))
        for name in ("run", "event"):
            admin.execute(f"CREATE TABLE kept_{name} AS TABLE ofs_{name if name == 'run' else 'run_event'}".encode())
        yield made


def refuse_unfit(act: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        act()
    assert (caught.value.code, caught.value.details) == ("ENVIRONMENT_UNFIT", {"pointer": "/ledger/dsn"})
    assert PASSWORD not in str(caught.value.to_document())
    return caught.value


def list_cuts(counts: dict[Any, int], lasting: bool = False) -> list[Cut]:
    """Every place of a call where its connection can end: before each message of each side, and after the client's."""
    client = [(number, when) for number in range(1, counts["client"] + 1) for when in ("before", "after")]
    cuts = [Cut("client", number, when, lasting=lasting) for number, when in client]  # type: ignore[arg-type]
    return cuts + [Cut("server", number, "before", lasting=lasting) for number in range(1, counts["server"] + 1)]


def count_messages(ledger: Ledger, network: Cutter, call: Callable[[Ledger], object]) -> dict[Any, int]:
    network.arm(None)
    call(ledger)
    until = time.monotonic() + 5
    while network.counts["client"] < 5 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)  # the farewell is on its way
    return dict(network.counts)


def attempt(call: Callable[[], object]) -> str:
    """What became of a call by its own word: landed, or what its refusal says of it."""
    try:
        call()
    except Refusal as refusal:
        told = refusal
    else:
        return "landed"
    assert (told.code, told.details) == ("ENVIRONMENT_UNFIT", {"pointer": "/ledger/dsn"}), told
    return told.message.rpartition("; ")[2]


@pytest.mark.parametrize("name", WRITES)
def test_a_write_whose_connection_is_lost_says_what_became_of_it(name: str, place: Place) -> None:
    counts = count_messages(place.far, place.network, WRITES[name])
    after: tuple[Any, ...] = place.look()
    seen: set[str] = set()
    for cut in list_cuts(counts):
        place.begin_anew()
        before = place.look()
        place.network.arm(cut)
        said = attempt(lambda: WRITES[name](place.far))
        assert place.look() == (after if said == "landed" else before), (cut, said)
        seen.add(said)
    assert seen == {"landed", NOTHING}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_whose_end_cannot_be_read_back_says_that_nobody_knows(name: str, place: Place) -> None:
    counts = count_messages(place.far, place.network, WRITES[name])
    after: tuple[Any, ...] = place.look()
    seen: set[str] = set()
    for cut in list_cuts(counts, lasting=True):
        place.begin_anew()
        before = place.look()
        place.network.arm(cut)
        said = attempt(lambda: WRITES[name](place.far))
        assert place.look() in {"landed": [after], NOTHING: [before], PERHAPS: [before, after]}[said], (cut, said)
        seen.add(said)
    assert seen >= {NOTHING, PERHAPS}


@pytest.mark.parametrize("name", READS)
def test_a_read_whose_connection_is_lost_is_refused_or_right(name: str, place: Place) -> None:
    right, refused = READS[name](place.straight), 0
    found: list[object] = []
    for cut in list_cuts(count_messages(place.far, place.network, READS[name])):
        place.network.arm(cut)
        said = attempt(lambda: found.append(READS[name](place.far)))
        refused += said != "landed"
    assert refused
    assert name == "read_clock" or [one for one in found if one != right] == []


def test_what_makes_the_tables_is_whole_or_nothing_too(postgres: Postgres, place: Place) -> None:
    def far(schema: str) -> PostgresLedger:
        return PostgresLedger(postgres.dsn(schema, place.network.port))

    with postgres.new_schema() as trial:
        cuts = list_cuts(count_messages(far(trial), place.network, WRITES["register"]))
    assert len(cuts) > 60
    for cut in cuts[::5]:
        with postgres.new_schema() as schema:
            place.network.arm(cut)
            said = attempt(lambda: WRITES["register"](far(schema)))
            place.network.arm(None)
            assert far(schema).list_runs() == ([NEW] if said == "landed" else []), (cut, said)
            assert far(schema).register(NEW, event_of(NEW)) == NEW


def test_a_transaction_that_the_server_has_not_missed_is_ended_before_it_is_judged(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is lost before its COMMIT arrives leaves a transaction open, whose COMMIT might yet come."""
    asked: list[str] = []
    wait = adapter._await_end

    def note(connection: Any, own: Any) -> None:
        asked.append(connection.execute("SELECT pg_xact_status(CAST(%s AS xid8))", (own[1],)).fetchone()[0])
        wait(connection, own)

    commit = count_messages(place.far, place.network, WRITES["end"])["client"] - 1  # the last one is the farewell
    place.begin_anew()
    before = place.look()
    monkeypatch.setattr(adapter, "_await_end", note)
    monkeypatch.setattr(adapter, "connect", through(place))
    monkeypatch.setattr(postgres_connection, "MOST_S", 1.0)
    place.network.arm(Cut("client", commit, "before", hangs=True))
    assert refuse_unfit(lambda: WRITES["end"](place.far)).message.endswith(NOTHING)
    assert asked == ["in progress"]
    assert place.look() == before


def test_a_network_that_hangs_leaves_the_end_of_a_write_unknown(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = count_messages(place.far, place.network, WRITES["end"])["client"] - 1
    place.begin_anew()
    monkeypatch.setattr(postgres_connection, "MOST_S", 0.5)
    monkeypatch.setitem(postgres_connection._SETTINGS, "connect_timeout", "2")
    place.network.arm(Cut("client", commit, "after", hangs=True, lasting=True))
    assert refuse_unfit(lambda: WRITES["end"](place.far)).message.endswith(PERHAPS)


def through(place: Place) -> Any:
    """Connections of which only the first goes by way of the network."""
    went: list[str] = []

    @contextmanager
    def connect(dsn: str) -> Iterator[Any]:
        went.append(dsn)
        with postgres_connection.connect(dsn if len(went) == 1 else place.straight.dsn) as connection:
            yield connection

    return connect


def test_a_server_that_does_not_answer_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connection, "MOST_S", 0.5)
    place.network.arm(
        Cut("client", count_messages(place.far, place.network, READS["find"])["client"] - 2, "before", hangs=True)
    )
    start = time.monotonic()
    refuse_unfit(lambda: READS["find"](place.far))
    assert time.monotonic() - start < 10


def test_a_lock_is_waited_for_so_long_and_no_longer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    short = "SET LOCAL lock_timeout = 200"
    monkeypatch.setattr(adapter, "_WRITE", f"{adapter._WRITE}; {short}")
    assert f"lock_timeout = {30_000}" in adapter._WRITE
    with psycopg.connect(place.straight.dsn) as other:
        other.execute("UPDATE ofs_run SET owner = 'x'")
        told = refuse_unfit(lambda: WRITES["beat"](place.straight)).message
        assert "locked for longer than a driver waits" in told
        assert told.endswith(NOTHING)
        assert place.straight.list_runs() == [HELD], "reading waits for no writer"
        other.rollback()
    WRITES["beat"](place.straight)


def test_racing_drivers_have_one_winner_and_the_tables_are_made_once(postgres: Postgres, postgres_schema: str) -> None:
    dsn, start = postgres.dsn(postgres_schema), threading.Barrier(RACERS)
    won: list[str] = []
    lost: list[str] = []

    def race(owner: str) -> None:
        driver = RunControl(PostgresLedger.at(dsn), FixedClock(), owner, Limits())
        start.wait()
        try:
            driver.claim(driver.open(KEY, HELD.request_id, HELD.intent_hash))
            won.append(owner)
        except Refusal as refusal:
            lost.append(str(refusal))

    threads = [threading.Thread(target=race, args=(f"d{n}",)) for n in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), {text.split(":")[0] for text in lost}) == (1, {"LEASE_LOST"}), lost
    ledger = PostgresLedger.at(dsn)
    assert [event.after for event in ledger.list_events(KEY)] == [State.QUEUED, State.RUNNING]
    assert ledger.list_runs()[0].owner == won[0]
    assert postgres.run_sql("SELECT * FROM ofs_ledger", schema=postgres_schema) == [(adapter.MARK, statements.VERSION)]


def test_an_older_schema_is_read_as_it_is_and_migrated_by_the_first_write(place: Place) -> None:
    last = statements.VERSION - 1
    dropped = [f"ALTER TABLE ofs_run DROP COLUMN {name}" for name in ("dataset_manifest_id", "published_at")]
    place.straight.register(DONE_BEFORE, event_of(DONE_BEFORE))
    known = place.straight.list_datasets()
    place.server.run_sql(*dropped, f"UPDATE ofs_ledger SET version = {last}", schema=place.schema)
    assert place.straight.list_runs() == [HELD, DONE_BEFORE]
    assert ([one.dataset_manifest_id for one in known], place.straight.list_datasets()) == (["dm_abc"], known)
    assert place.server.run_sql("SELECT version FROM ofs_ledger", schema=place.schema) == [(last,)]
    WRITES["beat"](place.straight)
    assert place.server.run_sql("SELECT version FROM ofs_ledger", schema=place.schema) == [(statements.VERSION,)]
    assert place.straight.list_datasets() == known


def test_events_are_append_only_and_every_write_waits_for_the_disk(place: Place) -> None:
    for statement in ("DELETE FROM ofs_run_event", "UPDATE ofs_run_event SET reason = 'x'", "TRUNCATE ofs_run_event"):
        with pytest.raises(psycopg.Error, match="append-only"):
            place.server.run_sql(statement, schema=place.schema)
    place.server.run_sql("ALTER ROLE ofs SET synchronous_commit = off")
    try:
        seen: list[str] = []

        def ask(writing: Any) -> bool:
            seen.append(writing.run("SHOW synchronous_commit", {})[1][0][0])
            return True

        place.straight._write(ask, lambda _reading: None)
    finally:
        place.server.run_sql("ALTER ROLE ofs RESET synchronous_commit")
    assert seen == ["on"]


def test_tables_that_are_made_behind_a_transaction_are_read_by_the_next(
    postgres: Postgres, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader's transaction is older than the tables; their names it knows nevertheless."""
    ledger, number = PostgresLedger(postgres.dsn(postgres_schema)), uuid.uuid4().int >> 66
    waits = (
        f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = {number & 0xFFFFFFFF}"
    )
    monkeypatch.setattr(adapter, "_READ", f"{adapter._READ}; SELECT pg_advisory_xact_lock({number})")
    with (
        psycopg.connect(ledger.dsn, password=PASSWORD, autocommit=True) as gate,
        ThreadPoolExecutor(1) as pool,
    ):
        gate.execute(f"SELECT pg_advisory_lock({number})".encode())
        reading = pool.submit(ledger.list_runs)
        while postgres.run_sql(waits) != [(1,)]:
            time.sleep(0.01)
        ledger.register(HELD, event_of(HELD))
        gate.execute(f"SELECT pg_advisory_unlock({number})".encode())
        assert reading.result(20) == [HELD]


@pytest.mark.parametrize(("late", "is_known"), [(3, True), (1_000, False)])
def test_tables_whose_names_are_known_late_are_awaited(
    place: Place, late: int, is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server tells its processes of new names after they can see the rows of its catalogue."""
    looks, fetch = iter(range(10_000)), adapter._fetch

    def look(connection: Any, statement: str, *values: Any) -> Any:
        if statement == adapter._VERSION and next(looks) < late:
            raise psycopg.errors.UndefinedTable
        return fetch(connection, statement, *values)

    monkeypatch.setattr(adapter, "_fetch", look)
    if is_known:
        assert place.straight.list_runs() == [HELD]
    else:
        monkeypatch.setattr(adapter, "MADE_S", 0.2)
        assert "another application" in refuse_unfit(place.straight.list_runs).message


def test_a_ledger_is_found_in_any_schema_of_the_search_path(place: Place) -> None:
    with place.server.new_schema() as first:
        both = PostgresLedger.at(place.server.dsn(f"{first},{place.schema}"))
        assert both.list_runs() == [HELD]
        elsewhere = PostgresLedger.at(place.server.dsn(first))
        assert elsewhere.list_runs() == []


FOREIGN = {
    "a table of our name": ["CREATE TABLE ofs_run (run_key TEXT)"],
    "another mark": ["CREATE TABLE ofs_ledger (mark TEXT, version INTEGER)", "INSERT INTO ofs_ledger VALUES ('x', 1)"],
    "an empty mark": ["CREATE TABLE ofs_ledger (mark TEXT, version INTEGER)"],
    "a mark of another shape": ["CREATE TABLE ofs_ledger (a INTEGER)"],
}


@pytest.mark.parametrize("name", FOREIGN)
def test_the_tables_of_another_application_are_refused_and_left(
    name: str, postgres: Postgres, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "MADE_S", 0.1)
    postgres.run_sql(*FOREIGN[name], schema=postgres_schema)
    ledger = PostgresLedger(postgres.dsn(postgres_schema))
    for act in (lambda: PostgresLedger.at(ledger.dsn), ledger.list_runs, lambda: WRITES["register"](ledger)):
        assert "another application" in refuse_unfit(act).message
    tables = postgres.run_sql(
        "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()", schema=postgres_schema
    )
    assert tables == [(1,)]


def test_a_newer_schema_is_refused(place: Place) -> None:
    place.server.run_sql("UPDATE ofs_ledger SET version = 99", schema=place.schema)
    for act in (
        lambda: PostgresLedger.at(place.straight.dsn),
        place.straight.list_runs,
        lambda: WRITES["beat"](place.far),
    ):
        assert "schema version 99" in refuse_unfit(act).message


def test_reading_makes_nothing_and_does_without_the_right_to_write(postgres: Postgres, postgres_schema: str) -> None:
    ledger = PostgresLedger.at(postgres.dsn(postgres_schema))
    assert (ledger.list_runs(), ledger.find(KEY), ledger.count_runs(), ledger.list_dated()) == ([], None, 0, [])
    assert "was ever registered" in refuse_unfit(lambda: WRITES["beat"](ledger)).message
    assert postgres.run_sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'ofs%'") == [(0,)]
    ledger.register(HELD, event_of(HELD))
    role = f"reader_{postgres_schema}"
    rights = (
        f"GRANT USAGE ON SCHEMA {postgres_schema} TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {postgres_schema} TO {role}",
    )
    postgres.run_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'", *rights)
    try:
        reader = PostgresLedger.at(postgres.dsn(postgres_schema, user=role))
        assert (reader.list_runs(), reader.list_events(KEY)) == ([HELD], [event_of(HELD)])
        for name in WRITES:
            told = refuse_unfit(lambda name=name: WRITES[name](reader)).message  # type: ignore[misc]
            assert "the role lacks a right" in told
            assert told.endswith(NOTHING)
        postgres.run_sql(f"REVOKE USAGE ON SCHEMA {postgres_schema} FROM {role}")
        assert "names no schema" in refuse_unfit(reader.list_runs).message
    finally:
        postgres.run_sql(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
def test_hostile_texts_are_kept_or_refused_alike(kind: str, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    ledger: Ledger = MemoryLedger()
    if kind == "sqlite":
        ledger = SqliteLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite")
    elif kind == "postgresql":
        server, schema = (request.getfixturevalue(name) for name in ("postgres", "postgres_schema"))
        ledger = PostgresLedger.at(server.dsn(schema))
    nasty = "'; DROP TABLE ofs_run; -- %s %(x)s :run_key \\ \" \n ü 東京 \U0001f600"
    told = {"nul": "a\0b", "long": "x" * 3_000_000, nasty: [nasty]}
    run = Run(nasty, nasty, nasty, State.RUNNING, 1, 0, 1, nasty, 5, False, told, nasty)
    event = Transition(nasty, 7, 1, None, State.RUNNING, nasty, told)
    assert ledger.register(run, event) == run
    assert (ledger.find(nasty), ledger.list_events(nasty), ledger.list_tokens(nasty)) == (run, [event], [(nasty, 1)])
    published = {"dataset_manifest_id": "50%_\\", "manifest_ref": "x"}
    done = replace(run, state=State.DONE, outcome=published)
    ledger.change(run, done, replace(event, after=State.DONE))
    assert (ledger.find_publisher("50%_\\"), ledger.find_publisher("50%__")) == (done, None)
    before = ledger.list_runs()
    for text in ("a\0b", "\ud800"):
        for act in (
            lambda text=text: ledger.register(replace(run, run_key=text), event),
            lambda text=text: ledger.register(replace(run, run_key="new"), replace(event, reason=text)),
            lambda text=text: ledger.change(done, replace(done, owner=text), event),
        ):
            with pytest.raises(InternalError, match=r"U\+0000"):
                act()
        assert (ledger.find(text), ledger.list_events(text), ledger.list_tokens(text)) == (None, [], [])
        assert ledger.find_publisher(text) is None
    assert ledger.list_runs() == before


SECRET = "hunter3"
ADDRESSES = {
    "nobody listens": (f"postgresql://{SECRET}@127.0.0.1:1/{SECRET}", "nothing listens"),
    "wrong password": (f"postgresql://ofs:{SECRET}@127.0.0.1:PORT/ofs", "role or its password"),
    "no such role": (f"postgresql://{SECRET}:{SECRET}@127.0.0.1:PORT/ofs", "role or its password"),
    "no such database": (f"postgresql://ofs@127.0.0.1:PORT/{SECRET}", "no database of that name"),
    "no such option": (f"postgresql://ofs@127.0.0.1:PORT/ofs?{SECRET}={SECRET}", "malformed"),
    "no address": (f"postgresql://[{SECRET}", "malformed"),
    "no port": (f"postgresql://ofs@127.0.0.1:{SECRET}/ofs", "malformed"),
    "no text": (f"postgresql://ofs@127.0.0.1:PORT/{SECRET}\ud800", "malformed"),
    "another scheme": (f"mysql://{SECRET}", "no address of a server"),
    "encryption": ("postgresql://ofs@127.0.0.1:PORT/ofs?sslmode=require", "encryption"),
    "no schema": ("postgresql://ofs@127.0.0.1:PORT/ofs?options=-csearch_path%3Dhunter3", "names no schema"),
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_of_no_use_is_refused_and_nothing_of_it_is_told(name: str, postgres: Postgres) -> None:
    dsn, expected = ADDRESSES[name]
    refusal = refuse_unfit(lambda: PostgresLedger.at(dsn.replace("PORT", str(postgres.port))))
    assert expected in refusal.message
    assert SECRET not in str(refusal.to_document())


def test_the_time_is_the_servers(place: Place) -> None:
    clock = place.straight.read_clock()
    assert abs(clock - time.time() * 1e6) < 60e6
    assert place.straight.read_clock() > clock
