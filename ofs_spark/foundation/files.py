"""Reading one file of a local disk: regular files only, and never more of them than was asked for."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ofs_spark.foundation.ports import ObjectTooLarge, Tail

_PIECE = 1 << 20
"""Bytes of a file that are hashed at once."""


def read_file(path: Path | str, most: int) -> bytes:
    """The whole file. ObjectTooLarge, before anything is read, beyond `most` bytes.

    OSError as the system says it; EINVAL "is no regular file" for a device, a pipe, a socket, EISDIR for a folder: they
    are looked at and never opened, for that may wait for ever. A file that changes its size meanwhile is an OSError too.
    """
    with _open_regular(path) as (file, size):
        if size > most:
            raise ObjectTooLarge(os.fspath(path), size, most)
        body = file.read(size + 1)
    _require_whole(len(body), size)
    return body


def read_file_tail(path: Path | str, most: int) -> Tail:
    """The last `most` bytes of the file, all of them where it has fewer, and its size. OSError as `read_file`."""
    with _open_regular(path) as (file, size):
        length = min(size, most)
        file.seek(size - length)
        body = file.read(length + 1)
    _require_whole(len(body), length)
    return Tail(size, body)


def read_file_part(path: Path | str, start: int, most: int) -> bytes:
    """The file's bytes from `start` on, `most` of them, or as many as there are. OSError as `read_file`."""
    with _open_regular(path) as (file, size):
        length = max(0, min(size - start, most))
        file.seek(start)
        body = file.read(length)
    _require_whole(len(body), length)
    return body


def digest_file(path: Path | str) -> str:
    """SHA-256 of a file of any size as lower-case hex, in memory for one piece of it. OSError as `read_file`."""
    found, taken = hashlib.sha256(), 0
    with _open_regular(path) as (file, size):
        while taken <= size and (piece := file.read(_PIECE)):
            found.update(piece)
            taken += len(piece)
    _require_whole(taken, size)
    return found.hexdigest()


class IrregularFileError(OSError):
    """What stands there is a device, a pipe or a socket."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(errno.EINVAL, "is no regular file", os.fspath(path))


@contextmanager
def _open_regular(path: Path | str) -> Iterator[tuple[BinaryIO, int]]:
    """The file, and its size in bytes as it was opened."""
    _require_regular(os.stat(path), path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _require_regular(found, path)  # another may have taken its name since
        yield file, found.st_size


def _require_whole(taken: int, stated: int) -> None:
    """OSError unless as many bytes were read as were left of the file when it was opened."""
    if taken != stated:
        raise OSError(f"{taken} bytes were read where {stated} are left of the file")


def _require_regular(found: os.stat_result, path: Path | str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(found.st_mode):
        raise IrregularFileError(path)
