"""A descriptor that is written to without waiting for whoever reads it.

A pipe that nobody empties and a terminal that is paused take no more bytes. Whoever waits for them stops working, and a
thread that waits inside the interpreter's own stream keeps it from the others, at the end of the process too.
"""

from __future__ import annotations

import io
import os
import select
from contextlib import suppress
from typing import Any, TextIO

PIECE = 512
"""Bytes of one write: what a descriptor that is ready takes at once, be it a pipe or a terminal."""
MOST_BYTES = 64 * 1024
"""Of what is kept for a reader that is behind; what comes then is lost."""


class Outlet(io.RawIOBase):
    """Bytes for a descriptor, in the order in which they came, as soon as it takes them. Used by one thread alone."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._pending = bytearray()
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Whether the descriptor is a terminal's."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """The descriptor, which is not closed here."""
        return self._descriptor

    def write(self, body: bytes) -> int:  # type: ignore[override]  # whatever holds bytes
        """Takes all of `body`; what the descriptor does not take now is kept."""
        if len(self._pending) < MOST_BYTES:
            self._pending += body
        self.drain()
        return len(body)

    def drain(self, seconds: float = 0.0) -> bool:
        """Writes what is kept for as long as the descriptor takes it: whether all is. seconds: to wait for each piece."""
        while self._pending and self._ready.poll(seconds * 1000):
            try:
                done = os.write(self._descriptor, self._pending[:PIECE])
            except BlockingIOError:
                break
            except OSError:  # nobody reads any more, the disk is full: progress is for people alone
                done = len(self._pending)
            del self._pending[:done]
        return not self._pending


def open_outlet(stream: TextIO) -> tuple[TextIO, Outlet | None]:
    """`stream` as one that nobody waits for; itself, and None, where it is no descriptor's but in memory."""
    with suppress(OSError, ValueError):  # what has no descriptor, or a closed one
        outlet = Outlet(stream.fileno())
        buffer: Any = outlet  # it holds what it does not write, as a buffer does
        return io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", "", write_through=True), outlet
    return stream, None
