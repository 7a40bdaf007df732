"""The row of a published table that is about one event: found by its id in the table's files, whose bytes are proven."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.foundation.columnar.arrays import combine_chunks
from ofs_spark.foundation.columnar.stored_columns import open_parquet
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.publish.file_list import FileList, read_file_list, read_table_file
from ofs_spark.publish.model import FileEntry

WORKERS = 2
"""Files that are held at once."""
EVENT_ID = "event_id"


def find_stored_row(manifest: Mapping[str, Any], event_id: str, objects: Objects) -> dict[str, Any] | None:
    """The row of an event by column name; None where the dataset has none.

    MATERIALIZATION_CORRUPT where the list of files, or a file that had to be read, is not what was published.
    """
    names = [column["name"] for column in manifest["columns"]]
    entries = read_file_list(objects, FileList.from_manifest(manifest), names)
    with ThreadPoolExecutor(WORKERS) as pool:
        for row in pool.map(partial(_find_in_file, objects, event_id), entries):
            if row is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                return row
    return None


def _find_in_file(objects: Objects, event_id: str, entry: FileEntry) -> dict[str, Any] | None:
    body = read_table_file(objects, entry)
    if hashlib.sha256(body).hexdigest() != entry.sha256:
        raise refuse("MATERIALIZATION_CORRUPT", f"{entry.path} has other bytes than were written", ref=entry.path)
    file = open_parquet(body)
    for group in range(file.num_row_groups):
        ids = combine_chunks(file.read_row_group(group, columns=[EVENT_ID], use_threads=False).column(0))
        found = np.flatnonzero(np.asarray(pc.equal(ids, event_id)))
        if len(found):
            row: dict[str, Any] = file.read_row_group(group, use_threads=False).take(pa.array(found[:1])).to_pylist()[0]
            return row
    return None
