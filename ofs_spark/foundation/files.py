"""Reading one file of a local disk: regular files only, and never more of them than was asked for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ofs_spark.foundation.ports import ObjectTooLarge


def read_file(path: Path | str, most: int) -> bytes:
    """The whole file. ObjectTooLarge, before anything is read, beyond `most` bytes.

    OSError as the system says it; EINVAL "is no regular file" for a device, a pipe, a socket, EISDIR for a folder: they
    are looked at and never opened, for that may wait for ever. A file that changes its size meanwhile is an OSError too.
    """
    _require_regular(os.stat(path), path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _require_regular(found, path)  # another may have taken its name since
        if found.st_size > most:
            raise ObjectTooLarge(os.fspath(path), found.st_size, most)
        body = file.read(found.st_size + 1)
    if len(body) != found.st_size:
        raise OSError(f"{len(body)} bytes were read of a file of {found.st_size}")
    return body


class IrregularFileError(OSError):
    """What stands there is a device, a pipe or a socket."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(errno.EINVAL, "is no regular file", os.fspath(path))


def _require_regular(found: os.stat_result, path: Path | str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(found.st_mode):
        raise IrregularFileError(path)
