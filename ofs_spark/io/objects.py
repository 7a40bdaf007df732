"""Object stores: a local folder, and the in-memory twin."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.objects import ObjectMissing, Put, check_relative


@dataclass(frozen=True)
class LocalObjects:
    """Objects in a folder. `root` is an absolute path without symbolic links."""

    root: str

    @classmethod
    def at(cls, folder: Path | str) -> LocalObjects:
        """The store rooted at `folder`, which is created if absent."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        return cls(str(path.resolve()))

    def read(self, ref: str) -> bytes:
        """The whole object."""
        try:
            return self._path(ref).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectMissing(ref) from None
        except PermissionError:
            raise refuse("REF_ACCESS_DENIED", "the object exists but this process may not read it", ref=ref) from None

    def exists(self, ref: str) -> bool:
        """Whether a file stands at `ref`."""
        return self._path(ref).is_file()

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        """Durable exclusive create: a finished temporary file is linked to its name, which fails if the name exists."""
        target = self._path(ref)
        if target.exists():
            return Put.EXISTS
        temporary = _write_temporary(target, body)
        try:
            os.link(temporary, target)
        except FileExistsError:
            return Put.EXISTS
        finally:
            os.unlink(temporary)
        _sync_folder(target.parent)
        return Put.CREATED

    def replace(self, ref: str, body: bytes) -> None:
        """Durable write by rename."""
        target = self._path(ref)
        os.replace(_write_temporary(target, body), target)
        _sync_folder(target.parent)

    def relative(self, ref: str) -> str:
        """The checked ref relative to the root."""
        inside = ref.removeprefix("file://")
        if inside.startswith(self.root + "/"):
            inside = inside[len(self.root) + 1 :]
        elif inside != ref:
            raise refuse("REF_SCOPE_INVALID", "the ref is outside the object root", ref=ref[:200])
        return "/".join(check_relative(inside))

    def locate(self, ref: str) -> str:
        """The absolute path of a checked ref."""
        return str(self._path(ref))

    def _path(self, ref: str) -> Path:
        path = Path(self.root, self.relative(ref))
        if not path.resolve().is_relative_to(self.root):
            raise refuse("REF_SCOPE_INVALID", "the ref leaves the object root through a symbolic link", ref=ref[:200])
        return path


def _write_temporary(target: Path, body: bytes) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".put-", dir=target.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(temporary, 0o644)
    return temporary


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass
class MemoryObjects:
    """The in-memory twin: the same contract over a dictionary, for tests and dry runs in one process."""

    bodies: dict[str, bytes] = field(default_factory=dict)

    def read(self, ref: str) -> bytes:
        """The whole object."""
        try:
            return self.bodies[self.relative(ref)]
        except KeyError:
            raise ObjectMissing(ref) from None

    def exists(self, ref: str) -> bool:
        """Whether an object stands at `ref`."""
        return self.relative(ref) in self.bodies

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        """Writes unless present."""
        kept = self.bodies.setdefault(self.relative(ref), body)
        return Put.CREATED if kept is body else Put.EXISTS

    def replace(self, ref: str, body: bytes) -> None:
        """Writes."""
        self.bodies[self.relative(ref)] = body

    def relative(self, ref: str) -> str:
        """The checked ref."""
        return "/".join(check_relative(ref.removeprefix("memory://")))

    def locate(self, ref: str) -> str:
        """A `memory://` address."""
        return "memory://" + self.relative(ref)
