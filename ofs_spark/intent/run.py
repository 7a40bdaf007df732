"""The run state machine: what a run may become, who may change it, how often it may be tried. Pure decisions.

    QUEUED ──► RUNNING ──► DONE
                 │ ▲ ├───► FAILED            (RUNNING again: another full attempt, bounded)
                 │ │ └───► PUBLISH_PENDING   (RUNNING again: publish only, bounded)
                 └─┘ taken over when the lease of a dead driver has run out

A claim gives the driver a lease and a fencing token, greater than every earlier one. Whoever holds an older token changes
nothing. The lease says from when on another driver may claim the run: a driver whose lease ran out, but whom nobody
replaced, still holds it. Instants are int µs from an injected clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ofs_spark.foundation.clock import SECOND_US, format_instant
from ofs_spark.foundation.errors import InternalError, refuse


class State(StrEnum):
    """States of a run."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    PUBLISH_PENDING = "PUBLISH_PENDING"


LEGAL: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING}),
    State.RUNNING: frozenset({State.RUNNING, State.DONE, State.FAILED, State.PUBLISH_PENDING}),
    State.FAILED: frozenset({State.RUNNING}),
    State.PUBLISH_PENDING: frozenset({State.RUNNING}),
    State.DONE: frozenset(),
}


HOUR_S = 3_600
UNCOUNTED = frozenset({"INTERRUPTED", "CANCELLED"})
"""Reasons of an end that say nothing of the build: such an attempt is forgiven, whatever number policy allows."""
CANCEL_REQUESTED = "CANCEL_REQUESTED"
"""Reason of the event that asks the driver of a run to end. The run stays RUNNING, under the same claim."""
CANCELLED_BY_RUN_CONTROL = "`ofs cancel` ended this run"


@dataclass(frozen=True)
class Limits:
    """Policy: full attempts and publish-only retries of one run, how long a lease lasts without a heartbeat, and how long
    after its claim an attempt may commit."""

    attempts: int = 5
    publish_retries: int = 10
    lease_s: int = 120
    run_s: int = 24 * HOUR_S


