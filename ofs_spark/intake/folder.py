"""The folder that an import is given: nobody else's, whole or recognisably not, and left as it was where the import ends early."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.ownership import is_platform_run

MARK = ".ofs-import"
"""Stands in a folder while it is written, with what is needed on the way: one that has it is not whole."""
WIRING, INTENT, PROFILES, REJECTED = "wiring.yaml", "intent.json", "profiles", "rejected.jsonl"
SAMPLE, POLICY, README = "sample", "policy", "README.md"
"""Of `ofs init` besides."""
_OWN = (MARK, WIRING, INTENT, PROFILES, REJECTED, SAMPLE, POLICY, README)
_LOCK = "lock"


@contextmanager
def write_whole(folder: Path) -> Iterator[Path]:
    """Takes the folder, gives a place for what is needed on the way, and ends with a folder that is whole.

    Whatever ends the block early leaves nothing behind. A process that is killed leaves the mark: the next import takes
    the folder over and starts anew. WrongArgument for a folder that holds anything else, or that another one is writing.
    """
    made = _make_folder(folder)
    aside = folder / MARK
    try:
        with _lock(folder, aside):
            _clear(folder, keep=MARK)
            yield aside
            shutil.rmtree(aside)
    except WrongFolderError:
        _remove_empty(made)
        raise
    except BaseException:
        with suppress(OSError):  # what ended the import is told, not what became of the rest
            _clear(folder)
        _remove_empty(made)
        raise


class WrongFolderError(WrongArgument):
    """A folder that an import does not take: nothing in it is touched."""


def _make_folder(folder: Path) -> list[Path]:
    """Makes the folder; those that were not there, the outermost last."""
    try:
        lacking = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(os.listdir(folder))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no folder can have this name"
        reason = "a file stands there" if isinstance(error, FileExistsError | NotADirectoryError) else reason
        raise WrongFolderError(f"{folder} cannot be the folder of an import: {reason}") from None
    others = [name for name in found if not _is_ours(name)] if MARK in found else found
    if others:
        whole = " It holds a whole import already." if {WIRING, INTENT} <= set(found) and MARK not in found else ""
        message = f"{folder} is not empty: there is {others[0]}.{whole} Name a new folder, or remove this one"
        raise WrongFolderError(message)
    return lacking


def _is_ours(name: str) -> bool:
    return name in _OWN or is_platform_run(name)


@contextmanager
def _lock(folder: Path, aside: Path) -> Iterator[None]:
    """Holds the folder against another import. The lock goes with the process."""
    try:
        aside.mkdir(exist_ok=True)
        descriptor = os.open(aside / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise WrongFolderError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WrongFolderError(f"another import is writing {folder}") from None
        yield
    finally:
        os.close(descriptor)


def _clear(folder: Path, keep: str = "") -> None:
    """Removes what an import writes, the mark last: what is left of a removal is still no whole import."""
    names = [name for name in sorted(os.listdir(folder)) if _is_ours(name) and name not in (keep, MARK)]
    for name in (*names, *([MARK] if keep != MARK else [])):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _remove_empty(folders: list[Path]) -> None:
    """Removes folders that were made for nothing, the innermost first."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
