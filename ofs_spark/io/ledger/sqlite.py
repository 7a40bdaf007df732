"""The ledger in one SQLite file on a local disk (its write-ahead log does not work on network file systems).

Every write is one transaction that takes the write lock first, so two drivers never see the same claim succeed, and is
synced to the disk before it returns (WAL, synchronous=FULL). A read takes no lock, creates nothing and migrates
nothing: where no run was ever registered there is no file, and the ledger is empty. The file comes into being when
the first run is registered.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.ledger import statements
from ofs_spark.io.ledger.rows import Row, Values, refuse_unfit
from ofs_spark.io.ledger.sql import Answer, SqlLedger, Transaction

SCHEME = "sqlite:///"
_BUSY_S = 30
"""How long a transaction waits for another one."""
_AS_IT_IS = "mode=ro&immutable=1"
"""Options that read the file alone, without index and log."""
_PRIMARY = 0xFF
"""The part of SQLite's error codes that says what kind it is."""
APPLICATION = 0x4F46534C
"""Marks a file as a ledger: `OFSL` in its header. Those of the first releases have their tables alone."""
_OWN_TABLES = {"ofs_run", "ofs_run_event"}
MIGRATIONS = statements.write_migrations(statements.SQLITE)


@dataclass(frozen=True)
class SqliteLedger(SqlLedger):
    """The ledger in the file at `path`. A value: each call opens the file anew, so any thread may call."""

    path: str

    @classmethod
    def at(cls, dsn: str) -> SqliteLedger:
        """The ledger of a `sqlite:///FILE` address, which need not exist yet; ENVIRONMENT_UNFIT if it is unusable."""
        path = dsn.removeprefix(SCHEME)
        if path in (dsn, "", ":memory:"):
            raise refuse_unfit("ledger.dsn is no address of a file; sqlite:///FILE is required")
        ledger = cls(path)
        with ledger._begin_reading():
            return ledger

    def read_clock(self) -> None:
        """No clock of its own: the file lies on the driver's machine."""

    @contextmanager
    def _begin_reading(self) -> Iterator[Transaction | None]:
        """One deferred transaction; None where nothing was ever registered."""
        with _map_errors():
            if not os.path.exists(self.path):
                yield None
                return
            with closing(open_for_reading(self.path)) as connection:
                version = _find_version(connection)
                yield _join(connection, version) if version else None

    def _write(
        self,
        act: Callable[[Transaction], Answer],
        read_back: Callable[[Transaction], Answer | None],  # noqa: ARG002  # no reply of a file is ever lost
        creates: bool = False,
    ) -> Answer:
        """One transaction with the write lock from its start; rolled back if `act` raises."""
        with _map_errors():
            if creates and not os.path.exists(self.path):
                _create_ledger(Path(self.path))
            with closing(open_for_writing(self.path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                _migrate(connection)
                answer = act(_join(connection, statements.VERSION))
                connection.execute("COMMIT")
                return answer


def _join(connection: sqlite3.Connection, version: int) -> Transaction:
    """The transaction that a connection is in."""

    def run(statement: str, values: Row) -> tuple[int, list[Values]]:
        """Rows changed, rows read."""
        cursor = connection.execute(statement, values)
        return cursor.rowcount, cursor.fetchall()

    return Transaction(version, run)


def open_for_writing(path: str, mode: str = "rw") -> sqlite3.Connection:
    """A connection whose commits survive a power cut. `mode`: rw demands the file, rwc creates it."""
    connection = _open(path, f"mode={mode}")
    try:
        _find_version(connection)  # nothing of another application's file is changed, its journal included
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
    except (sqlite3.Error, Refusal):
        connection.close()
        raise
    return connection


def open_for_reading(path: str) -> sqlite3.Connection:
    """A connection in a transaction that never creates the file, and reads one that this process may not write.

    SQLite keeps a small index beside a file in WAL mode while it is open. Where it cannot, for want of rights or of
    room, the file is read as it is, unless a log lies beside it: that holds transactions which must not be missed.
    """
    may_write = all(os.access(place, os.W_OK, effective_ids=True) for place in (path, Path(path).parent))
    try:
        return _begin(path, "mode=rw" if may_write else "mode=ro" if _has_log(path) else _AS_IT_IS)
    except sqlite3.OperationalError as failed:
        if failed.sqlite_errorcode & _PRIMARY not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) or _has_log(path):
            raise
        _remove_index(path)
        return _begin(path, _AS_IT_IS)


def _begin(path: str, options: str) -> sqlite3.Connection:
    """A connection whose transaction has begun to read."""
    connection = _open(path, options)
    try:
        connection.execute("BEGIN")
        _find_version(connection)  # the transaction begins with what is read first
    except (sqlite3.Error, Refusal):
        connection.close()
        raise
    return connection


def _remove_index(path: str) -> None:
    """Removes what a failed read left beside the file, unless somebody else has it open."""
    with suppress(sqlite3.Error, OSError), closing(_open(path, "mode=rw", wait_s=0)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # the lock shuts others out, and needs no index
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        os.unlink(f"{path}-shm")  # the empty log goes with the connection


def _has_log(path: str) -> bool:
    """Whether a write-ahead log that holds something lies beside the file."""
    with suppress(FileNotFoundError):
        return os.stat(f"{path}-wal").st_size > 0
    return False


def _open(path: str, options: str, wait_s: float = _BUSY_S) -> sqlite3.Connection:
    address = f"{Path(path).absolute().as_uri()}?{options}"
    # No isolation level: the driver must not open transactions of its own.
    return sqlite3.connect(address, uri=True, timeout=wait_s, isolation_level=None)


def _create_ledger(path: Path) -> None:
    """A complete, empty ledger at `path`, unless one stands there by then.

    It is made aside and linked to its name: drivers that switch one new file to WAL at the same time lock each other
    out, and nobody meets a half-made ledger.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".ledger-", dir=path.parent) as aside:
        made = Path(aside, "ledger")
        with closing(open_for_writing(str(made), "rwc")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            _migrate(connection)
            connection.execute("COMMIT")
        with suppress(FileExistsError):
            os.link(made, path)


def _migrate(connection: sqlite3.Connection) -> None:
    """Brings the schema to this release's version, inside the caller's transaction."""
    version = _find_version(connection)
    if not version:
        connection.execute(f"PRAGMA application_id = {APPLICATION:d}")
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        for statement in migration:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number:d}")


def _find_version(connection: sqlite3.Connection) -> int:
    """The file's schema version, 0 for an empty file.

    ENVIRONMENT_UNFIT if another application wrote the file, or a newer release.
    """
    version, mark = (int(_read_pragma(connection, name)) for name in ("user_version", "application_id"))
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    is_own = mark == APPLICATION or (mark == 0 and version > 0 and tables >= _OWN_TABLES)
    if not is_own and (version or mark or tables):
        raise refuse_unfit("the file that ledger.dsn names is another application's; name one of its own, or a new one")
    if version > statements.VERSION:
        raise refuse_unfit(f"the ledger has schema version {version}; this release knows {statements.VERSION}")
    return version


def _read_pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


@contextmanager
def _map_errors() -> Iterator[None]:
    """Errors of SQLite and of the file system as ENVIRONMENT_UNFIT."""
    try:
        yield
    except (sqlite3.Error, OSError) as failed:
        reason = failed.strerror if isinstance(failed, OSError) else str(failed)
        raise refuse_unfit(f"the ledger that ledger.dsn names cannot be used: {reason}") from failed
