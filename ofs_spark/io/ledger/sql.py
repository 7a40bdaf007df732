"""A ledger in an SQL database: the port's acts, by the one body of statements.

What differs from database to database stands in the subclass: how a transaction is had, and what its loss means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from ofs_spark.intent.ports import MOST_UNPLACED
from ofs_spark.intent.run import DatedRun, Published, Run, State, Transition
from ofs_spark.io.ledger import statements
from ofs_spark.io.ledger.rows import (
    Row,
    Values,
    decode_event,
    decode_run,
    encode_event,
    encode_run,
    group_datasets,
    is_publisher,
    is_storable,
    refuse_late,
)

Answer = TypeVar("Answer")

_ALL = 2**63 - 1
"""A limit that is none: what it means to state no limit, or a negative one, the databases do not agree on."""
_BEHIND_HEX = "g"
"""Follows every digit of a run key, in every order of letters."""


@dataclass(frozen=True)
class Transaction:
    """One transaction. version: the schema's; run: (statement, values) → (rows changed, rows)."""

    version: int
    run: Callable[[str, Row], tuple[int, list[Values]]]

    def write(self, statement: str, values: Row) -> int:
        """How many rows the statement changed."""
        return self.run(statement, values)[0]

    def read(self, statement: str, **values: Any) -> list[Values]:
        """The rows of a query, by the tables of the schema's version."""
        return self.run(statement.format(runs=statements.TABLES[self.version]), values)[1]

    def find(self, run_key: str) -> Run | None:
        """The run, or None."""
        return next(map(decode_run, self.read(statements.FIND_RUN, run_key=run_key)), None)

    def list_events(self, run_key: str) -> list[Transition]:
        """The run's events, oldest first."""
        return [decode_event(values) for values in self.read(statements.LIST_EVENTS, run_key=run_key)]


