"""The object store's in-memory twin: the same contract over a dictionary, for tests and dry runs in one process."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from threading import Lock

from ofs_spark.foundation.paths import check_relative
from ofs_spark.foundation.ports import Listed, ObjectMissing, ObjectTooLarge, Put, Tail

_MEMORY = Lock()
"""Held while a store decides a race. Not a part of the store: a lock does not pickle."""


@dataclass
class MemoryObjects:
    """Objects of one process. written: ref → when, µs, of objects whose age is to be another than the greatest."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)

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

    def read_range(self, ref: str, start: int, most: int) -> bytes:
        """Some of the object's bytes."""
        return self._find_body(ref)[start : start + most]

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

    def put_unsynced(self, ref: str, body: bytes) -> Put:
        """The same: nothing here outlives its process."""
        return self.put_if_absent(ref, body)

    def replace(self, ref: str, body: bytes) -> None:
        """Writes."""
        self.bodies[self.relative(ref)] = body

    def swap(self, ref: str, seen: bytes, body: bytes) -> bool:
        """Compares and writes."""
        path = self.relative(ref)
        with _MEMORY:
            if self.bodies.get(path) != seen:
                return False
            self.bodies[path] = body
        return True

    def list_folders(self, ref: str) -> list[str]:
        """What stands before the first `/` below `ref`."""
        folder = f"{self.relative(ref)}/" if ref else ""
        below = (path.removeprefix(folder) for path in self.bodies if path.startswith(folder))
        return sorted({folder + path.split("/")[0] for path in below if "/" in path})

    def list_objects(self, ref: str) -> list[Listed]:
        """Every object below `ref`: as old as `written` says, else as old as can be."""
        return [Listed(path, len(self.bodies[path]), self.written.get(path, 0)) for path in self.list_below(ref)]

    def remove(self, ref: str) -> None:
        """Forgets the object."""
        self.bodies.pop(self.relative(ref), None)

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
