"""The ledger in PostgreSQL (13 or newer): for drivers on several machines.

Each call has a connection of its own, so that a ledger is a value, any thread may call, nothing idle can be lost, and a pool
of transactions (PgBouncer) may stand between. Everything is set inside a transaction, nothing in a session.
Writes are decided by conditional updates alone. One thing those cannot decide, who makes or migrates the tables: for that
alone there is an advisory lock, which ends with its transaction.

psycopg loads with the first call.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.ledger import statements
from ofs_spark.io.ledger.postgres_connection import connect, describe_failure
from ofs_spark.io.ledger.rows import Row, Values, refuse_unfit
from ofs_spark.io.ledger.sql import Answer, SqlLedger, Transaction

if TYPE_CHECKING:
    from psycopg import Connection

SCHEME = "postgresql://"
MARK = "ofs-ledger"
"""Marks a schema's tables as a ledger's, in its table `ofs_ledger`."""
MIGRATIONS = statements.write_migrations(statements.POSTGRESQL)
WAIT_MS = 30_000
"""How long a statement waits for another transaction: as long as SQLite waits for its lock."""
SETTLE_S = 10.0
"""How long the state of a transaction whose reply was lost is asked for."""
MADE_S, LOOK_S = 5.0, 0.05
"""How long tables that are half there may be another driver's at work; between two looks at them."""
NOTHING, PERHAPS = "nothing was written", "it may have been written"

_LOCK = 0x4F46534C
_BOUNDS = f"SET LOCAL statement_timeout = {WAIT_MS}; SET LOCAL lock_timeout = {WAIT_MS}"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_BOUNDS}"
_WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_BOUNDS}; SET LOCAL synchronous_commit = on"
_VERSION = "SELECT mark, version FROM ofs_ledger"
_TABLES = """SELECT current_schema() IS NOT NULL,
    coalesce(bool_or(relname = 'ofs_ledger'), FALSE), coalesce(bool_or(relname <> 'ofs_ledger'), FALSE)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname IN ('ofs_ledger', 'ofs_run', 'ofs_run_event') AND nspname = ANY (current_schemas(FALSE))"""
"""Asked of the catalogue's rows, in one snapshot. What looks names up (to_regclass, pg_table_is_visible) has another one, and
may know some of the tables that a transaction made, and some not."""
_MAKE = "CREATE TABLE ofs_ledger (mark TEXT NOT NULL, version INTEGER NOT NULL)"
_CLOCK = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
_OWN = "SELECT pg_backend_pid(), CAST(pg_current_xact_id() AS TEXT)"
_IS_OPEN = "SELECT pg_xact_status(CAST(%s AS xid8)) = 'in progress'"
_END_BACKEND = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = %s AND backend_xid = CAST(CAST(%s AS xid8) AS xid)"""
_PARAMETER = re.compile(r":(\w+)")


@dataclass(frozen=True)
class PostgresLedger(SqlLedger):
    """The ledger in the first schema of the search path that `dsn` gives, an address as libpq reads it."""

    dsn: str

    @classmethod
    def at(cls, dsn: str) -> PostgresLedger:
        """The ledger of a `postgresql://…` address, which need not hold one yet; ENVIRONMENT_UNFIT if it is unusable."""
        if not dsn.startswith(SCHEME):
            raise refuse_unfit("ledger.dsn is no address of a server; postgresql://… is required")
        ledger = cls(dsn)
        with ledger._begin_reading():
            return ledger

    def read_clock(self) -> int:
        """The server's time, µs."""
        with _map_errors(), connect(self.dsn) as connection:
            return int(_fetch(connection, _CLOCK)[0])

    @contextmanager
    def _begin_reading(self) -> Iterator[Transaction | None]:
        """One transaction that sees one state, and may be of a standby; None where nothing was ever registered."""
        with _map_errors(), connect(self.dsn) as connection:
            version = _begin(connection, _READ)
            yield _join(connection, version) if version else None

    def _write(
        self,
        act: Callable[[Transaction], Answer],
        read_back: Callable[[Transaction], Answer | None],
        creates: bool = False,
    ) -> Answer:
        """One transaction; where the reply to its commit is lost, what became of it is asked on a new connection."""
        with _map_errors(NOTHING), connect(self.dsn) as connection:
            if _begin(connection, _WRITE) < statements.VERSION:
                _migrate(connection, creates)
            own = _fetch(connection, _OWN)
            answer = act(_join(connection, statements.VERSION))
            lost = _commit(connection)
        return answer if lost is None else self._settle(lost, own, read_back)

    def _settle(self, lost: str, own: Values, read_back: Callable[[Transaction], Answer | None]) -> Answer:
        """The answer of a write that landed; ENVIRONMENT_UNFIT that says what is known of one whose reply was `lost`."""
        try:
            with _map_errors(), connect(self.dsn) as connection:
                _await_end(connection, own)
            with self._begin_reading() as reading:
                landed = None if reading is None else read_back(reading)
        except Refusal:
            raise _refuse(lost, PERHAPS) from None
        if landed is None:
            raise _refuse(lost, NOTHING)
        return landed


