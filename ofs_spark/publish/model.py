"""Types of the publish room: what is known of a written file, of the table, and of a commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ofs_spark.foundation.columnar.notes import Note
from ofs_spark.publish.digest import LeafDigest


@dataclass(frozen=True)
class FileEntry(Note):
    """One Parquet file of the table: ref under the object root, proof of its bytes, and what its rows say.

    `ts_min`, `ts_max`: least and greatest ts_utc in µs. `null_counts`: nulls by column. `leaves`: in file order.
    """

    kind: ClassVar[str] = "file"
    path: str
    rows: int
    bytes: int
    sha256: str
    ts_min: int
    ts_max: int
    null_counts: Mapping[str, int]
    leaves: tuple[LeafDigest, ...]

    @property
    def name(self) -> str:
        """The file's path relative to the table's root."""
        return self.path.rsplit("/", 1)[-1]

    def to_document(self) -> dict[str, Any]:
        """JSON-ready form, as tasks and notes carry it."""
        return {
            "path": self.path,
            "rows": self.rows,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "ts_min": self.ts_min,
            "ts_max": self.ts_max,
            "null_counts": dict(self.null_counts),
            "leaves": [leaf.to_document() for leaf in self.leaves],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The entry that `document` wrote."""
        return cls(
            document["path"],
            document["rows"],
            document["bytes"],
            document["sha256"],
            document["ts_min"],
            document["ts_max"],
            document["null_counts"],
            tuple(map(LeafDigest.from_document, document["leaves"])),
        )

    def to_note(self) -> dict[str, Any]:
        """The entry's document."""
        return self.to_document()

    @classmethod
    def from_note(cls, content: Mapping[str, Any]) -> Self:
        """The entry that `to_note` wrote."""
        return cls.from_document(content)
