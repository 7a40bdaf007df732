"""Run control: claims a run in the ledger, keeps its lease, and records how it ended."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ofs_spark.foundation.clock import SECOND_US, Clock, to_micros
from ofs_spark.foundation.ends import Stopped, refuse_ambiguous
from ofs_spark.foundation.errors import refuse
from ofs_spark.intent.ports import Ledger
from ofs_spark.intent.run import (
    CANCEL_REQUESTED,
    CANCELLED_BY_RUN_CONTROL,
    UNCOUNTED,
    Limits,
    Run,
    State,
    Transition,
    claim,
    end,
    require_held,
    require_in_time,
    require_same_intent,
)

_PREFIX, _TOO_SHORT = re.compile(r"[0-9a-f]{6,31}"), re.compile(r"[0-9a-f]{1,5}")
"""The beginning of a run key, long enough to be typed for one run."""


@dataclass(frozen=True)
class RunControl:
    """The runs of one ledger, as seen by the driver `owner`: host and process, then what tells it from a later one.

    Times are the ledger's where it has a clock: drivers whose clocks differ agree on every lease. Else they are `clock`'s.
    is_gone: whether the driver of a name is known to have ended; False where nobody can say. pause: waits some seconds.
    """

    ledger: Ledger
    clock: Clock
    owner: str
    limits: Limits
    is_gone: Callable[[str], bool] = lambda _owner: False
    pause: Callable[[float], None] = time.sleep

    def open(self, run_key: str, request_id: str, intent_hash: str, platform_run_id: str | None = None) -> Run:
        """The run of a request, registered if it is new. REQUEST_ID_PAYLOAD_MISMATCH for another intent.

        A DONE run carries its outcome: answer with it. Any other may be claimed.
        """
        fresh = Run(run_key, request_id, intent_hash, platform_run_id=platform_run_id)
        event = Transition(run_key, self._read_clock(), 0, None, State.QUEUED, "REQUESTED", {"request_id": request_id})
        run = self.ledger.register(fresh, event)
        require_same_intent(run, intent_hash)
        return run if run.platform_run_id else replace(run, platform_run_id=platform_run_id)

    def require_free(self, run_key: str, intent_hash: str) -> None:
        """REQUEST_ID_PAYLOAD_MISMATCH as `open`; nothing is registered."""
        run = self.ledger.find(run_key)
        if run is not None:
            require_same_intent(run, intent_hash)

    def claim(self, run: Run, *, publish_only: bool = False, settles: bool = False) -> Run:
        """The run held by this driver under a new token; refuses as `run.claim`, and if another driver was faster.

        A driver that is gone is replaced at once. Where the lease ends later than any that could have been given by
        now, somebody's clock was set back: the run is watched for one lease of its driver, and free without a beat.
        """
        abandoned = run.state is State.RUNNING and (self.is_gone(run.owner) or self._is_silent(run))
        now = self._read_clock()
        held = claim(
            run,
            self.owner,
            now,
            self.limits,
            publish_only=publish_only,
            abandoned=abandoned,
            settles=settles,
            forgiven=self._count_forgiven(run),
        )
        took, started = run.state is State.RUNNING, "PUBLISH_ONLY" if held.publish_only else "STARTED"
        reason = "SETTLED" if settles else "TAKEN_OVER" if took else started
        counts = {"attempts": held.attempts, "publish_retries": held.publish_retries}
        detail = {"owner": self.owner, **counts, "lease_seconds": self.limits.lease_s}
        self.ledger.change(run, held, Transition(run.run_key, now, held.token, run.state, held.state, reason, detail))
        return held

    def beat(self, held: Run) -> Run:
        """The run with its lease moved into the future, and whether it was asked to stop. LEASE_LOST as `fence`."""
        standing = self._require_own(held)
        until = self._read_clock() + self.limits.lease_s * SECOND_US
        self.ledger.extend(held.run_key, held.token, until)
        return replace(held, lease_until=until, stop_asked=standing.stop_asked)

    def fence(self, held: Run) -> None:
        """Asked right before a commit: Stopped if this driver was asked to end.

        LEASE_LOST unless it still holds the run, under a claim within the run limit.
        """
        if self._require_own(held).is_asked_to_stop:
            raise Stopped(message=CANCELLED_BY_RUN_CONTROL)

    def is_abandoned(self, run: Run) -> bool:
        """Whether a RUNNING run can be taken over at once: its driver is gone, or its lease has run out."""
        return self.is_gone(run.owner) or self._read_clock() >= (run.lease_until or 0)

    def ask_to_stop(self, run: Run) -> Run:
        """The RUNNING run, its driver asked to end: once per claim. LEASE_LOST if the run is no longer as it was seen."""
        if run.is_asked_to_stop:
            return run
        asked, detail = replace(run, stop_asked=run.token), {"owner": self.owner}
        event = Transition(run.run_key, self._read_clock(), run.token, run.state, run.state, CANCEL_REQUESTED, detail)
        self.ledger.change(run, asked, event)
        return asked

    def end(
        self, held: Run, state: State, reason: str, outcome: Mapping[str, Any], beside: Mapping[str, Any] | None = None
    ) -> Run:
        """The run as it ended, recorded. LEASE_LOST, and nothing recorded, if this driver no longer holds it.

        beside: what the event holds in addition to the outcome.
        """
        now, standing = self._read_clock(), self._find_standing(held)
        after, detail = end(standing, held.token, state, outcome), {**outcome, **(beside or {})}
        event = Transition(held.run_key, now, held.token, standing.state, state, reason, detail)
        self.ledger.change(standing, after, event)
        return after

    def find_own(self, run: Run) -> Run | None:
        """The run as this driver holds it; None if it does not."""
        standing = self.ledger.find(run.run_key)
        held = standing is not None and standing.state is State.RUNNING and standing.owner == self.owner
        return standing if held else None

    def find(self, run_key: str) -> Run:
        """The run. RUN_NOT_FOUND if the ledger knows none."""
        run = self.ledger.find(run_key)
        if run is None:
            short = "; the beginning of a run key has six digits or more" if _TOO_SHORT.fullmatch(run_key) else ""
            raise refuse("RUN_NOT_FOUND", f"the ledger holds no run {run_key}{short}", run_key=run_key)
        return run

    def is_live(self, run_key: str) -> bool:
        """Whether a driver may still be at work on a run: it holds a lease that lasts, and is not known to be gone."""
        run = self.ledger.find(run_key)
        return run is not None and run.state is State.RUNNING and not self.is_abandoned(run)

    def find_by(self, text: str) -> Run:
        """The run of a key, or of its first digits (six or more) where no other key has them.

        RUN_NOT_FOUND for none, WrongArgument for several.
        """
        run = self.ledger.find(text)
        keys = self.ledger.list_keys(text) if run is None and _PREFIX.fullmatch(text) else []
        if run is not None or len(keys) == 1:
            return run or self.find(keys[0])
        if keys:
            raise refuse_ambiguous(text, "run keys", keys)
        return self.find(text)

    def _require_own(self, held: Run) -> Run:
        """The run as it stands, if this driver still holds it and may still commit."""
        standing = self._find_standing(held)
        require_held(standing, held.token)
        claimed = [event.at for event in self.ledger.list_events(held.run_key) if event.token == held.token]
        require_in_time(held, claimed[0], self._read_clock(), self.limits)
        return standing

    def _is_silent(self, run: Run) -> bool:
        """Whether the run's lease lies beyond every lease of now, and nobody moves it for the length of one."""
        lease_s = self._find_lease(run)
        if (run.lease_until or 0) <= self._read_clock() + lease_s * SECOND_US:
            return False
        start = self.clock.monotonic()
        while self.clock.monotonic() - start < lease_s:
            self.pause(min(1.0, lease_s / 6))
            standing = self.find(run.run_key)
            if (standing.token, standing.state, standing.lease_until) != (run.token, run.state, run.lease_until):
                return False
        return True

    def _count_forgiven(self, run: Run) -> int:
        """Attempts that ended for no reason of the build's, of the kind that comes next; asked only where they matter.

        Full attempts do not pay for publish retries, nor these for those.
        """
        if run.attempts < self.limits.attempts and run.publish_retries < self.limits.publish_retries:
            return 0
        events = self.ledger.list_events(run.run_key)
        retries = {
            event.token: event.detail.get("publish_retries", 0) for event in events if event.after is State.RUNNING
        }
        before = dict(zip(retries, (0, *retries.values()), strict=False))
        return sum(
            event.reason in UNCOUNTED and (retries[event.token] > before[event.token]) is run.has_staged
            for event in events
            if event.token in retries and event.after is not State.RUNNING
        )

    def _find_lease(self, run: Run) -> int:
        """Seconds of the lease that the run's driver gives itself, as it said when it claimed the run."""
        claims = [event.detail for event in self.ledger.list_events(run.run_key) if event.token == run.token]
        return next((int(one["lease_seconds"]) for one in claims if "lease_seconds" in one), self.limits.lease_s)

    def _find_standing(self, held: Run) -> Run:
        return self.find(held.run_key)

    def _read_clock(self) -> int:
        found = self.ledger.read_clock()
        return to_micros(self.clock.now()) if found is None else found
