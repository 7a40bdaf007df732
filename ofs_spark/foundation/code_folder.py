"""Where the compiled loops of this release lie, and whether they are there: asked without loading the compiler.

In the user's cache (`OFS_CACHE_DIR`, else `XDG_CACHE_HOME`, else `~/.cache`), in a folder named by a digest of all
sources of the package. `columnar/code_cache.py` tells Numba.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

COMPLETE = "complete"
"""The file that stands in a code folder once every loop was compiled into it: an interrupted compilation left none."""


def find_cache_root() -> Path:
    """The folder of all compiled code of this user."""
    stated = os.environ.get("OFS_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    return Path(stated or Path.home() / ".cache") / "ofs" / "compiled"


def find_code_folder() -> Path:
    """The folder of the compiled code of these sources."""
    return find_cache_root() / digest_sources()[:32]


@cache
def digest_sources() -> str:
    """Digest of every source file of the package, wherever the package lies, and of the Python."""
    digest = hashlib.sha256(sys.version.encode())
    for name, body in sorted(_list_sources(files("ofs_spark"), "")):
        digest.update(f"{name} {len(body)} ".encode() + body)
    return digest.hexdigest()


def has_compiled_code() -> bool:
    """Whether every loop of these sources was compiled before, on this machine, and kept."""
    return (find_code_folder() / COMPLETE).is_file()


def mark_compiled() -> bool:
    """Records that every loop is compiled and kept; False where nothing can be kept."""
    try:
        find_code_folder().mkdir(parents=True, exist_ok=True)
        (find_code_folder() / COMPLETE).touch()
    except OSError:
        return False
    return True


def _list_sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _list_sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield f"{prefix}{entry.name}", entry.read_bytes()
