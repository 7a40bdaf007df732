"""The ports of several rooms: the object store, where documents and files live, and who is told of progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from ofs_spark.foundation.wording import write_count

NOTE = "note: "
"""How an announcement begins that stays to be read, whatever its room does next."""
Announce: TypeAlias = Callable[[str, str], None]
"""Told (room, what it does now), for people to read. It answers nothing, waits for nobody and does not raise."""


@dataclass(frozen=True)
class Tasks:
    """How far an engine's job is. job: its steps by name; done: tasks of it that are, at most `total`."""

    job: str
    done: int
    total: int


TellTasks: TypeAlias = Callable[[Tasks | None], None]
"""Told how far the engine's job is, by any thread; None once it has ended. As `Announce` otherwise."""


class ObjectMissing(LookupError):
    """No object stands at a ref that is inside the root."""


class ObjectTooLarge(Exception):
    """An object has more bytes than its reader takes; nothing of it was read. found, allowed: bytes."""

    def __init__(self, ref: str, found: int, allowed: int) -> None:
        super().__init__(ref, found, allowed)
        self.ref, self.found, self.allowed = ref, found, allowed

    def __str__(self) -> str:
        return f"{self.ref} has {write_count(self.found, 'byte')}, {self.allowed:,} are allowed"


@dataclass(frozen=True)
class Tail:
    """The end of an object. size: bytes of the whole object; body: its last bytes."""

    size: int
    body: bytes


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it. modified: when it was written last, µs by the store's clock."""

    ref: str
    bytes: int
    modified: int


class Put(Enum):
    """What a conditional put found."""

    CREATED = "created"
    EXISTS = "exists"


class Objects(Protocol):
    """An object store limited to one root: it resolves refs (`refs.py`) inside its root only.

    An adapter is a small value that pickles: workers use it as the driver does. What goes wrong is one of these:

    - REF_SCOPE_INVALID: the ref is outside the root. Every method raises it, before it asks the store anything.
    - REF_ACCESS_DENIED: the store refused the call. Nothing was read, and nothing was written.
    - ENVIRONMENT_UNFIT: the store cannot (full, read-only, no such root, a file where a folder must be). Nothing was
      written.
    - OSError: the store did not answer, or not in full. After a read nothing has happened. After a write nobody knows:
      the object may stand, may not, or may yet appear, and only a later read tells. No method repeats a conditional
      write of which this can be so; an adapter may repeat what changes nothing, `replace` and `remove`, some times.
    - ObjectMissing: nothing stands at the ref, or something that is no regular file. Only `read`, `read_tail`,
      `read_range` and `digest` raise it.
    - ObjectTooLarge: the object has more bytes than the reader takes. Only `read` raises it.

    An object is seen whole or not at all: a write that failed or is under way leaves what stood before.
    """

    def read(self, ref: str, most: int, /) -> bytes:
        """The whole object, never a part of it. `most`: bytes; a larger object is ObjectTooLarge, and is not read.

        There is no reading without a bound: whoever reads knows how much the object may be, if only of its own making.

        ObjectMissing if there is none. A body that is shorter or longer than the store says is an OSError: an adapter
        that cannot tell by other means compares the length.
        """
        ...

    def read_tail(self, ref: str, most: int, /) -> Tail:
        """The last `most` bytes of the object, one or more; all of them where it has fewer. One call, as a ranged GET is.

        ObjectMissing if there is none. An empty object has the tail b"". A body of another length than was asked for is
        an OSError.
        """
        ...

    def read_range(self, ref: str, start: int, most: int, /) -> bytes:
        """`most` bytes of the object, one or more, from byte `start` on: fewer, or none, where it ends before that.

        One call, as a ranged GET is: two ranges may be of two objects, of which one replaced the other between the calls.
        Whoever puts them together proves them. ObjectMissing if there is none. A body of another length than the object
        allows is an OSError.
        """
        ...

    def digest(self, ref: str, /) -> str:
        """SHA-256 of the whole object as lower-case hex, of any size: it is read piece by piece and never held.

        ObjectMissing if there is none. OSError as `read`.
        """
        ...

    def exists(self, ref: str) -> bool:
        """Whether an object stands at `ref`. A denied or unanswered look is no False: it raises as above."""
        ...

    def list_below(self, ref: str) -> list[str]:
        """The ref of every object below the folder `ref`, ascending; none where there is no such folder."""
        ...

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        """Writes the object durably unless one stands there; exactly one of any number of racing writers creates it.

        EXISTS changes nothing, be the standing bytes equal or not. After an OSError a second call may answer EXISTS
        for the bytes of the first: whoever must know reads them back.
        """
        ...

    def put_unsynced(self, ref: str, body: bytes) -> Put:
        """As `put_if_absent`, but durable only when the store comes to it: for what is proven whenever it is read.

        A power cut may leave no object, or one with other bytes. A process that dies takes nothing with it.
        """
        ...

    def replace(self, ref: str, body: bytes) -> None:
        """Writes the object durably, replacing any other: for derived, repeatable documents only.

        The last of racing writers wins. After an OSError the old or the new object stands; writing again is safe.
        """
        ...

    def swap(self, ref: str, seen: bytes, body: bytes) -> bool:
        """Writes the object durably if the one that stands is `seen`, byte for byte; whether it did.

        False changes nothing: another object stands there, or none. Of racing writers that have seen the same, one
        writes. After an OSError the old or the new object stands: whoever must know reads it back.
        """
        ...

    def relative(self, ref: str) -> str:
        """The checked ref relative to the root. Asks nothing of the store."""
        ...

    def locate(self, ref: str) -> str:
        """The full address of a checked ref, for engines that open it themselves. Asks nothing of the store."""
        ...


UNFINISHED = ".put-"
"""How the name of an object begins that a store has only half of: a write that is under way, or was when its process died."""


class Clearable(Objects, Protocol):
    """An object store that tells how old its objects are, and takes them away: `ofs gc` alone asks for it."""

    def list_folders(self, ref: str) -> list[str]:
        """The refs of the folders that stand right below the folder `ref`, ascending; "" is the root itself."""
        ...

    def list_objects(self, ref: str) -> list[Listed]:
        """Every object below the folder `ref`, by ref, what writers left unfinished included; none where there is no
        such folder."""
        ...

    def remove(self, ref: str) -> None:
        """Takes the object away; nothing happens where none stands. After an OSError it may stand or not."""
        ...
