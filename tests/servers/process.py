"""A server as a process of its own, which ends with the tests whatever ends them."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

FIRST_PORT, PORTS = 12_000, 20_000
"""Below those that systems give connections, from 32,768 on."""
WAIT_S = 90
"""Until a server must answer: the machine is shared, and a JVM takes its time."""


def find_port() -> int:
    """A port that is free now, and that no connection is given until a server has taken it.

    One that the system chooses is of the range that it gives connections too, and other tests open hundreds a second.
    """
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)  # other processes choose at the same time
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


@contextmanager
def run_server(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Runs a server until it is not needed any more: its address, once it takes connections.

    log: takes what it prints. Its standard input is a pipe that closes when this process ends, however that is.
    """
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=out, stderr=out, env={**os.environ, **(environment or {})}
        )
    try:
        _wait(server, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        assert server.stdin is not None
        server.stdin.close()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ends = time.monotonic() + WAIT_S
    while time.monotonic() < ends:
        assert server.poll() is None, log.read_text(errors="replace")[-4_000:]
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"the server did not start in {WAIT_S} s: {log.read_text(errors='replace')[-4_000:]}")
