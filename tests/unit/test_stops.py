"""Signals that ask a process to end: the first one stops it, and those that come with it are not told as anything else."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import pytest

from ofs_spark.foundation.ends import EXIT_HANGUP, EXIT_INTERRUPTED, Stopped
from ofs_spark.foundation.stops import STATUSES, end_by_signal


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ((signal.SIGHUP,), EXIT_HANGUP),
        ((signal.SIGHUP, signal.SIGTERM), EXIT_HANGUP),
        ((signal.SIGHUP, signal.SIGINT, signal.SIGTERM), EXIT_HANGUP),
        ((signal.SIGINT, signal.SIGTERM), EXIT_INTERRUPTED),
    ],
)
def test_signals_that_come_together_are_one_stop(
    sent: tuple[signal.Signals, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: told.append(repr(one.exc_value)))

    def send() -> None:
        """All of them are there when the first one is looked at."""
        with end_by_signal():
            signal.pthread_sigmask(signal.SIG_BLOCK, STATUSES)
            for one in sent:
                signal.pthread_kill(threading.get_ident(), one)  # another thread would take it at once
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STATUSES)

    with pytest.raises(Stopped) as caught:
        send()
    assert caught.value.exit_status == status
    assert told == []


def test_what_else_a_finaliser_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: told.append(repr(one.exc_value)))

    class Broken:
        def __del__(self) -> None:
            raise OSError("no signal")

    with end_by_signal():
        Broken()
    assert told == ["OSError('no signal')"]
