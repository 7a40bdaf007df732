"""Progress is never silent for long, says what is at work, and neither waits for its reader nor stands in a signal's way."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from ofs_spark.console.progress import SILENT_S, TICK_S, Progress
from ofs_spark.foundation.clock import FixedClock
from ofs_spark.foundation.ports import Tasks
from ofs_spark.foundation.stops import STATUSES
from tests.worlds.waiting import wait_until

ROOT = Path(__file__).parents[2]
WIDTH = 80
"""Columns of the terminal."""
CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


class Dated(io.StringIO):
    """A stream that knows when each line came."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__()
        self.clock, self.times = clock, list[float]()

    def write(self, text: str, /) -> int:
        self.times.append(self.clock.monotonic())
        return super().write(text)


def pass_time(progress: Progress, clock: FixedClock, seconds: float) -> None:
    """Time that passes, with the looks that the thread would take."""
    for _ in range(round(seconds / TICK_S)):
        clock.advance(TICK_S)
        progress.tick()


def tell(progress: Progress, tasks: Tasks | None) -> None:
    assert progress.tell_tasks is not None
    progress.tell_tasks(tasks)


def test_without_a_terminal_a_line_comes_at_least_every_ten_seconds() -> None:
    clock = FixedClock()
    stream = Dated(clock)
    progress = Progress(stream, clock)
    progress("compile", "compiling loops (first run of this release)")
    pass_time(progress, clock, 35)
    progress("pins", "note: policy_revision is another one")
    progress("pins", "resolves run facts")
    pass_time(progress, clock, 0.5)
    progress("replay", "scans 3 segments")
    tell(progress, Tasks("scan", 1200, 4000))
    pass_time(progress, clock, 12)
    tell(progress, None)
    pass_time(progress, clock, 10)
    progress.finish()
    assert stream.getvalue().splitlines() == [
        "   0.0s  compile   compiling loops (first run of this release)",
        "   9.8s  compile   compiling loops (first run of this release), 10 s",
        "  19.5s  compile   compiling loops (first run of this release), 20 s",
        "  29.2s  compile   compiling loops (first run of this release), 29 s",
        "  35.0s  pins      note: policy_revision is another one",
        "  35.0s  compile   took 35.0 s",
        "  35.0s  pins      resolves run facts",
        "  35.5s  replay    scans 3 segments",
        "  45.2s  replay    scans 3 segments, 1,200 of 4,000 tasks, 10 s",
        "  55.0s  replay    scans 3 segments, 20 s",
        "  57.5s  replay    took 22.0 s",
    ]
    gaps = [after - before for before, after in zip([0.0, *stream.times], stream.times, strict=False)]
    assert max(gaps) <= SILENT_S


def test_a_command_that_says_nothing_is_seen_to_work() -> None:
    clock = FixedClock()
    stream = Dated(clock)
    pass_time(Progress(stream, clock), clock, 10)
    assert stream.getvalue() == "   9.8s            works\n"


def test_quiet_is_quiet() -> None:
    before = threading.active_count()
    with Progress(None) as progress:
        progress("intent", "reads the intent")
        assert (progress.tell_tasks, threading.active_count()) == (None, before)


@contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe's reading end, and its writing end as a stream."""
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as stream:
        yield reader, stream
    os.close(reader)


def read_all(descriptor: int) -> str:
    """What stands in a pipe or a terminal now."""
    os.set_blocking(descriptor, False)
    found = b""
    try:
        while piece := os.read(descriptor, 65536):
            found += piece
    except OSError:
        pass
    return found.decode()


def test_a_pipe_gets_lines_without_control_codes() -> None:
    clock = FixedClock()
    with pipe() as (reader, stream):
        with Progress(stream, clock) as progress:
            progress("intent", "reads the intent")
            progress("engine", "starting Spark")
            clock.advance(1.1)
            progress("pins", "\x1b[31mred\x1b[0m")
        told = read_all(reader)
    assert {char for char in told if not char.isprintable()} == {"\n"}
    assert [line[9:] for line in told.splitlines()] == [
        "intent    reads the intent",
        "engine    starting Spark",
        "engine    took 1.1 s",
        r"pins      \x1b[31mred\x1b[0m",
    ]


