"""One attempt of a claimed run: where it works, and how long its parts take."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ofs_spark.foundation.clock import Clock
from ofs_spark.foundation.ports import Announce
from ofs_spark.foundation.refs import OwnedRef, name_staging, name_table
from ofs_spark.intent.run import Run

if TYPE_CHECKING:
    from ofs_spark.foundation.columnar.ports import Engine
    from ofs_spark.pins.plan import BuildPlan


@dataclass
class Timings:
    """Wall seconds by what they were spent on: rooms, and `load`, `compile` and `engine`, which are no room's work."""

    announce: Announce
    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, room: str, doing: str = "", entry: str = "") -> Iterator[None]:
        """Announces what a room does, where it does not say so itself, and adds its time to the entry, which is the room's
        where none is named."""
        if doing:
            self.announce(room, doing)
        start = self.clock.monotonic()
        try:
            yield
        finally:
            self.add(entry or room, self.clock.monotonic() - start)

    def apportion(self, entry: str, spent: Mapping[str, float]) -> None:
        """Splits the time of one job among the rooms that worked in it, by the seconds that workers spent in each."""
        wall, total = self.seconds.pop(entry), sum(spent.values()) or 1.0
        for room, seconds in spent.items():
            self.add(room, wall * seconds / total)

    def add(self, entry: str, seconds: float) -> None:
        """Adds to an entry."""
        self.seconds[entry] = round(self.seconds.get(entry, 0.0) + seconds, 3)


@dataclass(frozen=True)
class Attempt:
    """The claim it holds, its engine, the folder of its plan's staged rows, and that of its table, which is its own."""

    run: Run
    name: str
    engine: Engine
    staging: OwnedRef
    table: OwnedRef


def begin_attempt(plan: BuildPlan, run: Run, engine: Engine) -> Attempt:
    """The attempt of a claim: its name is the claim's and a random part, so that a retry by hand is another one too."""
    name, platform_run_id = f"{run.attempt}-{uuid.uuid4().hex[:12]}", plan.intent.platform_run_id
    staging = name_staging(platform_run_id, plan.plan_id)
    return Attempt(run, name, engine, staging, name_table(platform_run_id, plan.dataset_manifest_id, name))
