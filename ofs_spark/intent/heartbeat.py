"""Keeps a run's lease alive while the driver works, and tells the driver when it no longer has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.stops import stop_main_thread
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import CANCELLED_BY_RUN_CONTROL, Run


@contextmanager
def keep_lease(control: RunControl, held: Run) -> Iterator[None]:
    """Extends the lease three times per lease length until the block ends.

    A beat that fails is tried again at the next one: the lease is three beats long. A lost lease stops the beating; the
    fence before the commit then refuses, which is where it matters. A run that was asked to stop ends as by a signal,
    where the block is the main thread's; elsewhere the fence ends it.
    """
    stop, is_main = threading.Event(), threading.current_thread() is threading.main_thread()

    def beat() -> None:
        """Extends the lease until told to stop, or until it is lost."""
        while not stop.wait(control.limits.lease_s / 3):
            try:
                is_asked = control.beat(held).is_asked_to_stop
            except Refusal as refusal:
                if refusal.code == "LEASE_LOST":
                    return
            except OSError:
                continue
            else:
                if is_asked and is_main:
                    stop_main_thread(CANCELLED_BY_RUN_CONTROL)
                    return

    thread = threading.Thread(target=beat, name=f"lease of {held.run_key}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
