"""Which room is at work, for how long, and how far its tasks are: never silent for longer than ten seconds.

On a terminal the work in hand has a line that moves, and what is over leaves a line with its seconds. Elsewhere a line is
written when work begins, and one at least every ten seconds while it lasts.

All of it is written by a thread of its own. Whoever announces waits for neither the thread nor the reader: it only leaves
a word. The signals that end a process never reach that thread (docs/adr/0021-progress-waits-for-nobody.md).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TextIO

from ofs_spark.console.outlet import Outlet, open_outlet
from ofs_spark.console.screen import Screen, Styled
from ofs_spark.foundation.clock import Clock, SystemClock
from ofs_spark.foundation.ports import NOTE, Tasks, TellTasks
from ofs_spark.foundation.stops import leave_stops

TICK_S = 0.25
"""Between two looks at what is to be shown."""
SILENT_S = 10.0
"""After which a line is due, wherever lines are written."""
LAST_S = 0.5
"""How long the last lines wait for a reader that is behind; it loses them."""
JOIN_S = 2.0
"""How long the end of a command waits for the thread, which a terminal that was paused just now may hold."""
SHORT_S = 1.0
"""Work that took less is not told to be over where lines are written: the next line says it."""
_DUMB = frozenset({"", "dumb", "unknown"})


@dataclass(frozen=True)
class Work:
    """What one room does. start: seconds on the clock, of the room's first work since another room's."""

    room: str
    doing: str
    start: float


class Page:
    """Where progress is shown. at: seconds on the clock."""

    def begin(self, work: Work, at: float) -> None:
        """A room begins, or goes on to do something else."""

    def end(self, work: Work, at: float) -> None:
        """A room is over."""

    def note(self, said: Work) -> None:
        """Something that stays to be read."""

    def show(self, work: Work | None, tasks: Tasks | None, at: float) -> None:
        """What is in hand, some times a second."""

    def close(self) -> None:
        """Leaves the page to whoever prints next."""


class Progress:
    """Progress on a stream while it is open, from the first announcement on. Nothing where there is no stream.

    is_shared: whether others write on the stream's terminal, such as a JVM: no line can move there.
    """

    def __init__(self, stream: TextIO | None, clock: Clock | None = None, *, is_shared: bool = False) -> None:
        self._clock = clock or SystemClock()
        self._start = self._clock.monotonic()
        self._said: deque[Work] = deque()
        self._tasks: Tasks | None = None
        self._work: Work | None = None
        self._is_quiet = stream is None
        self._outlet: Outlet | None = None
        self._thread: threading.Thread | None = None
        self._woken, self._over = threading.Event(), threading.Event()
        if stream is not None:
            shown, self._outlet = open_outlet(stream)
            self._page = _open_page(shown, self._outlet, self._start, is_shared=is_shared)

    @property
    def tell_tasks(self) -> TellTasks | None:
        """Who is told how far an engine's job is; None where nobody reads it."""
        return None if self._is_quiet else self._take_tasks

    def __call__(self, room: str, doing: str) -> None:
        """`room` now does `doing`."""
        if not self._is_quiet:
            self._said.append(Work(room, doing, self._clock.monotonic()))
            self._woken.set()

    def __enter__(self) -> Progress:
        if not self._is_quiet:
            self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(None if self._outlet is None else JOIN_S)  # memory never makes it wait

    def tick(self) -> None:
        """Shows what was said since, and what is in hand. Of the progress thread, or of a test that has none."""
        while self._said:
            self._take(self._said.popleft())
        self._page.show(self._work, self._tasks, self._clock.monotonic())
        if self._outlet is not None:
            self._outlet.drain()

    def finish(self) -> None:
        """Shows the last of it."""
        self.tick()
        self._end_work(self._clock.monotonic())
        self._page.close()
        if self._outlet is not None:
            self._outlet.drain(LAST_S)

    def _tell(self) -> None:
        leave_stops()
        while not self._over.is_set():
            self._woken.wait(TICK_S)
            self._woken.clear()
            self.tick()
        self.finish()

    def _take(self, said: Work) -> None:
        if said.doing.startswith(NOTE):
            self._page.note(said)
            return
        at = said.start
        if self._work is not None and self._work.room == said.room:
            said = replace(said, start=self._work.start)
        else:
            self._end_work(at)
        self._work = said
        self._page.begin(said, at)

    def _end_work(self, at: float) -> None:
        if self._work is not None:
            self._page.end(self._work, at)
        self._work = None

    def _take_tasks(self, tasks: Tasks | None) -> None:
        self._tasks = tasks


def describe_tasks(tasks: Tasks | None) -> str:
    """How far a job is, for people; "" where none runs."""
    return "" if tasks is None else f"{tasks.done:,} of {tasks.total:,} tasks"


def _open_page(stream: TextIO, outlet: Outlet | None, start: float, *, is_shared: bool) -> Page:
    if not is_shared and stream.isatty() and os.environ.get("TERM", "") not in _DUMB:
        from ofs_spark.console.live import LivePage

        return LivePage(stream, outlet)
    return LinesPage(stream, start)


class LinesPage(Page):
    """Lines that stay: seconds since the start, the room, what it does. Plain text without a terminal."""

    def __init__(self, stream: TextIO, start: float) -> None:
        self._screen = Screen(stream)
        self._start = self._told_at = start

    def begin(self, work: Work, at: float) -> None:
        """A line."""
        self._print(at, work.room, work.doing)

    def end(self, work: Work, at: float) -> None:
        """A line, where it took long."""
        took = at - work.start
        if took >= SHORT_S:
            self._print(at, work.room, f"took {took:.1f} s")

    def note(self, said: Work) -> None:
        """A line."""
        self._print(said.start, said.room, said.doing)

    def show(self, work: Work | None, tasks: Tasks | None, at: float) -> None:
        """A line, when one is due."""
        if at - self._told_at < SILENT_S - TICK_S:
            return
        if work is None:
            self._print(at, "", "works")
        else:
            parts = work.doing, describe_tasks(tasks), f"{at - work.start:.0f} s"
            self._print(at, work.room, ", ".join(part for part in parts if part))

    def _print(self, at: float, room: str, text: str) -> None:
        self._told_at = at
        elapsed = Styled(f"{at - self._start:6.1f}s", "dim")
        self._screen.print_line(elapsed, "  ", Styled(f"{room:<9}", "bold"), f" {text}")
