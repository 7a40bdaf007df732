"""The processes of the embedded engine: one that loads the rooms once, and the workers that it forks.

Nothing else runs in the first one, so that a fork copies no lock that a thread holds. It stays to guard the workers: when
its line to the driver ends, however the driver ended, it ends them. A worker whose guard is gone is ended by the kernel.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for

from ofs_spark.foundation.columnar.dataflow import DRIVER, Body, Chunk, Work
from ofs_spark.foundation.columnar.memory import keep_freed_memory
from ofs_spark.foundation.ends import find_owner
from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.stops import STATUSES
from ofs_spark.io.scratch import Inbox, Outbox, Place
from ofs_spark.io.worker_errors import encode_refusal

_UNUSED = ("pandas", "scipy.linalg")
"""PyArrow looks for the one at the first list that it is given, Numba for the other as it starts: no step has a use for
either, and each takes half a second of every worker."""
_DIE_WITH_PARENT = 1
_ORPHANED, _ENDED = 3, 0


class _Unused:
    """Finds no module of _UNUSED, wherever it is installed."""

    def find_spec(self, name: str, *_where: object) -> None:
        """Leaves every other module to those who come after."""
        if name in _UNUSED:
            raise ModuleNotFoundError(name, name=name)


@dataclass(frozen=True)
class Begin:
    """To a worker: a step begins. work: pickled; files: how many descriptors of its inputs come behind."""

    name: str
    work: bytes
    width: int
    memory: int
    files: int


@dataclass(frozen=True)
class Do:
    """To a worker: a target of the step. places: of its chunks; task: of a first step's target."""

    target: int
    places: Sequence[Place] = ()
    task: bytes | None = None


@dataclass(frozen=True)
class End:
    """To a worker: the step has ended, and its output files are wanted."""


@dataclass(frozen=True)
class Done:
    """From a worker: a target is done. sent: (target, place) of each chunk; notes: as they were written."""

    sent: Sequence[tuple[int, Place]]
    notes: Sequence[bytes]


@dataclass(frozen=True)
class Failed:
    """From a worker: what a step raised. refusal: "" of a defect, of which `told` is the traceback."""

    refusal: str
    summary: str
    told: str


@dataclass(frozen=True)
class Closed:
    """From a worker: how many descriptors of output files come behind."""

    files: int