class SqlLedger(ABC):
    """The port `Ledger`."""

    @abstractmethod
    def read_clock(self) -> int | None:
        """The database's time, µs; None where it has none of its own."""

    @abstractmethod
    def _begin_reading(self) -> AbstractContextManager[Transaction | None]:
        """One transaction that sees one state; None where nothing was ever registered. Creates and migrates nothing."""

    @abstractmethod
    def _write(
        self,
        act: Callable[[Transaction], Answer],
        read_back: Callable[[Transaction], Answer | None],
        creates: bool = False,
    ) -> Answer:
        """What `act` answers, in one durable transaction over this release's schema; nothing is written if it raises.

        read_back: where the reply to the commit was lost, asked of what stands then: the answer of a write that landed,
        else None. creates: makes the tables if there are none.
        """

    def register(self, run: Run, event: Transition) -> Run:
        """The standing run, inserted with its first event if there is none; makes or migrates the tables as needed."""
        row, told = encode_run(run, event.at), encode_event(event)

        def insert(writing: Transaction) -> Run:
            """The run that stands afterwards."""
            if writing.write(statements.INSERT_RUN, row) == 1:
                writing.write(statements.INSERT_EVENT, told)
            (standing,) = writing.read(statements.FIND_RUN, run_key=run.run_key)
            return decode_run(standing)

        return self._write(insert, lambda reading: reading.find(run.run_key), creates=True)

    def find(self, run_key: str) -> Run | None:
        """The run, or None."""
        return next(map(decode_run, self._select(statements.FIND_RUN, run_key=run_key)), None)

    def change(self, before: Run, after: Run, event: Transition) -> None:
        """Compares with `before` and swaps; LEASE_LOST if the run is another by now."""
        statement = statements.TAKE_RUN if after.state is State.RUNNING else statements.CHANGE_RUN
        seen = {"seen_token": before.token, "seen_state": before.state.value, "seen_lease": before.lease_until}
        row, told = {**encode_run(after, event.at), **seen}, encode_event(event)

        def swap(writing: Transaction) -> bool:
            """True."""
            if writing.write(statement, row) != 1:
                raise refuse_late(before.run_key, before.token)
            writing.write(statements.INSERT_EVENT, told)
            return True

        # The event tells: no other change of any driver leaves one that is equal, and none is ever removed.
        self._write(swap, lambda reading: event in reading.list_events(before.run_key) or None)

    def extend(self, run_key: str, token: int, lease_until: int) -> None:
        """Moves a lease; LEASE_LOST if another claim holds the run."""
        values = {"run_key": run_key, "token": token, "lease_until": lease_until}

        def move(writing: Transaction) -> bool:
            """True."""
            if writing.write(statements.EXTEND_LEASE, values) != 1:
                raise refuse_late(run_key, token)
            return True

        def has_moved(reading: Transaction) -> bool | None:
            """True if the lease is the one that was written."""
            found = reading.find(run_key)
            return (found is not None and (found.token, found.lease_until) == (token, lease_until)) or None

        self._write(move, has_moved)

    def list_events(self, run_key: str) -> list[Transition]:
        """The run's events, oldest first."""
        return [decode_event(values) for values in self._select(statements.LIST_EVENTS, run_key=run_key)]

    def list_runs(self, most: int | None = None) -> list[Run]:
        """Runs, the latest last."""
        latest_first = self._select(statements.LIST_RUNS, most=_ALL if most is None else most)
        return [decode_run(values) for values in reversed(latest_first)]

    def list_dated(self, most: int | None = None, state: State | None = None) -> list[DatedRun]:
        """Runs with their times, the latest last."""
        bounds = {"most": _ALL if most is None else most, "state": state and state.value}
        return _decode_dated(self._select(statements.LIST_DATED, **bounds))

    def list_keys(self, prefix: str) -> list[str]:
        """Run keys that begin with some hex digits."""
        found = self._select(statements.LIST_KEYS, start=prefix, stop=prefix + _BEHIND_HEX)
        return [values[0] for values in found]

    def count_runs(self) -> int:
        """How many there are."""
        return next((int(values[0]) for values in self._select(statements.COUNT_RUNS)), 0)

    def list_tokens(self, platform_run_id: str) -> list[tuple[str, int]]:
        """Run keys and tokens of a platform run."""
        bounds = {"platform_run_id": platform_run_id, "unplaced": MOST_UNPLACED}
        return [(run_key, token) for run_key, token in self._select(statements.LIST_TOKENS, **bounds)]

    def list_datasets(self, prefix: str = "dm_") -> list[Published]:
        """Datasets that runs ended with, the newest first."""
        if not is_storable(prefix):
            return []
        with self._begin_reading() as reading:
            if reading is None:
                return []
            if reading.version < statements.KNOWS_DATASETS:
                done = reading.read(statements.LIST_DATED, most=_ALL, state=State.DONE.value)
                return group_datasets(_decode_dated(done), prefix)
            found = reading.read(statements.LIST_DATASETS, start=prefix, stop=prefix + _BEHIND_HEX)
            return [Published(dataset, run, at) for dataset, run, at in found]

    def find_publisher(self, dataset_manifest_id: str) -> Run | None:
        """The first run that ended with this dataset."""
        sieve = f"%{_escape_pattern(dataset_manifest_id)}%"
        found = self._select(statements.FIND_PUBLISHERS, pattern=sieve)
        return next((run for run in map(decode_run, found) if is_publisher(run, dataset_manifest_id)), None)

    def _select(self, statement: str, **values: Any) -> list[Values]:
        """The rows of a query. A text that no row can hold is found in none."""
        if not all(is_storable(value) for value in values.values() if isinstance(value, str)):
            return []
        with self._begin_reading() as reading:
            return [] if reading is None else reading.read(statement, **values)


def _decode_dated(latest_first: Sequence[Values]) -> list[DatedRun]:
    """The runs of LIST_DATED, the latest last."""
    return [DatedRun(decode_run(run), began, ended) for *run, began, ended in reversed(latest_first)]


def _escape_pattern(text: str) -> str:
    return "".join(f"!{char}" if char in "!%_" else char for char in text)
