"""The ledger's in-memory twin: the same contract over a dictionary, for one process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock

from ofs_spark.intent.ports import MOST_UNPLACED
from ofs_spark.intent.run import DatedRun, Published, Run, State, Transition, date_run
from ofs_spark.io.ledger.rows import encode_event, encode_run, group_datasets, is_publisher, refuse_late


@dataclass
class MemoryLedger:
    """Runs and events of one process; nothing survives it."""

    held: dict[str, Run] = field(default_factory=dict)
    happened: list[Transition] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def read_clock(self) -> None:
        """No clock of its own."""

    def register(self, run: Run, event: Transition) -> Run:
        """The standing run, inserted if there is none."""
        _require_rows(run, event)
        with self._lock:
            if run.run_key not in self.held:
                self.held[run.run_key] = run
                self.happened.append(event)
            return self.held[run.run_key]

    def find(self, run_key: str) -> Run | None:
        """The run, or None."""
        return self.held.get(run_key)

    def change(self, before: Run, after: Run, event: Transition) -> None:
        """Compares with `before` and swaps; LEASE_LOST if the run is another by now."""
        _require_rows(after, event)
        with self._lock:
            if not _is_as_seen(self.held.get(before.run_key), before, runs_on=after.state is State.RUNNING):
                raise refuse_late(before.run_key, before.token)
            self.held[before.run_key] = after
            self.happened.append(event)

    def extend(self, run_key: str, token: int, lease_until: int) -> None:
        """Moves a lease; LEASE_LOST if another claim holds the run."""
        with self._lock:
            standing = self.held.get(run_key)
            if standing is None or standing.token != token or standing.state is not State.RUNNING:
                raise refuse_late(run_key, token)
            self.held[run_key] = replace(standing, lease_until=lease_until)

    def list_events(self, run_key: str) -> list[Transition]:
        """The run's events."""
        return [event for event in self.happened if event.run_key == run_key]

    def list_runs(self, most: int | None = None) -> list[Run]:
        """Runs, the latest last."""
        runs = list(self.held.values())
        return runs if most is None else runs[max(0, len(runs) - most) :]

    def list_dated(self, most: int | None = None, state: State | None = None) -> list[DatedRun]:
        """Runs with their times, the latest last."""
        runs = [run for run in self.held.values() if state in (None, run.state)]
        latest = runs if most is None else runs[max(0, len(runs) - most) :]
        return [date_run(run, self.list_events(run.run_key)) for run in latest]

    def list_keys(self, prefix: str) -> list[str]:
        """Run keys that begin with some hex digits."""
        return sorted(key for key in self.held if key.startswith(prefix))

    def count_runs(self) -> int:
        """How many there are."""
        return len(self.held)

    def list_tokens(self, platform_run_id: str) -> list[tuple[str, int]]:
        """Run keys and tokens of a platform run."""
        placed = [run for run in self.held.values() if run.platform_run_id == platform_run_id]
        unplaced = [run for run in reversed(self.held.values()) if run.platform_run_id is None]
        return [(run.run_key, run.token) for run in (*placed, *unplaced[:MOST_UNPLACED])]

    def list_datasets(self, prefix: str = "dm_") -> list[Published]:
        """Datasets that runs ended with, the newest first."""
        return group_datasets(self.list_dated(state=State.DONE), prefix)

    def find_publisher(self, dataset_manifest_id: str) -> Run | None:
        """The first run that ended with this dataset."""
        return next((run for run in self.held.values() if is_publisher(run, dataset_manifest_id)), None)


def _require_rows(run: Run, event: Transition) -> None:
    """InternalError for what no database would hold."""
    encode_run(run, event.at)
    encode_event(event)


def _is_as_seen(standing: Run | None, seen: Run, *, runs_on: bool) -> bool:
    if standing is None or (standing.token, standing.state) != (seen.token, seen.state):
        return False
    return not runs_on or standing.lease_until == seen.lease_until
