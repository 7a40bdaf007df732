"""The ledger in SQLite, and its in-memory twin.

One transaction per write (BEGIN IMMEDIATE, WAL, synchronous=FULL): a write that returned survives a power cut, and
two drivers never see the same claim succeed. The schema is versioned by `MIGRATIONS`; a plain list keeps the start of a
command fast (a migration framework's import alone takes longer than all of them).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    NullPool,
    RowMapping,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.intent.run import Run, State, Transition

_METADATA = MetaData()
RUNS = Table(
    "ofs_run",
    _METADATA,
    Column("ordinal", Integer, primary_key=True),
    Column("run_key", String, nullable=False, unique=True),
    Column("request_id", String, nullable=False),
    Column("intent_hash", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("publish_retries", Integer, nullable=False),
    Column("token", Integer, nullable=False),
    Column("owner", String, nullable=False),
    Column("lease_until", BigInteger),
    Column("publish_only", Boolean, nullable=False),
    Column("outcome", String),
)
EVENTS = Table(
    "ofs_run_event",
    _METADATA,
    Column("ordinal", Integer, primary_key=True),
    Column("run_key", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("token", Integer, nullable=False),
    Column("before", String),
    Column("after", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", String, nullable=False),
)

_RUN_TABLE = """CREATE TABLE ofs_run (
    ordinal INTEGER PRIMARY KEY, run_key TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL, intent_hash TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, publish_retries INTEGER NOT NULL, token INTEGER NOT NULL,
    owner TEXT NOT NULL, lease_until BIGINT, publish_only BOOLEAN NOT NULL, outcome TEXT)"""
_EVENT_TABLE = """CREATE TABLE ofs_run_event (
    ordinal INTEGER PRIMARY KEY, run_key TEXT NOT NULL, "at" BIGINT NOT NULL, token INTEGER NOT NULL,
    "before" TEXT, "after" TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL)"""
_EVENTS_OF_RUN = "CREATE INDEX ofs_run_event_of_run ON ofs_run_event (run_key, ordinal)"
_NEVER = "BEFORE {} ON ofs_run_event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
_EVENTS_KEPT = "CREATE TRIGGER ofs_run_event_kept " + _NEVER.format("DELETE")
_EVENTS_FIXED = "CREATE TRIGGER ofs_run_event_fixed " + _NEVER.format("UPDATE")

MIGRATIONS = ((_RUN_TABLE, _EVENT_TABLE, _EVENTS_OF_RUN, _EVENTS_KEPT, _EVENTS_FIXED),)
"""Statements of each schema version, oldest first. A published version is never edited; a change is a new one."""

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON")


@dataclass(frozen=True)
class SqliteLedger:
    """The ledger in one SQLite file on a local disk (WAL does not work on network file systems)."""

    engine: Engine

    @classmethod
    def at(cls, dsn: str) -> SqliteLedger:
        """The ledger of a `sqlite:///…` address, created or migrated as needed; ENVIRONMENT_UNFIT if unusable."""
        try:
            url = make_url(dsn)
        except ArgumentError:
            raise refuse("ENVIRONMENT_UNFIT", "ledger.dsn is not an address; sqlite:///FILE is required") from None
        if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
            message = f"ledger.dsn names {url.get_backend_name()}; sqlite:///FILE is required"
            raise refuse("ENVIRONMENT_UNFIT", message, pointer="/ledger/dsn")
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, poolclass=NullPool)
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin_immediately)
        ledger = cls(engine)
        ledger._migrate()
        return ledger

    def register(self, run: Run, first: Transition) -> Run:
        """Inserts a new run with its first event, unless one stands; returns the standing run."""
        try:
            with self._transaction() as connection:
                connection.execute(insert(RUNS), _row(run))
                connection.execute(insert(EVENTS), _event_row(first))
        except IntegrityError:
            standing = self.find(run.run_key)
            if standing is not None:
                return standing
            raise
        return run

    def find(self, run_key: str) -> Run | None:
        """The run, or None."""
        with self._transaction() as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.run_key == run_key)).mappings().first()
        return None if row is None else _run(row)

    def change(self, before: Run, after: Run, happened: Transition) -> None:
        """Writes `after` and appends the event if nobody changed the run since `before`; LEASE_LOST otherwise."""
        same = (
            (RUNS.c.run_key == before.run_key) & (RUNS.c.token == before.token) & (RUNS.c.state == before.state.value)
        )
        if after.token != before.token:
            same &= RUNS.c.lease_until.is_not_distinct_from(before.lease_until)
        with self._transaction() as connection:
            if connection.execute(update(RUNS).where(same).values(_row(after))).rowcount != 1:
                raise _lost(before.run_key, before.token)
            connection.execute(insert(EVENTS), _event_row(happened))

    def extend(self, run_key: str, token: int, lease_until: int) -> None:
        """Moves the lease of a RUNNING run held under `token`; LEASE_LOST otherwise."""
        held = (RUNS.c.run_key == run_key) & (RUNS.c.token == token) & (RUNS.c.state == State.RUNNING.value)
        with self._transaction() as connection:
            if connection.execute(update(RUNS).where(held).values(lease_until=lease_until)).rowcount != 1:
                raise _lost(run_key, token)

    def events(self, run_key: str) -> list[Transition]:
        """The run's events, oldest first."""
        query = select(EVENTS).where(EVENTS.c.run_key == run_key).order_by(EVENTS.c.ordinal)
        with self._transaction() as connection:
            return [_event(row) for row in connection.execute(query).mappings()]

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self._transaction() as connection:
            return [_run(row) for row in connection.execute(select(RUNS).order_by(RUNS.c.ordinal)).mappings()]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self.engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as failed:
            message = f"the ledger {self.engine.url.database} cannot be used: {failed.orig}"
            raise refuse("ENVIRONMENT_UNFIT", message, "ofs doctor") from failed

    def _migrate(self) -> None:
        with self._transaction() as connection:
            version = connection.execute(text("PRAGMA user_version")).scalar_one()
            if version > len(MIGRATIONS):
                message = f"the ledger has schema version {version}; this release knows {len(MIGRATIONS)}"
                raise refuse("ENVIRONMENT_UNFIT", message, "ofs doctor")
            for number, statements in enumerate(MIGRATIONS[version:], version + 1):
                for statement in statements:
                    connection.execute(text(statement))
                connection.execute(text(f"PRAGMA user_version = {number:d}"))


