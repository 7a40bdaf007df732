"""A server as a process of its own, which ends with the tests whatever ends them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 90
"""Until a server must answer: the machine is shared, and a JVM takes its time."""


def find_port() -> int:
    """A port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


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
