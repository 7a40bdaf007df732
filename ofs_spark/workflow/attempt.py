"""One attempt of a claimed run: where it works, how long its parts take, and how its end is recorded."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.clock import Clock
from ofs_spark.foundation.ends import describe_end, find_owner
from ofs_spark.foundation.errors import OfsError, Refusal
from ofs_spark.foundation.ports import Announce
from ofs_spark.foundation.refs import OwnedRef, name_staging, name_table
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State
from ofs_spark.workflow.context import RunContext

if TYPE_CHECKING:
    from ofs_spark.foundation.columnar.ports import Engine
    from ofs_spark.pins.plan import BuildPlan

Answer = dict[str, Any]


@dataclass
class Timings:
    """Wall seconds by what they were spent on."""

    announce: Announce
    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, room: str, doing: str, entry: str = "") -> Iterator[None]:
        """Announces what a room does and adds its time to the entry, which is the room's where none is named."""
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
    """The claim it holds, its engine, and the folders that no other attempt uses."""

    run: Run
    name: str
    engine: Engine
    staging: OwnedRef
    table: OwnedRef


def begin_attempt(plan: BuildPlan, run: Run, engine: Engine) -> Attempt:
    """The attempt of a claim: its name is the claim's and a random part, so that a retry by hand is another one too."""
    name, platform_run_id = f"{run.attempt}-{uuid.uuid4().hex[:12]}", plan.intent.platform_run_id
    staging = name_staging(platform_run_id, plan.plan_id, name)
    return Attempt(run, name, engine, staging, name_table(platform_run_id, plan.dataset_manifest_id, name))


@contextmanager
def record_end(run: Run, intent: Intent, context: RunContext, audit: Audit) -> Iterator[Answer]:
    """Records in the ledger how the claimed run ended, whichever way, and signals it. The block fills the answer."""
    answer: Answer = {}
    try:
        yield answer
    except BaseException as error:  # an interrupt too: the next attempt need not wait for the lease to run out
        owner, outcome = find_owner(error), describe_end(error)
        _record_failure(run, outcome, intent, context, audit)
        if owner is None or owner is error:
            raise
        raise owner from error
    _record(run, State.DONE, answer["outcome"], answer, intent, context, audit)


def _record_failure(run: Run, outcome: Answer, intent: Intent, context: RunContext, audit: Audit) -> None:
    """Records an end without a dataset. A ledger that cannot be told hides nothing: the lease will run out."""
    reason = str(outcome.get("code") or outcome["reason"])
    state = State.PUBLISH_PENDING if reason == "COMMIT_OUTCOME_UNKNOWN" else State.FAILED
    try:
        _record(run, state, reason, outcome, intent, context, audit)
    except OfsError as untold:
        context.announce("signals", f"FAILED to record how the run ended: {untold}")


def _record(
    run: Run, state: State, reason: str, outcome: Mapping[str, Any], intent: Intent, context: RunContext, audit: Audit
) -> None:
    from ofs_spark.signals.write import write_signals

    if reason == "LEASE_LOST":  # another driver has the run: its record is the one that counts
        return
    try:
        context.control.end(run, state, reason, outcome)
    except Refusal as refusal:
        if refusal.code != "LEASE_LOST" or state is State.DONE:
            raise
        context.announce("signals", f"note: {refusal.message}; it records how the run ends")
        return
    context.announce("signals", "records how the run ended")
    write_signals(context.objects, context.announce, context.control, run, intent, outcome, audit)
