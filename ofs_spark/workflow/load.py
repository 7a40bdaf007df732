"""`ofs.load`: a published dataset, given to nobody before every byte of it is proven. One pass proves and reads.

What each file must be stands in the list of files, whose digest the manifest states; the content digest follows from the
digests of the leaves in that list, and each file is proven to have its leaves. So the digest is compared before a file is
read, and a file that is not what was published is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import Column
from ofs_spark.publish.digest import digest_content
from ofs_spark.publish.file_list import FileList, read_file_list
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.retirement import describe_retirement, find_retirement
from ofs_spark.publish.rows import WHOLE, FileReader, Period, StoredRows
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import list_columns, read_dataset

CORRUPT = "MATERIALIZATION_CORRUPT"
KEPT_SHARE = 4
"""Rows are kept in memory up to this part of the machine's; what is larger is read again, and proven again, when asked for."""


@dataclass(frozen=True)
class LoadedDataset:
    """A dataset that is proven. kept: its rows, None where they are too many to be held."""

    ref: str
    manifest: Mapping[str, Any]
    columns: tuple[Column, ...]
    stored: StoredRows
    kept: pa.Table | None

    def read(self, period: Period = WHOLE) -> Iterator[pa.Table]:
        """The rows inside a period, in parts and in layout order; at least one part, be it empty."""
        if self.kept is not None:
            yield period.select(self.kept)
        else:
            yield make_schema(self.columns).empty_table()
            yield from self.stored.read(period)

    def find_span(self) -> tuple[int, int] | None:
        """The least and the greatest ts_utc, µs; None of a dataset without rows."""
        entries = self.stored.entries
        return (min(one.ts_min for one in entries), max(one.ts_max for one in entries)) if entries else None


def load_dataset(named: str, context: RunContext, *, allow_retired: bool = False) -> LoadedDataset:
    """The dataset of a manifest given by ref or id.

    DATASET_RETIRED for a retired one, unless that is allowed. MATERIALIZATION_CORRUPT, naming the file where it is one's,
    for a table that is not what the manifest states. RESOURCE_EXCEEDED as `prove_file`. Else refuses as `read_dataset`.
    """
    ref, manifest = read_dataset(named, context)
    if not allow_retired:
        _require_in_use(ref, manifest, context)
    columns = tuple(list_columns(manifest))
    context.announce("publish", "proves and reads the table")
    stored = _open_rows(ref, manifest, columns, context)
    return LoadedDataset(ref, manifest, columns, stored, _read(stored, columns))


def _require_in_use(ref: str, manifest: Mapping[str, Any], context: RunContext) -> None:
    found = find_retirement(manifest, context.objects)
    if found is not None:
        message = f"{manifest['dataset_manifest_id']} is {describe_retirement(found)}"
        raise refuse("DATASET_RETIRED", message, ref=ref, reason=found["reason"])


def _open_rows(ref: str, manifest: Mapping[str, Any], columns: tuple[Column, ...], context: RunContext) -> StoredRows:
    """The files of the table, as many and as large as the manifest states, with leaves that come to its content digest."""
    schema = tuple((column.name, column.type) for column in columns)
    listed, table = FileList.from_manifest(manifest), manifest["materialization"]
    entries = tuple(read_file_list(context.objects, listed, [column.name for column in columns]))
    leaves = [leaf for entry in entries for leaf in entry.leaves]
    found = {
        "files": (len(entries), sum(entry.bytes for entry in entries)),
        "rows": sum(entry.rows for entry in entries),
        "content digest": digest_content(schema, leaves),
    }
    stated = {
        "files": (listed.files, listed.bytes),
        "rows": table["row_count"],
        "content digest": table["content_digest"],
    }
    for name, one in found.items():
        if one != stated[name]:
            raise _refuse_table(ref, listed.ref, name, one, stated[name])
    return StoredRows(FileReader(context.objects, schema, context.policy.most_decoded_bytes), _sort(entries))


def _refuse_table(ref: str, listed: str, name: str, found: object, stated: object) -> Refusal:
    message = f"{name} of the table: the list {listed} comes to {found}; the manifest {ref} states {stated}"
    return refuse(CORRUPT, message, ref=listed, manifest_ref=ref, check=name, found=str(found), expected=str(stated))


def _sort(entries: tuple[FileEntry, ...]) -> tuple[FileEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path))


def _read(stored: StoredRows, columns: tuple[Column, ...]) -> pa.Table | None:
    """All rows, once every file is proven; None where they take more than may be kept."""
    most, held, size = find_most_kept(), list[pa.Table](), 0
    for part in stored.read():
        size += part.nbytes
        if size <= most:
            held.append(part)
        else:
            held.clear()
    if size > most:
        return None
    return pa.concat_tables(held) if held else make_schema(columns).empty_table()


def make_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """The Arrow schema of a dataset's columns."""
    return pa.schema([(column.name, to_arrow_type(column.type)) for column in columns])


def find_most_kept() -> int:
    """Bytes of rows that a loaded dataset keeps in memory: a part of what this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // KEPT_SHARE