@dataclass
class MemoryLedger:
    """The in-memory twin: the same contract over a dictionary, for one process."""

    held: dict[str, Run] = field(default_factory=dict)
    happened: list[Transition] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def register(self, run: Run, first: Transition) -> Run:
        """Inserts a new run unless one stands."""
        with self._lock:
            if run.run_key not in self.held:
                self.held[run.run_key] = run
                self.happened.append(first)
            return self.held[run.run_key]

    def find(self, run_key: str) -> Run | None:
        """The run, or None."""
        return self.held.get(run_key)

    def change(self, before: Run, after: Run, happened: Transition) -> None:
        """Compare and swap."""
        with self._lock:
            standing = self.held.get(before.run_key)
            unchanged = standing is not None and (standing.token, standing.state) == (before.token, before.state)
            if (
                standing is None
                or not unchanged
                or (after.token != before.token and standing.lease_until != before.lease_until)
            ):
                raise _lost(before.run_key, before.token)
            self.held[before.run_key] = after
            self.happened.append(happened)

    def extend(self, run_key: str, token: int, lease_until: int) -> None:
        """Moves a lease."""
        with self._lock:
            standing = self.held.get(run_key)
            if standing is None or standing.token != token or standing.state is not State.RUNNING:
                raise _lost(run_key, token)
            self.held[run_key] = replace(standing, lease_until=lease_until)

    def events(self, run_key: str) -> list[Transition]:
        """The run's events."""
        return [e for e in self.happened if e.run_key == run_key]

    def runs(self) -> list[Run]:
        """All runs."""
        return list(self.held.values())


def _configure(connection: Any, _: Any) -> None:
    # The driver must not open transactions of its own: `_begin_immediately` does.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _lost(run_key: str, token: int) -> Refusal:
    message = f"run {run_key} changed since it was read under claim {token}: another driver holds it"
    return refuse("LEASE_LOST", message, run_key=run_key, token=token)


def _row(run: Run) -> dict[str, Any]:
    row = {f.name: getattr(run, f.name) for f in fields(Run)}
    return {**row, "state": run.state.value, "outcome": None if run.outcome is None else _json(run.outcome)}


def _run(row: RowMapping) -> Run:
    values = {f.name: row[f.name] for f in fields(Run)}
    outcome = values["outcome"] and json.loads(values["outcome"])
    return Run(**{**values, "state": State(values["state"]), "outcome": outcome})


def _event_row(happened: Transition) -> dict[str, Any]:
    row = {f.name: getattr(happened, f.name) for f in fields(Transition)}
    before = happened.before and happened.before.value
    return {**row, "before": before, "after": happened.after.value, "detail": _json(happened.detail)}


def _event(row: RowMapping) -> Transition:
    values = {f.name: row[f.name] for f in fields(Transition)}
    before = values["before"] and State(values["before"])
    return Transition(
        **{**values, "before": before, "after": State(values["after"]), "detail": json.loads(values["detail"])}
    )


def _json(document: Mapping[str, Any]) -> str:
    return encode_canonical(dict(document)).decode()
