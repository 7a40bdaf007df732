"""Errors of Spark: what a worker's exception was before Spark wrapped it, and who owns what Spark itself raises.

Spark hands an exception of a Python worker to the driver as text. A worker therefore raises what has an owner with the
owner's refusal in that text, between marks, so that the driver can raise the same refusal again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ofs_spark.foundation.ends import find_owner
from ofs_spark.foundation.errors import OfsError, Refusal, refuse
from ofs_spark.io.worker_errors import decode_refusal, encode_refusal

_MEMORY = ("java.lang.OutOfMemoryError", "MemoryError", "Cannot reserve", "exceeds the memory limit")
_MACHINE = (
    "No space left on device",
    "Read-only file system",
    "Too many open files",
    "Python worker exited unexpectedly",
    "Python worker failed to connect back",
    "java.io.EOFException",  # of a worker that is gone while the JVM reads from it or writes to it
    "Connection reset",
    "Broken pipe",
    "Cannot run program",
    "ExecutorLostFailure",
    "Master removed our application",
    "Failed to create local dir",
    "SparkContext was shut down",
    "stopped SparkContext",
    "Failed to connect to",
    "FetchFailed",
)


class WorkerRefused(OfsError):
    """A refusal on its way from a worker to the driver, in the text of an exception."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal} {encode_refusal(refusal)}")


@contextmanager
def send_errors() -> Iterator[None]:
    """In a worker: what the block raises, with its owner's refusal in it if it has one."""
    try:
        yield
    except GeneratorExit:
        raise
    except Exception as error:
        owner = find_owner(error)
        if owner is None:
            raise
        raise WorkerRefused(owner) from error


@contextmanager
def own_errors() -> Iterator[None]:
    """In the driver: what Spark raises, as the refusal that owns it; a defect comes as Spark tells it."""
    try:
        yield
    except Exception as error:
        owner = find_spark_owner(error)
        if owner is None:
            raise
        raise owner from error


def find_spark_owner(error: Exception) -> Refusal | None:
    """The refusal that an exception of Spark or of the way to its JVM stands for; None for a defect."""
    text = str(error)
    sent = decode_refusal(text)
    if sent is not None:
        return sent
    if any(mark in text for mark in _MEMORY):
        return refuse("RESOURCE_EXCEEDED", "a worker or the JVM ran out of memory; give more, or shorten the basis")
    machine = next((mark for mark in _MACHINE if mark in text), None)
    if machine is not None:
        return refuse("ENVIRONMENT_UNFIT", f"Spark could not go on: {machine}")
    if isinstance(error, OSError) or _is_of_the_gateway(error):
        return refuse("ENVIRONMENT_UNFIT", "Spark's JVM does not answer: it ended, or was ended")
    return None


def _is_of_the_gateway(error: Exception) -> bool:
    """Whether it is an error of the way to the JVM, and no exception that the JVM answered with."""
    of_gateway = any(one.__module__.startswith("py4j.") for one in type(error).__mro__)
    return of_gateway and not hasattr(error, "java_exception")
