"""Every call on store, ledger, tables and engine as a line of the log, for whoever asked for `--log-level debug`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Answer = TypeVar("Answer")

LOG = logging.getLogger("ofs_spark.calls")


def is_logging() -> bool:
    """Whether somebody reads the log of calls."""
    return LOG.isEnabledFor(logging.DEBUG)


@dataclass(frozen=True)
class LogCalls:
    """Stands around every call (`watched.Around`). A line says what was called, how long it took and what it raised.

    A value that pickles. What workers call is logged where they set up logging.
    """

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        """What `call` answers."""
        start = time.perf_counter()
        try:
            answer = call()
        except BaseException as error:
            LOG.debug("%s %.1f ms, raised %s", effect, _measure(start), type(error).__name__)
            raise
        LOG.debug("%s %.1f ms", effect, _measure(start))
        return answer


def _measure(start: float) -> float:
    """Milliseconds since."""
    return (time.perf_counter() - start) * 1000