def _commit(connection: Connection) -> str | None:
    """None where the commit was confirmed; else why it was not."""
    import psycopg

    try:
        connection.execute("COMMIT")
    except psycopg.Error as failed:
        return describe_failure(failed)
    return None


def _await_end(connection: Connection, own: Values) -> None:
    """Returns when the transaction has ended, either way; ENVIRONMENT_UNFIT where it goes on.

    A server may be at work on a commit whose client it has lost, or wait for a client that it has not yet missed.
    """
    pid, xact = own
    until = time.monotonic() + SETTLE_S
    while _fetch(connection, _IS_OPEN, xact)[0]:
        connection.execute(_END_BACKEND, (pid, xact))
        if time.monotonic() > until:
            raise refuse_unfit("the transaction goes on")
        time.sleep(0.05)


def _join(connection: Connection, version: int) -> Transaction:
    """The transaction that a connection is in."""

    def run(statement: str, values: Row) -> tuple[int, list[Values]]:
        """Rows changed, rows read."""
        cursor = connection.execute(_rewrite(statement), values)
        return cursor.rowcount, list(cursor) if cursor.description else []

    return Transaction(version, run)


@lru_cache(maxsize=64)
def _rewrite(statement: str) -> bytes:
    """The statement with its parameters as psycopg names them."""
    return _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%")).encode()


def _begin(connection: Connection, begin: str) -> int:
    """Begins a transaction: the schema's version, 0 where there is none. ENVIRONMENT_UNFIT if it is not OFS' to use.

    A server knows what was just made by its name before a transaction sees its rows, or the other way round. So what is half
    there is looked at again, in another transaction.
    """
    until = time.monotonic() + MADE_S
    while (version := _look(connection, begin)) is None:
        connection.execute("ROLLBACK")
        if time.monotonic() > until:
            raise _refuse_foreign()
        time.sleep(LOOK_S)
    return version


def _look(connection: Connection, begin: str) -> int | None:
    """`_begin`, once: None where tables are half there."""
    from psycopg.errors import UndefinedColumn, UndefinedTable

    connection.execute(begin.encode())
    try:
        return _read_version(connection)
    except UndefinedColumn:
        raise _refuse_foreign() from None
    except UndefinedTable:
        connection.execute("ROLLBACK")
        connection.execute(begin.encode())
        return None if _has_tables(connection) else 0


def _migrate(connection: Connection, creates: bool) -> None:
    """Brings the schema to this release's version, inside the caller's transaction; one driver at a time."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    version = _read_version(connection) if _has_tables(connection) else 0
    if version is None:
        raise _refuse_foreign()
    if not version:
        if not creates:
            raise refuse_unfit("the ledger that ledger.dsn names is not there: nothing was ever registered in it")
        connection.execute(_MAKE)
        connection.execute("INSERT INTO ofs_ledger VALUES (%s, 0)", (MARK,))
    for statement in (one for migration in MIGRATIONS[version:] for one in migration):
        connection.execute(statement.encode())
    connection.execute("UPDATE ofs_ledger SET version = %s", (statements.VERSION,))


def _read_version(connection: Connection) -> int | None:
    """None where the table has no row, or none that this transaction sees."""
    mark, version = _fetch(connection, _VERSION)
    if mark is None:
        return None
    if mark != MARK:
        raise _refuse_foreign()
    if version > statements.VERSION:
        raise refuse_unfit(f"the ledger has schema version {version}; this release knows {statements.VERSION}")
    return int(version)


def _has_tables(connection: Connection) -> bool:
    """Whether a ledger stands; ENVIRONMENT_UNFIT where its place is taken, or there is no place for it."""
    has_place, has_mark, has_others = _fetch(connection, _TABLES)
    if not has_place:
        raise refuse_unfit("the search path of ledger.dsn names no schema that the role may use")
    if has_others and not has_mark:
        raise _refuse_foreign()
    return bool(has_mark)


def _fetch(connection: Connection, statement: str, *values: Any) -> Values:
    """The first row; of an empty table a row of nothing, which no caller takes for its own."""
    row = connection.execute(statement.encode(), values or None).fetchone()
    return (None, 0) if row is None else row


@contextmanager
def _map_errors(state: str = "") -> Iterator[None]:
    """Errors of psycopg as ENVIRONMENT_UNFIT. state: what is known of a write that such an error ends."""
    import psycopg

    try:
        yield
    except (psycopg.Error, UnicodeError) as failed:
        found = describe_failure(failed) if isinstance(failed, psycopg.Error) else "its address is malformed"
        raise _refuse(found, state) from None


def _refuse(found: str, state: str) -> Refusal:
    rest = f"; {state}" if state else ""
    return refuse_unfit(f"the ledger that ledger.dsn names cannot be used: {found}{rest}")


def _refuse_foreign() -> Refusal:
    return refuse_unfit(
        "tables of a ledger's names stand in the schema of ledger.dsn and are another application's; name another schema"
    )
