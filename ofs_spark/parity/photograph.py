"""Photographs: the snapshot hash of every anchor, taken from states that move from one anchor's basis to the next one's.

Anchors are put in groups that an engine works on; each group's photos are one object, named by what they were taken of, so
that a sweep that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.dataflow import Body, Chunk, Step
from ofs_spark.foundation.columnar.notes import Note, encode_note, read_notes
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.documents import DocumentKind, digest_content, read_document
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Objects, Put
from ofs_spark.foundation.refs import OwnedRef, name_photos
from ofs_spark.parity.cells import Cells, Reach
from ofs_spark.parity.fold import Folded
from ofs_spark.parity.repeats import KINDS, SEEN
from ofs_spark.parity.snapshot import SnapshotFrame, write_key, write_state
from ofs_spark.parity.states import StateBook
from ofs_spark.replay.online_law import SKIP_CODES, Skip

SCHEMA_VERSION = "ofs.photos.v1"
KIND = DocumentKind(SCHEMA_VERSION, "photos", "REF_ACCESS_DENIED", "SCHEMA_INVALID", max_bytes=64 * 1024 * 1024)
GROUP = 500
"""Anchors of one task: what a killed sweep repeats at most, and what the reading of all states is spread over."""
SAMPLES = 20
"""Keys that a photo names of each kind; counts are whole."""
_COUNTED: dict[Skip, str] = {
    Skip.DUPLICATE: "duplicates",
    **{skip: skip.value for skip in Skip if skip is not Skip.DUPLICATE},
}


@dataclass(frozen=True)
class Photo:
    """What the rebuilt plane is at one anchor. number: the anchor's.

    snapshot_hash: None where a key's sum hangs on an order that nobody knows (`undefined`, the first keys and how many), or
    is not finite (`endless`), which no canonical text can say. keys: how many there are, those too. counts: what the online
    plane counts within the anchor's basis.
    """

    number: int
    snapshot_hash: str | None
    keys: int
    counts: Mapping[str, int]
    undefined: tuple[str, ...] = ()
    undefined_count: int = 0
    endless: tuple[str, ...] = ()
    endless_count: int = 0


@dataclass(frozen=True)
class Sitting:
    """An anchor that waits for its photo."""

    number: int
    frame: SnapshotFrame
    reach: Reach

    def to_document(self) -> list[Any]:
        """JSON-ready."""
        return [
            self.number,
            self.frame.before.decode(),
            self.frame.after.decode(),
            sorted(map(list, self.reach.items())),
        ]

    @classmethod
    def from_document(cls, one: list[Any]) -> Sitting:
        """The sitting that `to_document` wrote."""
        return cls(one[0], SnapshotFrame(one[1].encode(), one[2].encode()), dict(one[3]))


@dataclass(frozen=True)
class PhotosNote(Note):
    """The photos of a group stand at `ref`."""

    kind: ClassVar[str] = "photos"
    ref: str


def photograph(
    engine: Engine,
    objects: Objects,
    folder: OwnedRef,
    folded: Folded,
    cells: Cells,
    frames: Sequence[SnapshotFrame],
    group: int = GROUP,
) -> Iterator[Photo]:
    """A photo of every anchor, in no particular order: `frames[i]` is of the anchor whose basis is `cells.reach[i]`.

    Photos that stand in `folder` are taken as they are. MATERIALIZATION_CORRUPT if the states are not the ones that were
    folded, or photos do not read as they were written.
    """
    sittings = [Sitting(i, frame, reach) for i, (frame, reach) in enumerate(zip(frames, cells.reach, strict=True))]
    sittings.sort(key=lambda one: (_measure(folded, one.reach), sorted(one.reach.items()), one.number))
    tasks = {}
    for begin in range(0, len(sittings), group):
        members = [one.to_document() for one in sittings[begin : begin + group]]
        named = digest({"states": folded.made_of, "files": [file.sha256 for file in folded.files], "group": members})
        tasks[named] = json.dumps({"of": named, "group": members}).encode()
    waiting = [
        body for named, body in tasks.items() if _find_photos(objects, name_photos(folder, named), named) is None
    ]
    notes = engine.run(waiting, [Step("photograph", TakePhotos(objects, folder, folded), 0)])
    if len(read_notes(notes, PhotosNote)) != len(waiting):
        raise refuse("MATERIALIZATION_CORRUPT", "not every group of anchors has its photos")
    for named in tasks:
        ref = name_photos(folder, named)
        photos = _find_photos(objects, ref, named)
        if photos is None:
            raise refuse("MATERIALIZATION_CORRUPT", "photos are not the ones that were taken", ref=ref)
        yield from photos


def _measure(folded: Folded, reach: Reach) -> int:
    """How many positions a reach holds: reaches that grow ascend."""
    return int(_add_reached(folded, np.cumsum(folded.counts[:, SEEN]), reach))


def _add_reached(folded: Folded, running: Array, reach: Reach) -> Any:
    """The sum, over a reach's cells, of what `running` adds up along all cells."""
    total = np.zeros_like(running[0]) if len(running) else 0
    for partition, last in reach.items():
        if partition in folded.cells.ordinals:
            first = int(folded.cells.ordinals[partition][0])
            total = total + running[last] - (running[first - 1] if first else 0) if last >= first else total
    return total


