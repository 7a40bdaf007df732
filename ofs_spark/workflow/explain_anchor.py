"""The event that a stored row is about, found again in the archive; and what the row keeps of it, with nothing else to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.features import explain_terms as x
from ofs_spark.features.own import make_own_columns
from ofs_spark.foundation.clock import to_micros
from ofs_spark.foundation.columnar.arrays import read_values
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.pins.profile.model import OwnColumn, Program, format_path
from ofs_spark.replay import rows as r
from ofs_spark.replay.dedupe import pick_winners
from ofs_spark.replay.scan import archive as a
from ofs_spark.replay.scan.spec import ScanTask
from ofs_spark.replay.selection import Archive

MISMATCH = "PARITY_MISMATCH"


@dataclass(frozen=True)
class StoredAnchor:
    """What a stored row says of its event: id, time in µs, and the position that it was read from."""

    event_id: str
    ts: int
    topic: str
    partition: int
    offset: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> StoredAnchor:
        """The anchor of a row of a dataset."""
        return cls(row["event_id"], to_micros(row["ts_utc"]), row["_topic"], row["_partition"], row["_offset"])

    def describe(self) -> dict[str, Any]:
        """Its position, as documents hold one."""
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset}

    def refuse(self, why: str) -> Refusal:
        """PARITY_MISMATCH: the archive does not give its row."""
        message = f"the archive does not give the row of event {self.event_id!r:.200}: {why}"
        return refuse(MISMATCH, message, position=self.describe())


@dataclass(frozen=True)
class OwnEvent:
    """The task that reads an anchor's position, every row of it, and the anchor's own as a table of one row."""

    task: ScanTask
    neighbours: pa.Table
    row: pa.Table


def find_own_event(archive: Archive, anchor: StoredAnchor) -> OwnEvent:
    """The anchor's event as the archive has it. PARITY_MISMATCH where its position does not hold it."""
    task = archive.find_task(anchor.topic, anchor.partition, int(anchor.offset))
    if task is None:
        raise anchor.refuse("no segment of the index holds its position")
    rows = archive.find_rows([task], lambda rows: np.ones(rows.num_rows, np.bool_))
    at = np.flatnonzero(np.asarray(pc.equal(rows.column(r.OFFSET), anchor.offset)))
    row = rows.take(pa.array(at))
    if row.num_rows != 1 or row.column(r.EVENT_ID)[0].as_py() != anchor.event_id:
        raise anchor.refuse("its position holds no such event")
    return OwnEvent(task, rows, row)


def require_winner(archive: Archive, anchor: StoredAnchor, own: OwnEvent) -> None:
    """PARITY_MISMATCH where another copy of the event counts: every segment is read for copies of it."""
    ids = pa.array([anchor.event_id], pa.large_string())
    copies = archive.find_rows(
        archive.tasks,
        lambda rows: np.asarray(pc.equal(rows.column(r.EVENT_ID), anchor.event_id)),
        lambda stored: np.asarray(pc.is_in(stored.column(a.EVENT_ID), ids)),
    )
    winners = copies.take(pa.array(pick_winners(archive.carry_arrivals(copies)).rows))
    place = [
        (read_values(table, r.PARTITION_ORDINAL).tolist(), read_values(table, r.SEQ).tolist())
        for table in (winners, own.row)
    ]
    if place[0] != place[1]:
        raise anchor.refuse("another copy of it counts")


def tell_own_columns(program: Program, wanted: Sequence[OwnColumn], event: OwnEvent) -> dict[str, x.Story]:
    """The story of own columns, by name: the event that the row is about gives each, or has nothing to give."""
    made = make_own_columns(program, event.row)
    return {one.column.name: _tell(program, one, made[one.column.name][0].as_py()) for one in wanted}


def _tell(program: Program, one: OwnColumn, value: Any) -> x.Story:
    name = one.column.name
    if one.read is None:
        told = f"the online plane's key of this event: {value}"
        missing = "the online plane skips this event: null"
    else:
        path = format_path(program.reads[one.read].path)
        told = f"{path} of this event: {_write(value)}"
        missing = f"this event has no {path}: null"
    reason = x.OWN if value is not None else x.NO_VALUE
    considered = x.Considered(0, value is not None, reason, _make_plain(value))
    return x.Story(name, value, missing if value is None else told, (considered,))


def _make_plain(value: Any) -> x.Plain:
    """A column's value as answers hold it: decimals are text with all their digits."""
    return value if value is None or isinstance(value, str | int | float) else f"{value:f}"


def _write(value: Any) -> str:
    return x.json_text(_make_plain(value))
