"""The one place that turns the end of a command into what it answers: one JSON object or a page, and an exit status.

Whatever ends a command (an answer, a refusal, a defect, a signal, wrong use) comes through here. A traceback never
reaches the terminal: it stands in a file that the message names.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ofs_spark.console.answers import print_answer, print_failure, print_json, print_refusal, print_usage_error
from ofs_spark.console.logs import log_end
from ofs_spark.foundation.commands import NOBODY, Caller
from ofs_spark.foundation.ends import (
    EXIT_INTERNAL,
    EXIT_USAGE,
    Stopped,
    compose_failure,
    describe_end,
    find_owner,
)
from ofs_spark.foundation.stops import end_by_signal, find_stop

Answer = dict[str, Any]
Print = Callable[[Answer], None]


def answer_command(
    run: Callable[[], Answer],
    *,
    as_json: bool,
    status: Callable[[Answer], int] = lambda _answer: 0,
    people: Print = print_answer,
    caller: Caller = NOBODY,
) -> int:
    """Prints what `run` answers, or how it ended otherwise; gives the exit status.

    After a signal the process ends here, with the signal's status: what still runs, such as a busy JVM, is not waited
    for.
    """
    if not logging.getLogger().handlers:  # libraries log an interrupted call with its traceback, there if nowhere else
        logging.getLogger().addHandler(logging.NullHandler())
    with end_by_signal():
        try:
            answer = run()
            code = status(answer)
        except (Exception, KeyboardInterrupt, Stopped) as error:  # noqa: BLE001  # every end is answered
            end = find_stop(error)
            left = answer_end(end, as_json=as_json, caller=caller)
            if isinstance(end, Exception):
                return left
            _leave(left)
    return _print(answer, code, print_json if as_json else people)


def answer_usage(message: str, usage: str, *, as_json: bool) -> int:
    """Tells of wrong use; gives exit status 2."""
    with suppress(OSError):  # nobody reads it
        print_usage_error(message, usage)
    if as_json:
        _print(compose_failure("USAGE", message, EXIT_USAGE), EXIT_USAGE, print_json)
    return EXIT_USAGE


def print_text(text: str) -> int:
    """Prints a text that no command answered, such as its help; gives the exit status."""

    def write(_answer: Answer) -> None:
        """The text alone."""
        sys.stdout.write(text)

    return _print({}, 0, write)


def answer_end(error: BaseException, *, as_json: bool, caller: Caller = NOBODY) -> int:
    """Answers an exception, a refusal's document or a failure's; gives the exit status."""
    answer, owner = describe_end(error, caller), find_owner(error)
    log_end(answer.get("code") or answer["reason"], answer["message"])
    if owner is not None:
        return _print(answer, owner.exit_status, print_json if as_json else print_refusal)
    if answer["reason"] == "INTERNAL":
        answer["message"] += f"; {_keep_traceback(error)}"
    return _print(answer, int(answer["exit_status"]), print_json if as_json else print_failure)


def _keep_traceback(error: BaseException) -> str:
    """Writes the traceback to a new file that only this user reads, and says where it is."""
    text = "".join(traceback.format_exception(error))
    for folder in (os.environ.get("OFS_CACHE_DIR"), None):
        if folder == "":
            continue
        try:
            descriptor, path = tempfile.mkstemp(prefix="ofs-defect-", suffix=".txt", dir=folder)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return f"the traceback is in {path}"
    return "its traceback could not be kept: no temporary folder can be written"


def _print(answer: Answer, code: int, write: Print) -> int:
    """Prints and flushes; an answer that cannot be written is no success."""
    try:
        write(answer)
        sys.stdout.flush()
    except OSError as unwritten:  # a closed pipe, a full disk
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to fail at the exit
        with suppress(OSError):
            print_usage_error(f"the answer could not be written: {unwritten.strerror}")
        return code or EXIT_INTERNAL
    return code


def _leave(status: int) -> None:
    """Ends the process at once: not by way of atexit, where the JVM may be busy."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
