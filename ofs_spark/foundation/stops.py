"""Signals that end a process: which they are, and how a short piece of work is brought to its end first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ofs_spark.foundation.ends import EXIT_CANCELLED, EXIT_HANGUP, EXIT_INTERRUPTED, Stopped

STATUSES = {signal.SIGTERM: EXIT_CANCELLED, signal.SIGHUP: EXIT_HANGUP, signal.SIGINT: EXIT_INTERRUPTED}
"""The signals that ask a process to end, and the exit status of each."""
_SAID: list[str] = []
"""Why this process signals itself: a signal carries no message."""


def stop_main_thread(message: str) -> None:
    """As SIGTERM, for a reason of its own; nothing where that signal would end the process at once, or is ignored."""
    if callable(signal.getsignal(signal.SIGTERM)):
        _SAID[:] = [message]
        # Sent, not only marked as come: what waits in a system call, such as for a JVM, is woken.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


@contextmanager
def end_by_signal() -> Iterator[None]:
    """The first of the signals raises `Stopped` in the block; what is under way then ends in order, whatever follows.

    A signal that whoever started the process ignores stays ignored: a process under nohup outlives its terminal.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        """Ends what is under way."""
        for one in STATUSES:
            signal.signal(one, signal.SIG_IGN)
        said = {"message": _SAID.pop()} if _SAID else {}
        raise Stopped(STATUSES[signal.Signals(number)], **said)

    previous = {one: signal.getsignal(one) for one in STATUSES}
    for one, handler in previous.items():
        if handler is not signal.SIG_IGN:
            signal.signal(one, stop)
    try:
        yield
    finally:
        for one, handler in previous.items():
            signal.signal(one, handler)


@contextmanager
def hold_stops() -> Iterator[None]:
    """A signal that comes in the block takes effect once the block has ended. No effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {one: found for one in STATUSES if callable(found := signal.getsignal(one))}
    for one in handlers:
        signal.signal(one, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
    if came:
        handlers[signal.Signals(came[0])](came[0], None)