def _find_photos(objects: Objects, ref: OwnedRef, of: str) -> list[Photo] | None:
    """The photos that stand at a ref, whole and of what they are said to be; None where there are none."""
    try:
        document = read_document(objects, KIND, ref)
    except (Refusal, OSError):
        return None
    if document["of"] != of or document["digest"] != digest_content(document):
        return None
    return [
        Photo(**{**one, **{name: tuple(one[name]) for name in ("undefined", "endless")}}) for one in document["photos"]
    ]


@dataclass(frozen=True)
class TakePhotos:
    """The photos of one group of anchors."""

    objects: Objects
    folder: OwnedRef
    folded: Folded

    def __call__(self, _target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        """One `PhotosNote`."""
        task = json.loads(bytes(next(chunks)))
        camera = Camera(StateBook(self.objects, self.folded), self.folded)
        photos = [asdict(camera.take(Sitting.from_document(one))) for one in task["group"]]
        document: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "of": task["of"],
            "photos": json.loads(json.dumps(photos)),
        }
        document["digest"] = digest_content(document)
        require_valid(document, SCHEMA_VERSION)
        ref, body = name_photos(self.folder, task["of"]), encode_canonical(document)
        if self.objects.put_if_absent(ref, body) is Put.EXISTS and _find_photos(self.objects, ref, task["of"]) is None:
            self.objects.replace(ref, body)  # what stands there was damaged
        yield encode_note(PhotosNote(ref))


class Camera:
    """Holds the canonical text of every key's state, and writes anew what differs at the next anchor."""

    def __init__(self, book: StateBook, folded: Folded) -> None:
        self._book, self._folded = book, folded
        self._running = np.cumsum(folded.counts, axis=0)
        self._names: list[str | None] = [None] * len(book.keys)
        self._texts = [b""] * len(book.keys)
        self._undefined: set[int] = set()
        self._endless: set[int] = set()

    def take(self, sitting: Sitting) -> Photo:
        """The photo of one anchor."""
        self._turn(sitting.reach)
        stands = list(filter(None, self._texts))
        marred = bool(self._undefined or self._endless)
        frame = sitting.frame
        hasher = hashlib.sha256(frame.before + b"{")
        hasher.update(b"" if marred else b",".join(stands))
        hasher.update(b"}" + frame.after)
        return Photo(
            sitting.number,
            None if marred else hasher.hexdigest(),
            len(stands) + len(self._undefined) + len(self._endless),
            self._count(sitting.reach),
            self._name_first(self._undefined),
            len(self._undefined),
            self._name_first(self._endless),
            len(self._endless),
        )

    def _turn(self, reach: Reach) -> None:
        changed = np.array(sorted(self._book.turn(reach)), np.int64)
        for key, state in zip(changed.tolist(), self._book.read(changed), strict=True):
            self._undefined.discard(key)
            self._endless.discard(key)
            self._texts[key] = b""
            if state is None:
                self._undefined.add(key)
            elif state.event_count and not np.isfinite(state.amount_sum):
                self._endless.add(key)
            elif state.event_count:
                name = self._names[key]
                if name is None:
                    name = self._names[key] = write_key(self._book.keys[key].as_py())
                text = write_state(name, state.event_count, state.amount_sum, state.last_event_ts_utc)
                self._texts[key] = text.encode()

    def _name_first(self, keys: set[int]) -> tuple[str, ...]:
        return tuple(self._book.keys[key].as_py() for key in sorted(keys)[:SAMPLES])

    def _count(self, reach: Reach) -> dict[str, int]:
        found = _add_reached(self._folded, self._running, reach) if len(self._running) else np.zeros(KINDS, np.int64)
        counts = {name: int(found[SKIP_CODES[skip]]) for skip, name in _COUNTED.items()}
        counts["duplicates"] += self._book.rivals.duplicates
        counts[Skip.PAYLOAD_MISMATCH.value] += self._book.rivals.mismatches
        seen = int(found[SEEN])
        return {"seen": seen, "applied": seen - sum(counts.values()), **counts}
