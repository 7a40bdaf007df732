"""What the intent room asks of the outside: the ledger, the durable memory of runs."""

from __future__ import annotations

from typing import Protocol

from ofs_spark.intent.run import DatedRun, Published, Run, State, Transition

MOST_UNPLACED = 100
"""Runs of an unknown platform run that are named with those of another."""


class Ledger(Protocol):
    """Runs and their events. Every write is one atomic, durable transaction; events are only ever appended.

    Any thread of any number of drivers may call. What goes wrong is one of these:

    - LEASE_LOST: the run is no longer as the writer has seen it. Nothing was written.
    - ENVIRONMENT_UNFIT, pointer /ledger/dsn: the ledger cannot be used, does not answer, is locked for longer than a
      driver waits, or has the schema of a newer release. A read has no effect. The message of a write says what became
      of it. Where the reply was lost, what stands is read first: a write that landed is a success, and one that did not
      says that nothing was written. Only where that cannot be read it may have landed or not, whole in either case;
      repeating it is safe, for each compares what stands with what its writer has seen: one that had landed is then
      LEASE_LOST (`change`), the standing run (`register`), or done once more (`extend`).

    Reads create, migrate and lock nothing, and do without the right to write; before the first run is registered the
    ledger is empty. `register` makes what is missing.
    """

    def read_clock(self) -> int | None:
        """The time of the database, µs: what leases are given and judged by, whatever the clocks of drivers say.

        None where the ledger has no clock of its own.
        """
        ...

    def register(self, run: Run, event: Transition) -> Run:
        """Inserts a new run with its first event, unless one stands under its run_key; returns the standing run.

        Of any number of racing drivers one inserts, and all are given the same run.
        """
        ...

    def find(self, run_key: str) -> Run | None:
        """The run, or None."""
        ...

    def change(self, before: Run, after: Run, event: Transition) -> None:
        """Writes `after` and appends `event` if the run is still in `before`'s state under `before`'s token.

        A change to RUNNING (a claim, a takeover, a request to stop) also demands that the lease is still the one of
        `before`: no heartbeat came in between. LEASE_LOST otherwise, and nothing is written.
        """
        ...

    def extend(self, run_key: str, token: int, lease_until: int) -> None:
        """Moves the lease of a RUNNING run held under `token` to `lease_until` (µs). LEASE_LOST if another holds it."""
        ...

    def list_events(self, run_key: str) -> list[Transition]:
        """The run's events, oldest first; none for an unknown run."""
        ...

    def list_runs(self, most: int | None = None) -> list[Run]:
        """Runs in the order in which they were registered: the `most` latest; None: all."""
        ...

    def list_dated(self, most: int | None = None, state: State | None = None) -> list[DatedRun]:
        """As `list_runs`, each with its times; `state`: those alone that are in it."""
        ...

    def list_keys(self, prefix: str) -> list[str]:
        """The keys, of lower-case hex digits, that begin with some such digits; ascending."""
        ...

    def count_runs(self) -> int:
        """How many runs there are."""
        ...

    def list_tokens(self, platform_run_id: str) -> list[tuple[str, int]]:
        """(run_key, token) of each run of a platform run, and of the MOST_UNPLACED latest whose platform run is unknown.

        Those are failed runs of the first release. Whoever asks looks for each of them elsewhere, so they are bounded.
        """
        ...

    def list_datasets(self, prefix: str = "dm_") -> list[Published]:
        """Every dataset that a run ended with and whose id begins with `prefix`, the newest first, of one time by id.

        prefix: `dm_` and some lower-case hex digits, or none.
        """
        ...

    def find_publisher(self, dataset_manifest_id: str) -> Run | None:
        """The first registered run that ended with this dataset; None if there is none."""
        ...
