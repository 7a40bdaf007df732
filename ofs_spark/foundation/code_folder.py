"""Where the compiled loops of this release lie, and whether they are there: asked without loading the compiler.

In the user's cache (`OFS_CACHE_DIR`, else `XDG_CACHE_HOME`, else `~/.cache`), in a folder named by a digest of the
sources that a loop can be made of. `columnar/code_cache.py` tells Numba.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

COMPLETE = "complete"
"""The file that stands in a code folder once every loop was compiled into it, and says what was: an interrupted
compilation left none."""
MADE_OF = ("foundation", "intent", "pins", "replay", "labels", "features")
"""The rooms that compile loops, and all that they may import: no constant of a loop can come from elsewhere."""


def find_cache_root() -> Path:
    """The folder of all compiled code of this user."""
    stated = os.environ.get("OFS_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    home = os.path.expanduser("~")
    kept = stated or (f"{home}/.cache" if home != "~" else os.devnull)  # a user without a home keeps nothing
    return Path(kept) / "ofs" / "compiled"


def find_code_folder() -> Path:
    """The folder of the compiled code of these sources."""
    return find_cache_root() / digest_sources()[:32]


@cache
def digest_sources() -> str:
    """Digest of every source file of MADE_OF, wherever the package lies, and of the Python."""
    digest, package = hashlib.sha256(sys.version.encode()), files("ofs_spark")
    sources = (source for room in MADE_OF for source in _list_sources(package / room, f"{room}/"))
    for name, body in sorted(sources):
        digest.update(f"{name} {len(body)} ".encode() + body)
    return digest.hexdigest()


def has_compiled_code() -> bool:
    """Whether every loop of these sources was compiled before, on this machine, and is kept as it was made.

    Code that is not what was kept is removed: it would end this process, or compute something else.
    """
    folder = find_code_folder()
    try:
        stated = json.loads((folder / COMPLETE).read_bytes())
    except (OSError, ValueError):
        return False
    found = _digest_code(folder)
    if isinstance(stated, dict) and stated.items() <= found.items():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def mark_compiled() -> bool:
    """Records that every loop is compiled, and the digests of what is kept; False where nothing can be kept."""
    folder = find_code_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f"{COMPLETE}.{os.getpid()}"
        aside.write_text(json.dumps(_digest_code(folder), sort_keys=True), encoding="utf-8")
        aside.replace(folder / COMPLETE)
    except OSError:
        return False
    return True


def _digest_code(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of machine code; the indexes beside them may grow, and say themselves what they are."""
    found = {}
    for file in sorted(folder.rglob("*.nbc")):
        with suppress(OSError):  # another process may be replacing it
            found[file.relative_to(folder).as_posix()] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _list_sources(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _list_sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield f"{prefix}{entry.name}", entry.read_bytes()
