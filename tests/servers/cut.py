"""A proxy on loopback that cuts a connection at a chosen message: what a network does to a client and a server.

    with Cutter(server.port) as network:
        network.arm(Cut("client", 3, "before"))   # the third message of the client never arrives
        …                                         # the client talks to network.port
        assert network.is_cut

Messages are counted from `arm` on, over all connections, each side by itself. After the cut new connections go through,
unless the cut is `lasting`. What a message is, `read_message` says: PostgreSQL's, unencrypted, is the one that it knows.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

Side = Literal["client", "server"]
ReadMessage = Callable[[socket.socket, Side, bool], bytes]
"""(from where, whose messages, whether it is the connection's first) → one whole message, b"" at the end."""

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Cut:
    """Where the connection ends: before or after message `number`, from 1, that `side` sends has been passed on.

    hangs: nothing is closed, and nothing more passes. lasting: later connections are refused, or hang too.
    """

    side: Side
    number: int
    when: Literal["before", "after"]
    hangs: bool = False
    lasting: bool = False


def read_postgres(source: socket.socket, side: Side, is_first: bool) -> bytes:
    """One message of PostgreSQL's protocol: a length, before it a letter unless it is a client's first."""
    head = _read(source, 4 if side == "client" and is_first else 5)
    if not head:
        return b""
    (length,) = struct.unpack("!I", head[-4:])
    return head + _read(source, length - 4)


class Cutter:
    """The proxy, before the server at a port of this machine."""

    def __init__(self, server_port: int, read_message: ReadMessage = read_postgres) -> None:
        self._server_port, self._read_message = server_port, read_message
        self._listener = socket.create_server((_HOST, 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._cut: Cut | None = None
        self._counts: dict[Side, int] = {"client": 0, "server": 0}
        self.is_cut = False

    @property
    def port(self) -> int:
        """Where clients connect."""
        return int(self._listener.getsockname()[1])

    @property
    def counts(self) -> dict[Side, int]:
        """Messages of each side since `arm`."""
        with self._lock:
            return dict(self._counts)

    def arm(self, cut: Cut | None) -> None:
        """Counts anew, and cuts where it says; None only counts."""
        with self._lock:
            self._cut, self.is_cut = cut, False
            self._counts = {"client": 0, "server": 0}

    def __enter__(self) -> Cutter:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_ended: type[BaseException] | BaseException | TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still = list(self._open)
        for one in still:
            _close(one)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    refuses = self.is_cut and self._cut is not None and self._cut.lasting
                    self._open.add(client)
                if refuses and self._cut is not None:
                    if not self._cut.hangs:
                        _close(client)
                    continue
                server = socket.create_connection((_HOST, self._server_port))
                with self._lock:
                    self._open.add(server)
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for source, target, side in ((client, server, "client"), (server, client, "server")):
                    threading.Thread(target=self._pass, args=(source, target, side), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, side: Side) -> None:
        """Passes messages on until one side ends, or is cut."""
        is_first, hangs = True, False
        with suppress(OSError):
            while message := self._read_message(source, side, is_first):
                is_first = False
                moment = self._find_moment(side)
                if moment is None or moment.when == "after":
                    target.sendall(message)
                if moment is not None:
                    hangs = moment.hangs
                    break
                if self._is_hung():
                    return
        if not hangs:
            _close(source)
            _close(target)

    def _is_hung(self) -> bool:
        return self.is_cut and self._cut is not None and self._cut.hangs

    def _find_moment(self, side: Side) -> Cut | None:
        """The armed cut if this message is its moment."""
        with self._lock:
            self._counts[side] += 1
            cut = self._cut
            if cut is None or self.is_cut or (cut.side, cut.number) != (side, self._counts[side]):
                return None
            self.is_cut = True
            return cut


def _read(source: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; b"" if they do not come."""
    found = b""
    while len(found) < size:
        more = source.recv(size - len(found))
        if not more:
            return b""
        found += more
    return found


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
