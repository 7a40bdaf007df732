"""The driver's side of the embedded engine's processes: starts them, hands out targets, and sees to their end.

One thread talks to all of them. A worker has one target at a time, so that neither side ever writes to one that does not
read. A step begins when the one before has ended.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait as wait_for
from typing import IO

from ofs_spark.foundation.columnar.dataflow import Step
from ofs_spark.foundation.errors import InternalError, Refusal, refuse
from ofs_spark.foundation.stops import STATUSES
from ofs_spark.io.pool_worker import Begin, Closed, Do, Done, End, Failed, Line
from ofs_spark.io.scratch import Place
from ofs_spark.io.worker_errors import decode_refusal

_START = "import sys; sys.path[:] = {path!r}; from ofs_spark.io.pool_worker import main; main(sys.argv[1:])"
_END_S = 5.0
_TOLD = 2_000
"""Bytes of what the processes printed that a refusal shows: a fault begins with what it is, and ends with every library."""


class WorkerFailedError(InternalError):
    """A defect in a worker; its message ends with the worker's own traceback."""


class Pool:
    """Worker processes of one driver. They load `rooms`, a module or "", while whoever made the pool goes on.

    memory: bytes of chunks that all of them may hold at once; two steps' are there at a time.
    """

    def __init__(self, workers: int, memory: int, rooms: str) -> None:
        self._share = memory // (2 * workers)
        self._printed: IO[bytes] = tempfile.TemporaryFile(prefix="ofs-workers-")  # noqa: SIM115  # closed with the pool
        self._guard, own = socket.socketpair()
        pairs = [socket.socketpair() for _ in range(workers)]
        theirs = [own, *(their for _, their in pairs)]
        try:
            self._process = _start(theirs, rooms, self._printed)
        finally:
            for one in theirs:
                one.close()
        self._lines = [Line(mine) for mine, _ in pairs]

    def run_step(
        self, step: Step, work: bytes, todo: Sequence[Do], inputs: Sequence[int], tell: Callable[[], None]
    ) -> tuple[list[Done], list[int]]:
        """Does one step: what its targets answered, with places among all files of the step, and the files' descriptors.

        todo: in the order in which targets are begun. inputs: descriptors of the files that their places count; they stay
        the caller's. tell: called after each target.
        Raises a step's refusal; WorkerFailedError for a defect, ENVIRONMENT_UNFIT for a worker that is gone. The other
        workers have done what they were at by then.
        """
        begin = Begin(step.name, work, step.width, self._share, len(inputs))
        for line in self._lines:
            self._send(line, begin, inputs)
        answers, failures = self._hand_out(todo, tell)
        places, descriptors = self._gather()
        if failures:
            for descriptor in descriptors:
                os.close(descriptor)
            _raise(min(failures)[1:])
        done = [_place(answer, places[worker]) for worker, answer in answers]
        return done, descriptors

    def close(self) -> None:
        """Ends the processes, whatever they are at: they are gone when this returns."""
        self._guard.close()  # by which the first process ends the others
        for line in self._lines:
            line.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._printed.close()

    def _hand_out(
        self, todo: Sequence[Do], tell: Callable[[], None]
    ) -> tuple[list[tuple[int, Done]], list[tuple[int, str, str, str]]]:
        """(worker, answer) of each target, and (target, refusal, summary, told) of those that failed; none is begun after."""
        waiting, busy = deque(todo), dict[int, int]()
        answers: list[tuple[int, Done]] = []
        failures: list[tuple[int, str, str, str]] = []
        free = deque(range(len(self._lines)))
        connections = {line.connection: number for number, line in enumerate(self._lines)}
        while (waiting and not failures) or busy:
            while waiting and free and not failures:
                number, asked = free.popleft(), waiting.popleft()
                self._send(self._lines[number], asked)
                busy[number] = asked.target
            for ready in wait_for([self._lines[number].connection for number in busy]):
                number = connections[ready]  # type: ignore[index]  # it is one of those that were waited for
                answer, target = self._receive(self._lines[number]), busy.pop(number)
                free.append(number)
                if isinstance(answer, Done):
                    answers.append((number, answer))
                    tell()
                elif isinstance(answer, Failed):
                    failures.append((target, answer.refusal, answer.summary, answer.told))
        return answers, failures

    def _gather(self) -> tuple[list[int], list[int]]:
        """Per worker the place of its first file among all, and the descriptors of all."""
        firsts: list[int] = []
        descriptors: list[int] = []
        for line in self._lines:
            self._send(line, End())
        for line in self._lines:
            closed = self._receive(line)
            if not isinstance(closed, Closed):
                raise InternalError(f"a worker answered {type(closed).__name__}")
            firsts.append(len(descriptors))
            descriptors += line.take(closed.files)
        return firsts, descriptors

    def _send(self, line: Line, message: object, descriptors: Sequence[int] = ()) -> None:
        try:
            line.send(message, descriptors)
        except EOFError:
            raise self._refuse_gone() from None

    def _receive(self, line: Line) -> object:
        try:
            return line.receive()
        except EOFError:
            raise self._refuse_gone() from None

    def _refuse_gone(self) -> Refusal:
        """Why there is a worker no more, as far as it is known."""
        self._guard.settimeout(_END_S)
        told = b""
        with suppress(OSError):
            told = self._guard.recv(64)
        self._printed.seek(0)
        printed = self._printed.read(_TOLD).decode(errors="replace").strip()
        statuses = told.split()
        how = _describe_status(int(statuses[0])) if statuses else "did not start, or lost the process that guards it"
        message = f"a worker of the embedded engine {how}"
        return refuse("ENVIRONMENT_UNFIT", message, **({"printed": printed} if printed else {}))


def _start(sockets: Sequence[socket.socket], rooms: str, printed: IO[bytes]) -> subprocess.Popen[bytes]:
    """The first process: it hears no signal before it says which it ignores, and prints where nobody looks."""
    line, *workers = (one.fileno() for one in sockets)
    command = [sys.executable, "-c", _START.format(path=sys.path), str(line), ",".join(map(str, workers)), rooms]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STATUSES)
    try:
        return subprocess.Popen(
            command, pass_fds=(line, *workers), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=printed
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _describe_status(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    ended = f"was ended by signal {-status}"
    return f"{ended}: memory may have run out" if status == -signal.SIGKILL else ended


def _place(answer: Done, first: int) -> Done:
    """The answer with places that count the files of all workers."""
    sent = [(target, Place(first + place.file, place.start, place.bytes)) for target, place in answer.sent]
    return Done(sent, answer.notes)


def _raise(failure: tuple[str, str, str]) -> None:
    refusal, summary, told = failure
    owner = decode_refusal(refusal)
    if owner is not None:
        raise owner
    raise WorkerFailedError(f"{summary}\n{told}")
