"""What the intent room asks of the outside: the ledger, the durable memory of runs."""

from __future__ import annotations

from typing import Protocol

from ofs_spark.intent.run import Run, Transition


class Ledger(Protocol):
    """Runs and their events. Every write is one atomic, durable transaction; events are only ever appended."""

    def register(self, run: Run, event: Transition) -> Run:
        """Inserts a new run with its first event, unless one stands under its run_key; returns the standing run."""
        ...

    def find(self, run_key: str) -> Run | None:
        """The run, or None."""
        ...

    def change(self, before: Run, after: Run, event: Transition) -> None:
        """Writes `after` and appends `event` if the run is still in `before`'s state under `before`'s token.

        A change of token (a takeover) also demands that the lease is still the one of `before`: no heartbeat came in
        between. LEASE_LOST otherwise, and nothing is written.
        """
        ...

    def extend(self, run_key: str, token: int, lease_until: int) -> None:
        """Moves the lease of a RUNNING run held under `token`. LEASE_LOST if another claim holds it."""
        ...

    def events(self, run_key: str) -> list[Transition]:
        """The run's events, oldest first."""
        ...

    def runs(self) -> list[Run]:
        """All runs, in the order in which they were registered."""
        ...
