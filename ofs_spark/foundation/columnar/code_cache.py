"""Where compiled loops are kept: in the user's cache, under a digest of the sources it can be made of.

Numba keys its own cache by the one file a function stands in, and by that file's path. Neither will do here: a loop
has other files' functions and constants in it, and the code of a submitted job lies in an archive at another path each
time. `foundation/code_folder.py` says where that is; where none can be written, nothing is kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from numba.core.caching import _CacheLocator

from ofs_spark.foundation.code_folder import digest_sources, find_code_folder


class CodeCacheLocator(_CacheLocator):
    """Tells Numba where a function of OFS is kept. Named in `numba.config.CACHE_LOCATOR_CLASSES`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._line = function.__code__.co_firstlineno
        self._folder = find_code_folder() / function.__module__

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


def forget_code(function: Callable[..., Any]) -> None:
    """Removes what is kept of a function's module."""
    shutil.rmtree(find_code_folder() / function.__module__, ignore_errors=True)
    CodeCacheLocator.from_function(function, "")  # makes the folder anew
