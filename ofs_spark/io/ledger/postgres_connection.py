"""One connection to PostgreSQL: bounded in every wait, and told of in our own words when it fails.

libpq's messages may quote the address, and what the environment put into it: none of them is ever shown.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection, Error

MOST_S = 75.0
"""How long a call may take, whatever the server does: more than two waits of a statement."""

_SETTINGS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "ofs",
    "client_encoding": "UTF8",
}
"""What libpq is told unless the address says otherwise: a peer that has gone is noticed in half a minute."""

_BY_STATE = (
    (r"28", "the server does not accept the role or its password"),
    (r"3D", "the server has no database of that name"),
    (r"42501", "the role lacks a right; docs/runbook.md has those that a ledger needs"),
    (r"25006", "the server takes no writes: it is a standby, or read-only"),
    (r"53100", "the server's disk is full"),
    (r"53", "the server has no memory or connection left"),
    (r"55P03|57014|40P01", "it is locked for longer than a driver waits"),
    (r"57|08", "the server is going down, or not up yet"),
    (r"42|0A", "its tables are not those of a ledger, or the server is older than PostgreSQL 13"),
)
"""SQLSTATE → what it means here."""
_BY_TEXT = (
    (r"password|authentication|pg_hba|role \"", _BY_STATE[0][1]),
    (r"database \"", _BY_STATE[1][1]),
    (r"too many (clients|connections)|connection slots", _BY_STATE[5][1]),
    (r"starting up|shutting down|recovery", _BY_STATE[7][1]),
    (r"SSL|certificate|GSSAPI", "client and server do not agree on encryption"),
    (r"refused|No such file", "nothing listens at its address"),
    (r"translate host|resolve|Name or service", "its host is not known"),
    (r"timeout|timed out", "it does not answer"),
    (r"conninfo|connection string|connection option|URI|invalid (integer|port|percent)", "its address is malformed"),
)
"""Words of an error that has no SQLSTATE, such as a connection's → what it means here. The first that is found."""
_LOST = "the connection was lost"


@contextmanager
def connect(dsn: str) -> Iterator[Connection]:
    """A connection without a transaction. What fails is a psycopg.Error; after MOST_S seconds the connection is cut."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    address = make_conninfo("", **{**_SETTINGS, **conninfo_to_dict(dsn)})
    # Prepared statements belong to a session, which a pool of transactions does not give.
    with closing(psycopg.connect(address, autocommit=True, prepare_threshold=None)) as connection, _bound(connection):
        yield connection


@contextmanager
def _bound(connection: Connection) -> Iterator[None]:
    """Cuts the connection if the block takes too long. A duplicate is held, for the number of a closed file is used again."""
    with socket.socket(fileno=os.dup(connection.fileno())) as held:

        def cut() -> None:
            """Ends whatever waits for the server."""
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

        guard = threading.Timer(MOST_S, cut)
        guard.daemon = True
        guard.start()
        try:
            yield
        finally:
            guard.cancel()


def describe_failure(error: Error) -> str:
    """What went wrong, in words that hold nothing of the address."""
    state = error.sqlstate
    if state:
        known = next((text for pattern, text in _BY_STATE if re.match(pattern, state)), "it failed")
        return f"{known} (SQLSTATE {state})"
    return next((text for pattern, text in _BY_TEXT if re.search(pattern, str(error))), _LOST)
