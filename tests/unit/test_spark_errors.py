"""What Spark raises has an owner: a worker's refusal, memory, the machine; the rest is a defect."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from py4j.protocol import Py4JError, Py4JNetworkError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException

from ofs_spark.foundation.codes import CODES
from ofs_spark.foundation.ends import describe_end
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.io.spark_errors import own_errors, send_errors
from ofs_spark.io.worker_errors import decode_refusal, encode_refusal


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_refusal_travels_as_text(code: str) -> None:
    sent = refuse(code, "wörld\n\x1b <ofs-refusal x>", ref="a%2Fb", faults=[{"n": 1}])
    came = decode_refusal(f"Traceback …\n  x\n{encode_refusal(sent)} trailing")
    assert came is not None
    assert (type(came), came.to_document()) == (type(sent), sent.to_document())
    assert decode_refusal(encode_refusal(refuse(code, "m", text="x" * 1_000_000))) is not None


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (refuse("REF_SCOPE_INVALID", "../x"), "REF_SCOPE_INVALID"),
        (MemoryError(), "RESOURCE_EXCEEDED"),
        (OSError(errno.ENOSPC, "No space left on device"), "ENVIRONMENT_UNFIT"),
        (PermissionError(errno.EACCES, "Permission denied"), "REF_ACCESS_DENIED"),
        (TimeoutError("no answer"), "ENVIRONMENT_UNFIT"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_what_a_step_raises_is_raised_again_by_its_owner(raised: Exception, code: str) -> None:
    with pytest.raises(Exception, match=code) as wrapped, send_errors():
        raise raised
    text = f"An exception was thrown from the Python worker:\n{pickle.loads(pickle.dumps(str(wrapped.value)))}"
    with pytest.raises(Refusal) as owned, own_errors():
        raise PySparkException(text)
    assert owned.value.code == code


def test_a_defect_of_a_step_stays_one() -> None:
    with pytest.raises(KeyError), send_errors():
        raise KeyError("x")
    with pytest.raises(PySparkException), own_errors():
        raise PySparkException("KeyError: 'x'")


ENDS: list[tuple[Callable[[], Exception], str]] = [
    (lambda: Py4JNetworkError("Answer from Java side is empty"), "ENVIRONMENT_UNFIT"),
    (lambda: Py4JError("An error occurred while calling o1.x"), "ENVIRONMENT_UNFIT"),
    (lambda: ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "ENVIRONMENT_UNFIT"),
    (
        lambda: PySparkException("org.apache.spark.SparkException: Python worker exited unexpectedly"),
        "ENVIRONMENT_UNFIT",
    ),
    (lambda: PySparkException("java.io.IOException: No space left on device"), "ENVIRONMENT_UNFIT"),
    (lambda: PySparkException("java.net.SocketException: Connection reset"), "ENVIRONMENT_UNFIT"),
    (lambda: PySparkException("java.net.SocketException: Broken pipe"), "ENVIRONMENT_UNFIT"),
    (lambda: PySparkException("Job aborted: java.io.EOFException"), "ENVIRONMENT_UNFIT"),
    (lambda: PySparkException("java.lang.OutOfMemoryError: Java heap space"), "RESOURCE_EXCEEDED"),
]


@pytest.mark.parametrize(("make", "code"), ENDS, ids=range(len(ENDS)))
def test_an_engine_that_ends_is_the_environments(make: Callable[[], Exception], code: str) -> None:
    with pytest.raises(Refusal) as owned, own_errors():
        raise make()
    assert owned.value.code == code


def test_every_exception_has_an_answer() -> None:
    found: list[dict[str, Any]] = [describe_end(error) for error in (ValueError("x" * 9_999), KeyboardInterrupt())]
    assert [one["reason"] for one in found] == ["INTERNAL", "INTERRUPTED"]
    assert len(found[0]["message"]) < 1_100
