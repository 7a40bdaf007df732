"""Stands between a client and an S3 server, and lets chosen requests fail.

with FaultProxy("http://127.0.0.1:9000") as proxy:
    proxy.fail("lost reply", n=3)                       # the third request from now
    proxy.fail("409", method="PUT", part="manifests/")  # the next such request
    store = S3Objects.at("s3://bucket", StoreSettings(endpoint=proxy.address))
"""

from __future__ import annotations

import http.client
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

CODES = {
    "403": "AccessDenied",
    "409": "ConditionalRequestConflict",
    "412": "PreconditionFailed",
    "500": "InternalError",
    "503": "SlowDown",
}
KINDS = frozenset({"cut", "lost reply", "half reply", "timeout", *CODES, *(f"lost reply {code}" for code in CODES)})
"""cut: not forwarded, the connection ends. lost reply: forwarded, and then the connection ends. half reply: it ends in
the middle of the answer's body. timeout: forwarded, and never answered. STATUS: not forwarded, answered with it.
lost reply STATUS: forwarded, and answered with it instead."""
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "expect"})


@dataclass
class Fault:
    """What is to happen to the n-th of the requests that it is about. part: of the path. done: whether it has happened."""

    kind: str
    n: int
    method: str
    part: str
    code: str
    done: bool = False

    def is_about(self, method: str, path: str) -> bool:
        """Whether a request counts."""
        return not self.done and self.method in ("", method) and self.part in path


@dataclass(frozen=True)
class Request:
    """A request as the client sent it; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class FaultProxy:
    """A proxy on 127.0.0.1. drops: headers that are taken from every request, as of a server that does not know them."""

    def __init__(self, upstream: str, drops: tuple[str, ...] = ()) -> None:
        self.requests: list[Request] = []
        self._upstream = urlsplit(upstream).netloc
        self._drops = frozenset(name.lower() for name in drops)
        self._faults: list[Fault] = []
        self._always = ""
        self._lock, self._ended = Lock(), Event()

    def __enter__(self) -> FaultProxy:
        proxy = self

        class Handler(_Handler):
            """Answers for this proxy."""

        Handler.proxy = proxy
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """What clients are told."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(self, kind: str, n: int = 1, *, method: str = "", part: str = "", code: str = "", times: int = 1) -> None:
        """Lets the n-th request from now fail, and the following ones up to `times`. code: other than the status' own.

        Only requests with this method whose path holds `part` are counted.
        """
        assert kind in KINDS, kind
        with self._lock:
            self._faults += [Fault(kind, n + more, method, part, code) for more in range(times)]

    def reset(self) -> None:
        """Forgets what came, and what was to fail."""
        with self._lock:
            self.requests, self._faults, self._always = [], [], ""

    def fail_all(self, kind: str) -> None:
        """Lets every request fail, until `reset`."""
        with self._lock:
            self._always = kind

    def count(self, method: str = "", part: str = "") -> int:
        """How many requests have come."""
        return sum(method in ("", one.method) and part in one.path for one in self.requests)

    def take_fault(self, request: Request) -> Fault | None:
        """What is to happen to a request."""
        with self._lock:
            self.requests.append(request)
            hit = Fault(self._always, 0, "", "", "") if self._always else None
            for fault in self._faults:
                if fault.is_about(request.method, request.path):
                    fault.n -= 1
                    if fault.n == 0:
                        fault.done, hit = True, fault
            return hit

    def wait(self) -> None:
        """Until the proxy ends."""
        self._ended.wait()

    def forward(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        """The server's answer: status, headers, body."""
        passed = {name: one for name, one in request.headers.items() if name not in _HOP | self._drops}
        connection = http.client.HTTPConnection(self._upstream, timeout=60)
        try:
            connection.request(request.method, request.path, request.body, passed)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer's second part would wait 40 ms for a client that acknowledges late

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): one for name, one in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        fault = self.proxy.take_fault(request)
        kind, code = (fault.kind, fault.code) if fault else ("", "")
        if kind == "cut":
            return self._cut()
        if kind in CODES:
            return self._answer(int(kind), [], _describe(code or CODES[kind]))
        status, found, answer = self.proxy.forward(request)
        if kind == "timeout":
            self.proxy.wait()
            return self._cut()
        if kind == "lost reply":
            return self._cut()
        if kind:
            name = kind.removeprefix("lost reply ")
            if name in CODES:
                return self._answer(int(name), [], _describe(code or CODES[name]))
        return self._answer(status, found, answer, half=kind == "half reply")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815  # as the base class calls them

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, half: bool = False) -> None:
        kept = [(name, one) for name, one in headers if name.lower() not in _HOP]
        self.send_response_only(status)
        for name, one in kept:
            self.send_header(name, one)
        if not any(name.lower() == "content-length" for name, _ in kept):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self._cut()

    def _cut(self) -> None:
        """Ends the connection, as a machine does that is gone."""
        self.wfile.flush()
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_parts: Any) -> None:
        """Nothing is printed."""

    def handle(self) -> None:
        """A client that went away is no error of a server."""
        with suppress(ConnectionError):
            super().handle()


def _describe(code: str) -> bytes:
    return f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
