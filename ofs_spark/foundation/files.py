"""Reading one file of a local disk: regular files only, and never more of them than was asked for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ofs_spark.foundation.ports import ObjectTooLarge, Tail


def read_file(path: Path | str, most: int) -> bytes:
    """The whole file. ObjectTooLarge, before anything is read, beyond `most` bytes.

    OSError as the system says it; EINVAL "is no regular file" for a device, a pipe, a socket, EISDIR for a folder: they
    are looked at and never opened, for that may wait for ever. A file that changes its size meanwhile is an OSError too.
    """
    with _open_regular(path) as (file, size):
        if size > most:
            raise ObjectTooLarge(os.fspath(path), size, most)
        return _read_rest(file, size)


def read_file_tail(path: Path | str, most: int) -> Tail:
    """The last `most` bytes of the file, all of them where it has fewer, and its size. OSError as `read_file`."""
    with _open_regular(path) as (file, size):
        length = min(size, most)
        file.seek(size - length)
        return Tail(size, _read_rest(file, length))


class IrregularFileError(OSError):
    """What stands there is a device, a pipe or a socket."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(errno.EINVAL, "is no regular file", os.fspath(path))


@contextmanager
def _open_regular(path: Path | str) -> Iterator[tuple[BinaryIO, int]]:
    """The open file and its size in bytes."""
    _require_regular(os.stat(path), path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _require_regular(found, path)  # another may have taken its name since
        yield file, found.st_size


def _read_rest(file: BinaryIO, length: int) -> bytes:
    """The rest of a file, which has `length` bytes."""
    body = file.read(length + 1)
    if len(body) != length:
        raise OSError(f"{len(body)} bytes were read where {length} are left of the file")
    return body


def _require_regular(found: os.stat_result, path: Path | str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(found.st_mode):
        raise IrregularFileError(path)
