"""SHA-256 of columns: whatever hashes, the digests are those of hashlib."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ofs_spark.foundation.columnar import sha256
from ofs_spark.foundation.columnar.arrays import Array

TEXTS = [bytes([length % 251]) * length for length in [*range(300), 1_000, 100_000, 0]]


@pytest.fixture(autouse=True)
def unknown() -> Iterator[None]:
    """The functions are looked for anew, and are not left as a test found them."""
    sha256._find_functions.cache_clear()
    yield
    sha256._find_functions.cache_clear()


def hash_texts(texts: list[bytes]) -> list[str]:
    data = np.frombuffer(b"before" + b"".join(texts), np.uint8)
    found = sha256.hash_spans(data, 6 + np.cumsum([0, *map(len, texts)]))
    return [row.tobytes().hex() for row in found]


def test_digests_are_those_of_hashlib() -> None:
    assert hash_texts(TEXTS) == [hashlib.sha256(text).hexdigest() for text in TEXTS]
    assert hash_texts([]) == []


def lose(_path: str) -> Any:
    raise OSError("no such library")


@pytest.mark.parametrize("library", [lose, lambda _path: object()], ids=["no library", "no function"])
def test_without_the_library_hashlib_hashes(library: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert sha256._find_functions() is None
    assert hash_texts(TEXTS) == [hashlib.sha256(text).hexdigest() for text in TEXTS]


def test_a_library_that_hashes_otherwise_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(data: Array, offsets: Array, functions: Array) -> Array:
        found = sha256._hash_one_by_one(data, offsets).copy()
        found[-1, 31] ^= len(functions) > 0
        return found

    monkeypatch.setattr(sha256, "_hash_at_once", differ)
    assert sha256._find_functions() is None


def test_this_python_has_the_library() -> None:
    assert sha256._find_functions() is not None
