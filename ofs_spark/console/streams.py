"""The standard streams as every end of a command can be told on them, however the process was started.

A descriptor that is closed is the next file's that anybody opens: what a library or the JVM prints would go into it. And
an encoding that does not spell ASCII as ASCII (UTF-16, EBCDIC, punycode) would leave no JSON on standard output.
"""

from __future__ import annotations

import io
import os
import string
import sys
from contextlib import suppress

_READ, _WRITTEN = os.O_RDONLY, os.O_WRONLY
_STREAMS = (("stdin", "r", _READ), ("stdout", "w", _READ), ("stderr", "w", _WRITTEN))
"""By descriptor: name, mode, and how the null device stands in for it. Nothing can be written to a closed standard output:
an answer that nobody gets is no success. What is lost on standard error was for people alone."""


def prepare_streams() -> None:
    """Opens what is closed, and gives an encoding to what has none that programs read."""
    for number, (name, mode, access) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            _occupy(number, access)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _spells_ascii(stream.encoding):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _occupy(number: int, access: int) -> None:
    """Puts the null device at a descriptor that is free."""
    with suppress(OSError):
        os.fstat(number)
        return
    opened = os.open(os.devnull, access)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)


def _spells_ascii(encoding: str) -> bool:
    """Whether text of ASCII is encoded as itself."""
    try:
        return string.printable.encode(encoding) == string.printable.encode("ascii")
    except (UnicodeError, LookupError):
        return False
