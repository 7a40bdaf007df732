"""A ledger whose disk is full, or fails: each write is refused in one way and leaves what stood, reads go on."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.intent.run import Run, State, Transition
from ofs_spark.io.ledger import sqlite
from ofs_spark.io.ledger.sqlite import SqliteLedger
from tests.unit.test_ledger import OLD_DDL

HELD = Run("k" * 32, "request.0001", "ab" * 32, State.RUNNING, 1, 0, 1, "host:1", 5, False, None, "platform_1")
LONG = {"text": "x" * 200_000}
"""More than the pages that a ledger has in reserve."""


def make_event(run: Run) -> Transition:
    return Transition(run.run_key, 7, run.token, None, run.state, "REQUESTED", LONG)


WRITES: dict[str, Callable[[SqliteLedger], object]] = {
    "register": lambda ledger: ledger.register(replace(HELD, run_key="n" * 32), make_event(HELD)),
    "claim": lambda ledger: ledger.change(HELD, replace(HELD, token=2), make_event(HELD)),
    "end": lambda ledger: ledger.change(HELD, replace(HELD, state=State.DONE, outcome=LONG), make_event(HELD)),
    "beat": lambda ledger: ledger.extend(HELD.run_key, 1, 10**15),
}


@dataclass
class Disk:
    """A folder on a disk that can be full for a while."""

    folder: Path
    fill: Callable[[], AbstractContextManager[None]]

    @property
    def ledger(self) -> SqliteLedger:
        return SqliteLedger.at(f"sqlite:///{self.folder}/ledger.sqlite")


@pytest.fixture(params=["a full file system", "no room in the file", "writes that fail"])
def disk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    if request.param == "a full file system":
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("this process may not mount a file system")
        try:
            yield Disk(tmp_path, lambda: fill_up(tmp_path))
        finally:
            subprocess.run(["umount", tmp_path], check=True)
    elif request.param == "no room in the file":  # SQLITE_FULL, by SQLite's own limit
        yield Disk(tmp_path, lambda: limit_pages(monkeypatch))
    else:  # SQLITE_IOERR
        yield Disk(tmp_path, limit_file_size)


@contextmanager
def fill_up(folder: Path) -> Iterator[None]:
    """Not a byte is left."""
    full = folder / "full"
    with full.open("wb", buffering=0) as file, suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
    try:
        yield
    finally:
        full.unlink()


@contextmanager
def limit_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened = sqlite.open_for_writing

    def open_limited(path: str, mode: str = "rw") -> sqlite3.Connection:
        connection = opened(path, mode)
        connection.execute("PRAGMA max_page_count = 1")  # becomes the pages that there are
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "open_for_writing", open_limited)
        yield


@contextmanager
def limit_file_size() -> Iterator[None]:
    """No file of this process grows."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def look(ledger: SqliteLedger) -> tuple[Any, ...]:
    """Everything that the ledger holds, once SQLite finds it sound."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return ledger.list_runs(), [ledger.list_events(run.run_key) for run in ledger.list_runs()]


def require_unfit(write: Callable[[], object]) -> None:
    with pytest.raises(Refusal) as caught:
        write()
    assert (caught.value.code, caught.value.details) == ("ENVIRONMENT_UNFIT", {"pointer": "/ledger/dsn"})


@pytest.mark.parametrize("name", WRITES)
def test_a_write_without_room_is_refused_and_leaves_the_ledger_whole(
    name: str, disk: Disk, request: pytest.FixtureRequest
) -> None:
    disk.ledger.register(HELD, make_event(HELD))
    before, fits = look(disk.ledger), name == "beat" and "no room" in request.node.name  # it changes a page in place
    with disk.fill():
        if not fits:
            require_unfit(lambda: WRITES[name](disk.ledger))
            assert disk.ledger.list_runs() == before[0]
    if not fits:
        assert look(disk.ledger) == before
    WRITES[name](disk.ledger)
    assert look(disk.ledger) != before


def test_the_first_run_of_a_ledger_without_room_leaves_no_half_ledger(disk: Disk) -> None:
    with disk.fill():
        require_unfit(lambda: disk.ledger.register(HELD, make_event(HELD)))
        assert disk.ledger.list_runs() == []
    assert [path.name for path in disk.folder.iterdir() if path.name.startswith(".ledger-")] == []
    assert disk.ledger.register(HELD, make_event(HELD)) == HELD


def test_a_migration_without_room_leaves_the_older_ledger(disk: Disk) -> None:
    with closing(sqlite3.connect(disk.ledger.path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(OLD_DDL)
    before = look(disk.ledger)
    with disk.fill():
        require_unfit(lambda: disk.ledger.extend("dead", 2, 10**15))
    assert look(disk.ledger) == before
    with closing(sqlite3.connect(disk.ledger.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    disk.ledger.extend("dead", 2, 10**15)


def test_a_read_without_room_leaves_nothing_beside_the_ledger(disk: Disk) -> None:
    disk.ledger.register(HELD, make_event(HELD))
    before = {path.name for path in disk.folder.iterdir()}
    with disk.fill():
        assert disk.ledger.list_runs() == [HELD]
        assert {path.name for path in disk.folder.iterdir()} - {"full"} == before
