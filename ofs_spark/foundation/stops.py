"""Signals that end a process: which they are, and how a short piece of work is brought to its end first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ofs_spark.foundation.ends import EXIT_CANCELLED, EXIT_HANGUP, EXIT_INTERRUPTED, Stopped

STATUSES = {signal.SIGTERM: EXIT_CANCELLED, signal.SIGHUP: EXIT_HANGUP, signal.SIGINT: EXIT_INTERRUPTED}
"""The signals that ask a process to end, and the exit status of each."""
_CAME: list[Stopped] = []
"""The stop of this process, once a signal has come."""
_SAID: list[str] = []
"""Why this process signals itself: a signal carries no message."""
_SOON_S = 0.01


def find_stop(error: BaseException) -> BaseException:
    """The stop that a signal has meanwhile raised where nobody let it through; the error itself if none came.

    A library's clean-up that fails on the way out takes the place of the stop.
    """
    is_stop = isinstance(error, Stopped | KeyboardInterrupt)
    return error if is_stop or not _CAME else _CAME[0]


def stop_main_thread(message: str) -> None:
    """As SIGTERM, for a reason of its own; nothing where that signal would end the process at once, or is ignored."""
    if callable(signal.getsignal(signal.SIGTERM)):
        _SAID[:] = [message]
        # Sent, not only marked as come: what waits in a system call, such as for a JVM, is woken.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


@contextmanager
def end_by_signal() -> Iterator[None]:
    """The first of the signals raises `Stopped` in the block; what is under way then ends in order, whatever follows.

    A signal that whoever started the process ignores stays ignored: a process under nohup outlives its terminal. One that
    comes while a finaliser runs, which lets nothing through, is sent again.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        """Ends what is under way."""
        for one in STATUSES:
            signal.signal(one, signal.SIG_IGN)
        said = {"message": _SAID.pop()} if _SAID else {}
        _CAME[:] = [Stopped(STATUSES[signal.Signals(number)], **said)]
        raise _CAME[0]

    def tell(swallowed: Any) -> None:
        """Takes what a finaliser raised: a stop is raised once more, after the finaliser."""
        if _is_of_another_signal(swallowed):
            return
        if not isinstance(swallowed.exc_value, Stopped):
            tell_before(swallowed)
            return
        number = next(one for one, status in STATUSES.items() if status == swallowed.exc_value.exit_status)
        signal.signal(number, stop)
        threading.Timer(_SOON_S, os.kill, (os.getpid(), number)).start()

    previous, tell_before = {one: signal.getsignal(one) for one in STATUSES}, sys.unraisablehook
    for one, handler in previous.items():
        if handler is not signal.SIG_IGN:
            signal.signal(one, stop)
    sys.unraisablehook = tell
    try:
        yield
    finally:
        for one, handler in previous.items():
            signal.signal(one, handler)
        sys.unraisablehook = tell_before
        _CAME.clear()


def _is_of_another_signal(swallowed: Any) -> bool:
    """Whether Python says that a signal is ignored by now: it came right beside the one that stops this process."""
    error = swallowed.exc_value
    return bool(_CAME) and swallowed.object is None and isinstance(error, OSError) and error.errno is None


def leave_stops() -> None:
    """In a thread: the signals of `STATUSES` are for the others, so that what the main thread waits in is woken."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STATUSES)


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
