"""The bytes of a file of logged values: found once, block by block, and read by workers as far as each of them needs.

Every block is proven when it is read: a file that another one replaced is told, though nobody reads it whole again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects
from ofs_spark.foundation.wording import write_count

CODE = "PARITY_ANCHOR_INVALID"
MOST_BYTES = 2 * 1024**3
"""Of a file: its rows travel with the events they name."""
BLOCK = 8 * 1024**2
"""Bytes that are read and proven at once. A task is told of each block of the file in some 80 bytes."""
KEPT = 3
"""Blocks that a reader holds."""
MAGIC = b"PAR1"


@dataclass(frozen=True)
class Block:
    """One block of a file: its digest, and how many newlines it has."""

    sha256: str
    newlines: int


@dataclass(frozen=True)
class LoggedFile:
    """The file as it was found: what is compared is pinned by its digest. blocks: of `block` bytes each, the last one of fewer."""

    ref: str
    bytes: int
    sha256: str
    format: Literal["parquet", "json_lines"]
    blocks: tuple[Block, ...] = field(repr=False)
    block: int

    def to_document(self) -> dict[str, str | int]:
        """As a report holds it."""
        return {"ref": self.ref, "bytes": self.bytes, "sha256": self.sha256, "format": self.format}


def find_logged(objects: Objects, ref: str, block: int = BLOCK) -> LoggedFile:
    """The file of logged values at a relative ref, read once and never held.

    PARITY_ANCHOR_INVALID where none stands, or where it changes meanwhile; RESOURCE_EXCEEDED if too large.
    """
    try:
        tail = objects.read_tail(ref, len(MAGIC))
        if tail.size > MOST_BYTES:
            size = write_count(tail.size, "byte")
            message = f"{ref} has {size}; at most {MOST_BYTES:,} are read: write it as Parquet, or as several"
            raise refuse("RESOURCE_EXCEEDED", message, ref=ref, found=tail.size, allowed=MOST_BYTES)
        whole, blocks, last = hashlib.sha256(), list[Block](), b""
        for body in _read_pieces(objects, ref, tail.size, block):
            whole.update(body)
            blocks.append(Block(hashlib.sha256(body).hexdigest(), body.count(b"\n")))
            last = (last + body)[-len(MAGIC) :]
    except ObjectMissing:
        raise refuse(CODE, f"{ref}: there are no logged values at this ref", ref=ref) from None
    if last != tail.body:
        raise refuse_changed(ref)
    is_parquet = tail.body == MAGIC
    return LoggedFile(
        ref, tail.size, whole.hexdigest(), "parquet" if is_parquet else "json_lines", tuple(blocks), block
    )


def _read_pieces(objects: Objects, ref: str, size: int, block: int) -> Iterator[bytes]:
    for start in range(0, size, block):
        body = objects.read_range(ref, start, block)
        if len(body) != min(block, size - start):
            raise refuse_changed(ref)
        yield body


def refuse_changed(ref: str) -> Exception:
    """The refusal of a file that is not the one that was found."""
    return refuse(CODE, f"{ref}: the file changed while it was read", ref=ref)


class FileBytes:
    """The bytes of a file that was found, read as they are asked for: as a text of bytes, and as a file to be read from.

    What is read is proven, or refused as `refuse_changed`. Memory: KEPT blocks, and what is given.
    """

    def __init__(self, objects: Objects, file: LoggedFile) -> None:
        self._objects, self.file = objects, file
        self._kept: dict[int, bytes] = {}
        self._place = 0
        self.closed = False

    def __len__(self) -> int:
        return self.file.bytes

    def __getitem__(self, place: int) -> int:
        if not 0 <= place < self.file.bytes:
            raise IndexError(place)
        return self._read_block(place // self.file.block)[place % self.file.block]

    def cut(self, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`, as far as there are any."""
        start, end = max(start, 0), min(end, self.file.bytes)
        size = self.file.block
        parts = [
            self._read_block(number)[max(start - number * size, 0) : end - number * size]
            for number in range(start // size, -(-end // size) if end > start else start // size)
        ]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def find_line(self, place: int) -> int:
        """Where the first line begins at or after a place; the end where none does."""
        if place <= 0 or place >= len(self) or self[place - 1] == ord("\n"):
            return min(max(place, 0), len(self))
        while place < len(self):
            number = place // self.file.block
            found = self._read_block(number).find(b"\n", place % self.file.block)
            if found >= 0:
                return number * self.file.block + found + 1
            place = (number + 1) * self.file.block
        return len(self)

    def count_newlines(self, place: int) -> int:
        """How many newlines stand before a place."""
        number, inside = divmod(place, self.file.block)
        before = sum(one.newlines for one in self.file.blocks[:number])
        return before + (self._read_block(number).count(b"\n", 0, inside) if inside else 0)

    def read(self, most: int = -1) -> bytes:
        """The next bytes, as a file gives them."""
        end = len(self) if most < 0 else self._place + most
        body = self.cut(self._place, end)
        self._place += len(body)
        return body

    def seek(self, place: int, whence: int = 0) -> int:
        """Goes to a place."""
        self._place = place + (0, self._place, len(self))[whence]
        return self._place

    def tell(self) -> int:
        """The place that is read next."""
        return self._place

    def close(self) -> None:
        """Nothing is open."""
        self.closed = True

    def _read_block(self, number: int) -> bytes:
        body = self._kept.pop(number, None)
        if body is None:
            body = self._fetch(number)
        self._kept[number] = body  # the one used last is the last one to go
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)))
        return body

    def _fetch(self, number: int) -> bytes:
        try:
            body = self._objects.read_range(self.file.ref, number * self.file.block, self.file.block)
        except ObjectMissing:
            body = b""
        if hashlib.sha256(body).hexdigest() != self.file.blocks[number].sha256:
            raise refuse_changed(self.file.ref)
        return body
