"""The ordinary S3 server of tests: `python -m tests.servers.moto PORT`.

moto looks whether an object stands and writes it in two steps. Here one request is carried out at a time, so that its
conditional writes are atomic, as S3's are (and as those of s3mock 4.11 and 5.0 are not: docs/adr/0015). It ends when its
standard input does.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable
from threading import Lock, Thread
from typing import Any


def answer_one_at_a_time(application: Callable[[Any, Any], Iterable[bytes]]) -> Callable[[Any, Any], list[bytes]]:
    """The application, asked for one answer after the other. A request is received before its turn comes."""
    turn = Lock()

    def answer(environment: dict[str, Any], start: Any) -> list[bytes]:
        length = int(environment.get("CONTENT_LENGTH") or 0)
        environment["wsgi.input"] = io.BytesIO(environment["wsgi.input"].read(length))
        with turn:
            return list(application(environment, start))

    return answer


def main(port: int) -> None:
    """Serves until standard input ends."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Prompt(WSGIRequestHandler):
        disable_nagle_algorithm = True  # an answer's body would wait 40 ms for a client that acknowledges late

    application = answer_one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=Prompt)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
