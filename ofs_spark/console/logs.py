"""The log of a process, for `--log-level`: standard `logging` below `ofs_spark`, a line per record on standard error.

A process that says no level logs nothing, and a program that imports OFS sets up `logging` as it likes.
"""

from __future__ import annotations

import logging
import sys
import time

from ofs_spark.console.progress import Progress
from ofs_spark.console.screen import escape
from ofs_spark.foundation.ports import NOTE

LEVELS = ("error", "warning", "info", "debug")
ROOT = logging.getLogger("ofs_spark")
"""Loggers below it: `ofs_spark.steps` what a run does (info), notes (warning), refusals and failures (error);
`ofs_spark.calls` every call on store, ledger and engine (debug)."""
STEPS = logging.getLogger("ofs_spark.steps")
LINE = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"

ROOT.addHandler(logging.NullHandler())  # else records without a handler reach standard error by themselves


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # of whatever stream standard error is
    """The handler of this process: there is one at most."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Nothing: who stopped reading the log does not end a build, and is shown no traceback."""


def set_log_level(level: str | None) -> None:
    """Logs records of this level and above on standard error; None: nothing is logged."""
    for handler in [one for one in ROOT.handlers if isinstance(one, _Handler)]:
        ROOT.removeHandler(handler)
    ROOT.setLevel(logging.NOTSET if level is None else level.upper())
    if level is not None:
        handler = _Handler(sys.stderr)
        handler.setFormatter(_Formatter(LINE, "%Y-%m-%dT%H:%M:%S"))
        ROOT.addHandler(handler)


def log_step(room: str, detail: str) -> None:
    """What a room does now, as a record; in the place of progress."""
    if detail.startswith(NOTE):
        STEPS.warning("%s: %s", room, detail.removeprefix(NOTE))
    else:
        STEPS.info("%s: %s", room, detail)


class LoggedProgress(Progress):
    """Progress as records of the log."""

    def __init__(self) -> None:
        super().__init__(None)

    def __call__(self, room: str, doing: str) -> None:
        """A record."""
        log_step(room, doing)


def log_end(code: str, message: str) -> None:
    """A refusal or a failure, as a record."""
    STEPS.error("%s: %s", code, message)


class _Formatter(logging.Formatter):
    """A record on one line, in UTC: what is not printable is written as its escape."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return "".join(char if char.isprintable() else escape(char) for char in super().format(record))
