"""Where compiled loops are kept: in the user's cache, under a digest of the whole package's sources.

Numba keys its own cache by the one file a function stands in, and by that file's path. Neither will do here: a loop
has other files' functions and constants in it, and the code of a submitted job lies in an archive at another path each
time. Under `OFS_CACHE_DIR`, else `XDG_CACHE_HOME`, else `~/.cache`; where none can be written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from numba.core.caching import _CacheLocator


class CodeCacheLocator(_CacheLocator):
    """Tells Numba where a function of OFS is kept. Named in `numba.config.CACHE_LOCATOR_CLASSES`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._line = function.__code__.co_firstlineno
        self._folder = find_cache_root() / digest_sources()[:32] / function.__module__

    def get_cache_path(self) -> str:
        """Folder of the function's module."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """What the code was made of."""
        return digest_sources()

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], _py_file: str) -> CodeCacheLocator | None:
        """The locator; None for a function of another package, or where the cache cannot be written."""
        if not py_func.__module__.startswith("ofs_spark."):
            return None
        locator = cls(py_func)
        try:
            locator.ensure_cache_path()  # type: ignore[no-untyped-call]
        except OSError:
            return None
        return locator


def find_cache_root() -> Path:
    """The folder of all compiled code of this user."""
    stated = os.environ.get("OFS_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    return Path(stated or Path.home() / ".cache") / "ofs" / "compiled"


@cache
def digest_sources() -> str:
    """Digest of every source file of the package, wherever the package lies, and of the Python."""
    digest = hashlib.sha256(sys.version.encode())
    for name, body in sorted(_sources(files("ofs_spark"), "")):
        digest.update(f"{name} {len(body)} ".encode() + body)
    return digest.hexdigest()


def _sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield f"{prefix}{entry.name}", entry.read_bytes()
