"""Keeps a run's lease alive while the driver works, and tells the driver when it no longer has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ofs_spark.foundation.errors import Refusal
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import Run


@contextmanager
def keep_lease(control: RunControl, held: Run) -> Iterator[None]:
    """Extends the lease three times per lease length until the block ends.

    A beat that fails is tried again at the next one: the lease is three beats long. A lost lease stops the beating; the
    fence before the commit then refuses, which is where it matters.
    """
    stop = threading.Event()

    def beat() -> None:
        """Extends the lease until told to stop, or until it is lost."""
        while not stop.wait(control.limits.lease_s / 3):
            try:
                control.beat(held)
            except Refusal as refusal:
                if refusal.code == "LEASE_LOST":
                    return
            except OSError:
                continue

    thread = threading.Thread(target=beat, name=f"lease of {held.run_key}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
