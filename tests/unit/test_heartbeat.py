"""A heartbeat that fails is tried again; only a lost lease ends it, and a lost lease hides no other refusal."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.heartbeat import keep_lease
from ofs_spark.intent.run import Limits, Run, State
from ofs_spark.workflow.ending import Recorder, Result, record_end


@dataclass
class Control:
    """Beats as told, one outcome after the other."""

    outcomes: list[BaseException | None]
    limits: Limits = field(default_factory=lambda: Limits(lease_s=0))
    beats: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def beat(self, held: Run) -> Run:
        outcome = self.outcomes[min(self.beats, len(self.outcomes) - 1)]
        self.beats += 1
        if self.beats >= len(self.outcomes):
            self.done.set()
        if outcome is not None:
            raise outcome
        return held


def beat_with(*outcomes: BaseException | None) -> Control:
    control: Any = Control(list(outcomes))
    with keep_lease(control, Run("k" * 32, "request.0001", "ab" * 32)):
        control.done.wait(10)
        control.done.wait(0.05)
    return control  # type: ignore[no-any-return]


def test_a_beat_that_fails_is_tried_again() -> None:
    failed = refuse("ENVIRONMENT_UNFIT", "the ledger is locked")
    assert beat_with(failed, OSError("no answer"), None, None).beats >= 4


def test_a_lost_lease_ends_the_beating() -> None:
    assert beat_with(refuse("LEASE_LOST", "taken over")).beats == 1


def test_a_lost_lease_hides_no_refusal_of_the_build() -> None:
    said: list[str] = []

    class Lost(RunControl):
        """Another driver has the run."""

        def end(self, *_arguments: Any) -> Run:
            raise refuse("LEASE_LOST", "claim 1 is lost")

    context: Any = type("Context", (), {})()
    context.control = Lost.__new__(Lost)
    context.announce = lambda _room, doing: said.append(doing)
    run, intent = Run("k" * 32, "request.0001", "ab" * 32, State.RUNNING), Any
    nothing = Result(OwnedRef(""), lambda *_asked: None, lambda *_told: None)
    recorder = Recorder(intent, context, nothing)  # type: ignore[arg-type]
    with pytest.raises(Refusal, match="REPLAY_BASIS_GAP"), record_end(recorder, run):
        raise refuse("REPLAY_BASIS_GAP", "a hole")
    assert ["claim 1 is lost" in one for one in said] == [True]