@dataclass(frozen=True)
class Run:
    """One run as the ledger holds it.

    attempts: full attempts started; publish_retries: publish-only ones; token: of the latest claim (0: none yet);
    lease_until: µs, None unless RUNNING; publish_only: what the latest claim may do; outcome: answer of the last ended
    attempt, JSON-ready; platform_run_id: whose data it is about, None in a ledger of the first release; stop_asked: token
    of the claim that somebody asked to end.
    """

    run_key: str
    request_id: str
    intent_hash: str
    state: State = State.QUEUED
    attempts: int = 0
    publish_retries: int = 0
    token: int = 0
    owner: str = ""
    lease_until: int | None = None
    publish_only: bool = False
    outcome: Mapping[str, Any] | None = None
    platform_run_id: str | None = None
    stop_asked: int | None = None

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether the claim that holds the run was asked to end."""
        return self.state is State.RUNNING and self.stop_asked == self.token

    @property
    def has_staged(self) -> bool:
        """Whether what is left of the run is to publish what it has staged."""
        return self.state is State.PUBLISH_PENDING or (self.state is State.RUNNING and self.publish_only)

    @property
    def attempt(self) -> str:
        """Name of the latest claim, unique within the run: attempt folders and failed documents carry it."""
        return f"attempt-{self.token}"


@dataclass(frozen=True)
class Transition:
    """One transition, never changed: when, by which claim, from which state to which, why."""

    run_key: str
    at: int
    token: int
    before: State | None
    after: State
    reason: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class DatedRun:
    """A run, when its first attempt began and when its last one ended, µs; None for what has not happened."""

    run: Run
    began: int | None
    ended: int | None


@dataclass(frozen=True)
class Published:
    """A dataset that the ledger knows to stand, and since when: µs, of the first end of a run that said so."""

    dataset_manifest_id: str
    platform_run_id: str
    at: int


def date_run(run: Run, events: Sequence[Transition]) -> DatedRun:
    """The run with the times that its events, oldest first, tell."""
    began = next((event.at for event in events if event.after is State.RUNNING), None)
    ended = next((event.at for event in events[-1:] if event.after not in (State.QUEUED, State.RUNNING)), None)
    return DatedRun(run, began, ended)


def require_same_intent(run: Run, intent_hash: str) -> None:
    """REQUEST_ID_PAYLOAD_MISMATCH if the request id stands for another intent."""
    if run.intent_hash != intent_hash:
        message = f"request_id {run.request_id} already stands for intent {run.intent_hash}; this one is {intent_hash}"
        raise refuse("REQUEST_ID_PAYLOAD_MISMATCH", message, pointer="/request_id", run_key=run.run_key)


def require_staged(run: Run) -> None:
    """RETRY_NOT_PENDING unless the run has staged data to publish."""
    if not run.has_staged:
        message = f"run {run.run_key} is {run.state}; a publish-only retry requires PUBLISH_PENDING"
        raise refuse("RETRY_NOT_PENDING", message, run_key=run.run_key, state=run.state.value)


def claim(
    run: Run,
    owner: str,
    now: int,
    limits: Limits,
    *,
    publish_only: bool = False,
    abandoned: bool = False,
    settles: bool = False,
    forgiven: int = 0,
) -> Run:
    """The run held by `owner`, RUNNING under a new token. A DONE run is answered, not claimed (InternalError).

    publish_only demands a run that has staged data (RETRY_NOT_PENDING otherwise); without it, staged data is still
    published rather than built again. `abandoned`: the driver that holds it is known to be gone, whatever its lease
    says. `settles`: the dataset stands, so that the claim only records it, and is no attempt. `forgiven`: attempts that do not
    count. LEASE_LOST while another driver's lease lasts; PUBLISH_RETRY_EXHAUSTED when policy allows no further attempt.
    """
    if not abandoned:
        _require_free(run, now)
    staged = run.has_staged
    if publish_only:
        require_staged(run)
    _require_legal(run.state, State.RUNNING)
    used, most = (run.publish_retries, limits.publish_retries) if staged else (run.attempts, limits.attempts)
    if used - forgiven >= most and not settles:
        message = f"run {run.run_key} has used {used} of {most} {'publish retries' if staged else 'attempts'}"
        raise refuse("PUBLISH_RETRY_EXHAUSTED", message, run_key=run.run_key, used=used, allowed=most)
    return replace(
        run,
        state=State.RUNNING,
        owner=owner,
        token=run.token + 1,
        publish_only=staged,
        lease_until=now + limits.lease_s * SECOND_US,
        attempts=run.attempts + (not staged and not settles),
        publish_retries=run.publish_retries + (staged and not settles),
    )


def _require_free(run: Run, now: int) -> None:
    """LEASE_LOST while the lease of the driver that holds the run lasts."""
    if run.state is State.RUNNING and now < (run.lease_until or 0):
        holder, until = name_owner(run.owner), format_instant(run.lease_until or 0)
        message = (
            f"run {run.run_key} is held by {holder} until {until}, and longer while that process lives; "
            "once it is gone, its own machine takes the run over at once, any other one at that time"
        )
        raise refuse("LEASE_LOST", message, run_key=run.run_key, owner=holder, token=run.token, lease_until=until)


def name_owner(owner: str) -> str:
    """A driver as people name it: host and process. What tells it from another of the same name follows in the ledger."""
    return owner.split("#")[0]


def require_held(run: Run, token: int) -> None:
    """LEASE_LOST unless the claim `token` holds the run: nobody has claimed or ended it since."""
    if run.state is not State.RUNNING or run.token != token:
        message = f"claim {token} of run {run.run_key} is lost: the run is {run.state} under claim {run.token}"
        raise refuse("LEASE_LOST", message, run_key=run.run_key, token=token, standing=run.token)


def require_in_time(run: Run, claimed_at: int, now: int, limits: Limits) -> None:
    """LEASE_LOST for a claim that is older than policy lets an attempt be: whoever cleans up counts on it."""
    if now - claimed_at > limits.run_s * SECOND_US:
        hours = limits.run_s / HOUR_S
        message = f"claim {run.token} of run {run.run_key} began at {format_instant(claimed_at)}; run_limit_hours is {hours:g}"
        raise refuse("LEASE_LOST", message, run_key=run.run_key, token=run.token, run_limit_hours=hours)


def end(run: Run, token: int, state: State, outcome: Mapping[str, Any]) -> Run:
    """The run as its holder leaves it, with its answer: DONE, FAILED or PUBLISH_PENDING. Refuses as `require_held`."""
    require_held(run, token)
    _require_legal(run.state, state)
    if state is State.RUNNING:
        raise InternalError("a run does not end as RUNNING")
    return replace(run, state=state, lease_until=None, outcome=dict(outcome))


def _require_legal(before: State, after: State) -> None:
    if after not in LEGAL[before]:
        raise InternalError(f"no run goes from {before} to {after}")
