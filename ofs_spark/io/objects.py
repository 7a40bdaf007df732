"""Object stores: a local folder, and the in-memory twin."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from ofs_spark.foundation.ends import is_unanswered, refuse_os_error
from ofs_spark.foundation.errors import refuse, show_text
from ofs_spark.foundation.files import IrregularFileError, digest_file, read_file, read_file_tail
from ofs_spark.foundation.paths import check_relative
from ofs_spark.foundation.ports import ObjectMissing, ObjectTooLarge, Put, Tail

UNFINISHED = ".put-"
"""How the name of a file begins that is still being written."""
_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, IrregularFileError)
_MEMORY = Lock()
"""Held while an in-memory store decides a race. Not a part of the store: a lock does not pickle."""


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
        with _map_errors(ref):
            if self._has_object(target, ref):
                return Put.EXISTS
            with _name_temporary(target, body) as temporary:
                try:
                    os.link(temporary, target)
                except FileExistsError:
                    return Put.EXISTS
        _sync_folder(target.parent)
        return Put.CREATED

    def replace(self, ref: str, body: bytes) -> None:
        """Durable write by rename. REF_ACCESS_DENIED where something stands that is no regular file."""
        target = self._find_path(ref)
        with _map_errors(ref):
            self._has_object(target, ref)
            with _name_temporary(target, body) as temporary:
                os.replace(temporary, target)
        _sync_folder(target.parent)

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

    def _has_object(self, target: Path, ref: str) -> bool:
        """Whether an object stands where one is to be written; REF_ACCESS_DENIED if something else does."""
        try:
            mode = os.stat(target).st_mode
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(mode):
            raise refuse("REF_ACCESS_DENIED", f"{ref}: something that is no object stands there", ref=ref)
        return True


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
def _name_temporary(target: Path, body: bytes) -> Iterator[str]:
    """A finished, synced file beside `target`; gone afterwards, under this name at least."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=UNFINISHED, dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        yield temporary
    finally:
        Path(temporary).unlink(missing_ok=True)


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


@dataclass
class MemoryObjects:
    """The in-memory twin: the same contract over a dictionary, for tests and dry runs in one process."""

    bodies: dict[str, bytes] = field(default_factory=dict)

    def read(self, ref: str, most: int = sys.maxsize) -> bytes:
        """The whole object."""
        body = self._find_body(ref)
        if len(body) > most:
            raise ObjectTooLarge(ref, len(body), most)
        return body

    def read_tail(self, ref: str, most: int) -> Tail:
        """The object's last bytes."""
        body = self._find_body(ref)
        return Tail(len(body), body[max(0, len(body) - most) :])

    def digest(self, ref: str) -> str:
        """SHA-256 of the object."""
        return hashlib.sha256(self._find_body(ref)).hexdigest()

    def exists(self, ref: str) -> bool:
        """Whether an object stands at `ref`."""
        return self.relative(ref) in self.bodies

    def list_below(self, ref: str) -> list[str]:
        """Every ref below `ref`."""
        folder = f"{self.relative(ref)}/"
        return sorted(path for path in self.bodies if path.startswith(folder))

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        """Writes unless present."""
        path = self.relative(ref)
        with _MEMORY:
            if path in self.bodies:
                return Put.EXISTS
            self.bodies[path] = body
        return Put.CREATED

    def replace(self, ref: str, body: bytes) -> None:
        """Writes."""
        self.bodies[self.relative(ref)] = body

    def relative(self, ref: str) -> str:
        """The checked ref."""
        return "/".join(check_relative(ref.removeprefix("memory://")))

    def locate(self, ref: str) -> str:
        """A `memory://` address."""
        return "memory://" + self.relative(ref)

    def _find_body(self, ref: str) -> bytes:
        try:
            return self.bodies[self.relative(ref)]
        except KeyError:
            raise ObjectMissing(ref) from None
