"""The object store in a local folder."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ofs_spark.foundation.ends import is_unanswered, refuse_os_error
from ofs_spark.foundation.errors import refuse, show_text
from ofs_spark.foundation.files import IrregularFileError, digest_file, read_file, read_file_range, read_file_tail
from ofs_spark.foundation.paths import check_relative
from ofs_spark.foundation.ports import UNFINISHED, Listed, ObjectMissing, ObjectTooLarge, Put, Tail

_TRIES = 20
"""How often a folder is made again that somebody takes away as empty."""
_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, IrregularFileError)


@dataclass(frozen=True)
class LocalObjects:
    """Objects in a folder, which comes into being with the first of them. `root`: absolute, without symbolic links."""

    root: str

    @classmethod
    def at(cls, folder: Path | str) -> LocalObjects:
        """The store rooted at `folder`, which need not exist yet."""
        return cls(str(Path(folder).resolve()))

    def read(self, ref: str, most: int = sys.maxsize) -> bytes:
        """The whole object; OSError for a file that is being written by others than this store."""
        path = self._find_path(ref)
        with _map_errors(ref), _map_missing(ref):
            try:
                return read_file(path, most)
            except ObjectTooLarge as error:
                raise ObjectTooLarge(ref, error.found, error.allowed) from None

    def read_tail(self, ref: str, most: int) -> Tail:
        """The object's last bytes; OSError as `read`."""
        path = self._find_path(ref)
        with _map_errors(ref), _map_missing(ref):
            return read_file_tail(path, most)

    def read_range(self, ref: str, start: int, most: int) -> bytes:
        """Some of the object's bytes; OSError as `read`."""
        path = self._find_path(ref)
        with _map_errors(ref), _map_missing(ref):
            return read_file_range(path, start, most)

    def digest(self, ref: str) -> str:
        """SHA-256 of the object; OSError as `read`."""
        path = self._find_path(ref)
        with _map_errors(ref), _map_missing(ref):
            return digest_file(path)

    def exists(self, ref: str) -> bool:
        """Whether a file stands at `ref`."""
        path = self._find_path(ref)
        with _map_errors(ref):
            try:
                return stat.S_ISREG(os.stat(path).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def list_below(self, ref: str) -> list[str]:
        """Every file below the folder `ref`. A write that a killed process left unfinished is no object."""
        folder = self._find_path(ref)
        with _map_errors(ref):
            found = [Path(at, name) for at, _, names in os.walk(folder, onerror=_raise_error) for name in names]
        files = (path.relative_to(folder).as_posix() for path in found if not path.name.startswith(UNFINISHED))
        return sorted(f"{self.relative(ref)}/{path}" for path in files)

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        """Durable exclusive create: a finished temporary file is linked to its name, which fails if the name exists.

        REF_ACCESS_DENIED where something stands that is no regular file.
        """
        target = self._find_path(ref)
        put = self._create(target, ref, body, _sync_file)
        if put is Put.CREATED:
            _sync_folder(target.parent)
        return put

    def put_unsynced(self, ref: str, body: bytes) -> Put:
        """Exclusive create that waits for no disk: a power cut may leave nothing of it, or a name with other bytes."""
        return self._create(self._find_path(ref), ref, body, _leave_file)

    def replace(self, ref: str, body: bytes) -> None:
        """Durable write by rename. REF_ACCESS_DENIED where something stands that is no regular file."""
        target = self._find_path(ref)
        with _map_errors(ref):
            self._has_object(target, ref)
            with _name_temporary(target, body, _sync_file) as temporary:
                os.replace(temporary, target)
        _sync_folder(target.parent)

    def swap(self, ref: str, seen: bytes, body: bytes) -> bool:
        """Durable write by rename, while the folder is locked against every other swap in it."""
        target = self._find_path(ref)
        with _map_errors(ref):
            if not self._has_object(target, ref):
                return False
            with _lock_folder(target.parent):
                try:
                    if read_file(target, len(seen)) != seen:
                        return False
                except (ObjectTooLarge, *_NO_FILE):
                    return False
                with _name_temporary(target, body, _sync_file) as temporary:
                    os.replace(temporary, target)
        _sync_folder(target.parent)
        return True

    def list_folders(self, ref: str) -> list[str]:
        """The folders right below the folder `ref`; a link to one is none."""
        folder = self._find_path(ref) if ref else Path(self.root)
        with _map_errors(ref):
            try:
                with os.scandir(folder) as entries:
                    names = [one.name for one in entries if one.is_dir(follow_symlinks=False)]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(f"{self.relative(ref)}/{name}" if ref else name for name in names)

    def list_objects(self, ref: str) -> list[Listed]:
        """Every file below the folder `ref`, and how long ago it was written; links are none."""
        folder, inside, found = str(self._find_path(ref)), self.relative(ref), []
        with _map_errors(ref):
            for at, _, names in os.walk(folder, onerror=_raise_error):
                for path in (f"{at}/{name}" for name in names):
                    with suppress(FileNotFoundError):
                        seen = os.lstat(path)
                        if stat.S_ISREG(seen.st_mode):
                            found.append(Listed(inside + path[len(folder) :], seen.st_size, seen.st_mtime_ns // 1000))
        return sorted(found, key=lambda one: one.ref)

    def remove(self, ref: str) -> None:
        """Unlinks the file, and the folders above it that it leaves empty."""
        path = self._find_path(ref)
        with _map_errors(ref):
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == Path(self.root) or not _remove_empty(folder):
                    break

    def relative(self, ref: str) -> str:
        """The checked ref relative to the root."""
        inside = ref.removeprefix("file://")
        if inside.startswith(self.root + "/"):
            inside = inside[len(self.root) + 1 :]
        elif inside != ref:
            raise refuse("REF_SCOPE_INVALID", f"{show_text(ref)}: it is outside the object root", ref=show_text(ref))
        return "/".join(check_relative(inside))

    def locate(self, ref: str) -> str:
        """The absolute path of a checked ref."""
        return str(self._find_path(ref))

    def _find_path(self, ref: str) -> Path:
        path = Path(self.root, self.relative(ref))
        try:
            inside = path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError):  # links that go in a circle
            inside = False
        if not inside:
            raise refuse("REF_SCOPE_INVALID", f"{ref}: it leaves the object root through a symbolic link", ref=ref)
        return path

    def _create(self, target: Path, ref: str, body: bytes, finish: Callable[[int], None]) -> Put:
        with _map_errors(ref):
            if self._has_object(target, ref):
                return Put.EXISTS
            with _name_temporary(target, body, finish) as temporary:
                try:
                    os.link(temporary, target)
                except FileExistsError:
                    return Put.EXISTS
        return Put.CREATED

    def _has_object(self, target: Path, ref: str) -> bool:
        """Whether an object stands where one is to be written; REF_ACCESS_DENIED if something else does."""
        try:
            mode = os.stat(target).st_mode
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(mode):
            raise refuse("REF_ACCESS_DENIED", f"{ref}: something that is no object stands there", ref=ref)
        return True


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Keeps other processes' swaps out of a folder. The lock goes with the process that holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _raise_error(error: OSError) -> None:
    """Raises what a walk could not look into, unless it is not there."""
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _map_errors(ref: str) -> Iterator[None]:
    """What the store may not or cannot, as a refusal; silence stays an OSError."""
    try:
        yield
    except OSError as error:
        if is_unanswered(error):
            raise
        raise refuse_os_error(error, f"the object {ref}", ref=ref) from None


@contextmanager
def _map_missing(ref: str) -> Iterator[None]:
    """Where no file stands, no object does."""
    try:
        yield
    except _NO_FILE:
        raise ObjectMissing(ref) from None


@contextmanager
def _name_temporary(target: Path, body: bytes, finish: Callable[[int], None]) -> Iterator[str]:
    """A file beside `target`, finished with `finish`; gone afterwards, under this name at least."""
    descriptor, temporary = _make_temporary(target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            finish(file.fileno())
        os.chmod(temporary, 0o644)
        yield temporary
    finally:
        Path(temporary).unlink(missing_ok=True)


def _sync_file(descriptor: int) -> None:
    os.fsync(descriptor)


def _leave_file(_descriptor: int) -> None:
    """The kernel writes it when it will."""


def _make_temporary(folder: Path) -> tuple[int, str]:
    """A new empty file in a folder, which is made where it is missing: again if a removal beside takes it away, empty."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError, FileExistsError):  # the latter of a folder that went while it was looked at
            folder.mkdir(parents=True, exist_ok=True)
            return tempfile.mkstemp(prefix=UNFINISHED, dir=folder)
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.mkstemp(prefix=UNFINISHED, dir=folder)


def _sync_folder(folder: Path) -> None:
    """Makes a new name durable. Whatever fails here is silence: the object stands already."""
    try:
        _sync(folder)
    except OSError as error:
        raise OSError(f"the new name in {folder.name} may not survive a power cut: {error.strerror}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