class Glass:
    """What a terminal shows, of the codes that progress may use; any other is a fault."""

    def __init__(self) -> None:
        self.rows, self.row, self.column = [""], 0, 0

    def take(self, text: str) -> Glass:
        while text:
            found = CONTROL.match(text)
            if found:
                self._obey(*found.groups())
            else:
                self._put(text[0])
            text = text[found.end() :] if found else text[1:]
        return self

    def _obey(self, number: str, code: str) -> None:
        if code == "A":
            self.row -= int(number or 1)
        elif code == "K":
            self.rows[self.row] = "" if number == "2" else self.rows[self.row][: self.column]
        else:
            assert code == "m", (number, code)

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row += 1
            self.rows += [""] * (self.row == len(self.rows))
        else:
            assert char.isprintable(), repr(char)
            if self.column == WIDTH:
                self._put("\n")
                self.column = 0
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, TextIO]]:
    """A terminal of 80 columns: its outer side, and the stream that programs write on."""
    for name in ("NO_COLOR", "FORCE_COLOR", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    outer, inner = pty.openpty()
    with open(inner, "w", encoding="utf-8") as stream:
        yield outer, stream
    os.close(outer)


def test_a_terminal_has_a_line_per_room_and_one_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    glass, clock = Glass(), FixedClock()
    with terminal(monkeypatch) as (outer, stream):
        with Progress(stream, clock) as progress:
            progress("compile", "compiling loops (first run of this release)")
            clock.advance(0.8)
            progress("engine", "starting Spark")
            progress("replay", "scans " + "x" * 100)
            tell(progress, Tasks("scan", 12, 40))
            for second in range(1, 4):
                clock.advance(1.0)
                moved = re.compile(rf"\S replay  +{second}\.0 s  12 of 40 tasks  scans x+")
                assert wait_until(lambda moved=moved: bool(moved.fullmatch(glass.take(read_all(outer)).rows[-1])))  # type: ignore[misc]
            progress("replay", "note: staged rows are not kept")
            progress("features", "computes")
        glass.take(read_all(outer))
    assert [line for line in glass.rows if line] == [
        "  compile      0.8 s  compiling loops (first run of this release)",
        "  engine       0.0 s  starting Spark",
        "  replay              note: staged rows are not kept",
        f"  replay       3.0 s  scans {'x' * 51}…",  # 80 columns
        "  features     0.0 s  computes",
    ]


@pytest.mark.parametrize(("term", "is_shared"), [("dumb", False), ("xterm", True)])
def test_a_terminal_that_cannot_move_or_is_not_ours_has_lines(
    term: str, is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch) as (outer, stream):
        monkeypatch.setenv("TERM", term)
        monkeypatch.setenv("NO_COLOR", "1")
        clock = FixedClock()
        with Progress(stream, clock, is_shared=is_shared) as progress:
            progress("intent", "reads the intent")
            clock.advance(0.8)
        assert read_all(outer) == "   0.0s  intent    reads the intent\r\n"


def test_nobody_waits_for_a_reader_that_does_not_read() -> None:
    with pipe() as (reader, stream):
        os.set_blocking(stream.fileno(), False)
        try:
            while True:
                os.write(stream.fileno(), b"x" * 1000)
        except BlockingIOError:
            os.set_blocking(stream.fileno(), True)
        told = ""
        with Progress(stream) as progress:
            for number in range(100):
                progress("pins", f"note: {number}")
            while not told.endswith(" 99\n"):  # the pipe is emptied, then what was kept comes
                assert select.select([reader], [], [], 60)[0]
                told += read_all(reader)
        said = told.lstrip("x").splitlines()
    assert [line.rsplit(" ", 1)[1] for line in said] == list(map(str, range(100)))  # none was lost


def test_a_stop_is_not_the_progress_threads() -> None:
    """The thread lets the signals that end a process pass by: whatever the main thread waits in is woken."""
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress("intent", "reads the intent")
        assert wait_until(lambda: bool(stream.getvalue()))
        (thread,) = (one for one in threading.enumerate() if one.name == "progress")
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    (blocked,) = re.findall(r"^SigBlk:\s*([0-9a-f]+)$", status, re.MULTILINE)
    assert all(int(blocked, 16) >> (one - 1) & 1 for one in STATUSES)


STOPPED = """if True:
    import sys, time
    from ofs_spark.console import answer_command
    from ofs_spark.console.progress import Progress
    def run():
        with Progress(sys.stderr) as progress:
            for number in range(3_000):
                progress("pins", f"note: {number}")
            progress("replay", "scans")
            print("runs", flush=True)
            time.sleep(60)
    answer_command(run, as_json=True)
"""


@pytest.mark.parametrize("number", sorted(STATUSES))
@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
def test_a_stop_ends_a_command_whose_reader_does_not_read(number: signal.Signals, is_terminal: bool) -> None:
    reader, writer = pty.openpty() if is_terminal else os.pipe()  # from which nobody reads
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", f"import signal; signal.signal({int(number)}, signal.SIG_DFL)\n{STOPPED}"],
        stdout=subprocess.PIPE,
        stderr=writer,
        env=environment,
    ) as process:
        os.close(writer)
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(number)
        told = process.stdout.read()
        status = process.wait(20)
        took = time.monotonic() - start
    os.close(reader)
    assert (status, took < 20) == (STATUSES[number], True), took
    assert b'"exit_status"' in told


LOADED = """if True:
    import sys, time
    from ofs_spark.console import Progress
    from ofs_spark.foundation.clock import FixedClock
    clock = FixedClock()
    with Progress(sys.stderr, clock) as progress:
        progress("intent", "reads the intent")
        clock.advance(float(sys.argv[1]))
        until = time.monotonic() + float(sys.argv[2])
        while "rich.live" not in sys.modules and time.monotonic() < until:
            time.sleep(0.02)
    print("rich" in sys.modules)
"""


@pytest.mark.parametrize(("took", "wait", "expected"), [("0.4", "1", b"False\n"), ("0.5", "60", b"True\n")])
def test_work_that_is_over_at_once_loads_nothing_to_draw_with(took: str, wait: str, expected: bytes) -> None:
    outer, inner = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    command = [sys.executable, "-c", LOADED, took, wait]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=inner, env=environment, check=False)
    os.close(inner)
    os.close(outer)
    assert done.stdout == expected