class Line:
    """A socket to another process: pickled messages, with descriptors behind them. EOFError where the other end is gone."""

    def __init__(self, own: socket.socket) -> None:
        self._socket = own
        self.connection = Connection(os.dup(own.fileno()))

    def send(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Sends a message. The descriptors stay the caller's."""
        try:
            self.connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
            if descriptors:
                socket.send_fds(self._socket, [b"f"], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError from None

    def receive(self) -> object:
        """The next message."""
        try:
            return pickle.loads(self.connection.recv_bytes())
        except ConnectionResetError:
            raise EOFError from None

    def take(self, files: int) -> list[int]:
        """The descriptors behind a message that said how many."""
        if not files:
            return []
        _, descriptors, _, _ = socket.recv_fds(self._socket, 1, files)
        if len(descriptors) != files:
            raise EOFError
        return list(descriptors)

    def close(self) -> None:
        """Closes this end."""
        self.connection.close()
        self._socket.close()


def guard_workers(line: int, workers: Sequence[int], rooms: str) -> None:
    """The first process: loads `rooms`, forks a worker for each descriptor of `workers`, and outlives none of them.

    line: a socket's descriptor. It ends with the driver; over it goes, as text, how a worker ended before it was told to.
    """
    for one in STATUSES:  # the driver hears them, and ends the workers
        signal.signal(one, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STATUSES)
    faulthandler.enable()
    sys.meta_path.insert(0, _Unused())
    if rooms:
        import_module(rooms)
    gc.collect()
    gc.freeze()  # pages that no collection writes to stay shared
    woken = _hear_ends()
    children = {_fork_worker(number, workers, line) for number in range(len(workers))}
    for descriptor in workers:
        os.close(descriptor)
    _keep_guard(socket.socket(fileno=line), woken, children)


def _fork_worker(number: int, workers: Sequence[int], line: int) -> int:
    guard, child = os.getpid(), os.fork()
    if child:
        return child
    try:
        _die_with(guard)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in (one for place, one in enumerate(workers) if place != number):
            os.close(other)
        os.close(line)
        keep_freed_memory()
        Worker(Line(socket.socket(fileno=workers[number]))).serve()
    except BaseException:  # noqa: BLE001  # a fork must not return into what its parent does
        traceback.print_exc()
        os._exit(1)
    os._exit(_ENDED)


def _die_with(guard: int) -> None:
    """Has the kernel end this process when its parent has ended, which may be so already."""
    ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(_ORPHANED)


def _keep_guard(line: socket.socket, woken: socket.socket, children: set[int]) -> None:
    """Until the driver is gone, or has closed the line; then the workers are. woken: reads a byte when one has ended."""
    while line not in wait_for([line, woken]):
        woken.recv(64)
        for ended, status in _reap(children):
            children.remove(ended)
            with suppress(OSError):  # the driver is gone too
                line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    os._exit(_ENDED)


def _reap(children: Collection[int]) -> list[tuple[int, int]]:
    """(id, status) of those that have ended."""
    found = (os.waitpid(child, os.WNOHANG) for child in children)
    return [(ended, status) for ended, status in found if ended]


def _hear_ends() -> socket.socket:
    """A socket that reads a byte whenever a child ends."""
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.set_wakeup_fd(waking.detach())
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return woken


@dataclass
class Worker:
    """One worker: does what it is told until its line ends."""

    line: Line
    _inbox: Inbox = field(default_factory=lambda: Inbox(()))
    _outbox: Outbox = field(default_factory=lambda: Outbox(0))

    def serve(self) -> None:
        """Answers the driver until it hangs up."""
        begun: tuple[Begin, Work] | None = None
        while True:
            try:
                asked = self.line.receive()
            except EOFError:
                return
            if isinstance(asked, Begin):
                self._inbox.close()
                self._inbox, self._outbox = Inbox(self.line.take(asked.files)), Outbox(asked.memory)
                begun = asked, pickle.loads(asked.work)
            elif isinstance(asked, Do) and begun is not None:
                self.line.send(self._try(asked, *begun))
            else:
                begun = None
                self._finish()

    def _try(self, asked: Do, begun: Begin, work: Work) -> Done | Failed:
        try:
            return self._do(asked, begun, work)
        except Exception as error:  # noqa: BLE001  # told to the driver, which raises it
            owner = find_owner(error)
            told = "".join(traceback.format_exception(error))
            return Failed(encode_refusal(owner) if owner else "", f"{type(error).__name__}: {error}", told)

    def _do(self, asked: Do, begun: Begin, work: Work) -> Done:
        sent: list[tuple[int, Place]] = []
        notes: list[bytes] = []
        for chunk in check_targets(begun.name, begun.width, work(asked.target, self._read(asked))):
            if chunk.target == DRIVER:
                notes.append(bytes(chunk.body))
            else:
                sent.append((chunk.target, self._outbox.append(chunk.body)))
        return Done(sent, notes)

    def _read(self, asked: Do) -> Iterator[Body]:
        if asked.task is not None:
            yield asked.task
        for place in asked.places:
            yield self._inbox.read(place)

    def _finish(self) -> None:
        descriptors = self._outbox.close()
        self.line.send(Closed(len(descriptors)), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._outbox = Outbox(0)
        self._inbox.close()


def check_targets(name: str, width: int, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks of a step; a defect where one is addressed to nobody."""
    for chunk in chunks:
        if chunk.target != DRIVER and not 0 <= chunk.target < width:
            raise InternalError(f"step {name} addressed target {chunk.target} of {width}")
        yield chunk


def main(arguments: Sequence[str]) -> None:
    """`LINE WORKER[,WORKER…] ROOMS`: descriptors, and the module that is loaded before the workers are forked, or ""."""
    line, workers, rooms = arguments
    guard_workers(int(line), [int(one) for one in workers.split(",")], rooms)
