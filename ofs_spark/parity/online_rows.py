"""The rows of a scan for the online plane's law, file by file, and how such a scan is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array, combine_chunks, read_values
from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES
from ofs_spark.foundation.columnar.content_hash import KEY_BYTES
from ofs_spark.foundation.columnar.hashing import read_words
from ofs_spark.foundation.ports import Objects
from ofs_spark.pins.profile.model import OnlineCoreRules, Program
from ofs_spark.replay import rows as r
from ofs_spark.replay.index import SegmentIndex
from ofs_spark.replay.parts import Staged, read_rows
from ofs_spark.replay.scan.spec import ArrivalSource, ScanSpec

KEY, AMOUNT = r.name_core_key_column(0), r.name_core_amount_column(0)


def make_online_spec(
    index: SegmentIndex,
    rules: OnlineCoreRules,
    arrival: ArrivalSource,
    int96_is_utc: bool = False,
    most_decoded: int = MOST_DECODED_BYTES,
) -> ScanSpec:
    """How the records of a platform run are read for its online plane's law."""
    return ScanSpec(
        index.platform_run_id,
        Program("online", "core", (), (), (), (rules,), ()),
        arrival=arrival,
        int96_is_utc=int96_is_utc,
        most_decoded=most_decoded,
        online=True,
        print_key=bytes.fromhex(index.digest)[:KEY_BYTES],
    )


@dataclass(frozen=True)
class OnlineRows:
    """The rows of one staged file: of one partition, positions ascending. Prints: two words each."""

    partition: int
    seq: Array
    arrival: Array
    skip: Array
    event: Array
    payload: Array
    table: pa.Table


def read_files(
    objects: Objects, files: Sequence[Staged], proves: Callable[[int], bool] = lambda _number: True
) -> Iterator[OnlineRows]:
    """The rows of each file, one file at a time, in no particular order. proves: which files are proven, by number."""
    for number, file in enumerate(files):
        table = read_rows(objects, file, proven=not proves(number))
        event, payload = (
            read_words(combine_chunks(table.column(name)), 2) for name in (r.EVENT_PRINT, r.PAYLOAD_PRINT)
        )
        seq, arrival, skip = (read_values(table, name) for name in (r.SEQ, r.ARRIVAL, r.SKIP))
        partition = table.column(r.PARTITION_ORDINAL)[0].as_py()
        yield OnlineRows(partition, seq, arrival, skip, event, payload, table)


def take_rows(rows: OnlineRows, chosen: Array, names: Sequence[str]) -> pa.Table:
    """Some columns of some rows."""
    return rows.table.select(names).take(pa.array(chosen))


def find_rows(seq: Array, wanted: Array) -> Array:
    """Row numbers of those of the wanted order numbers that are among the ascending `seq`."""
    if not len(seq) or not len(wanted):
        return np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(seq, wanted), len(seq) - 1)
    return np.unique(at[seq[at] == wanted])
