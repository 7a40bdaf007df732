"""One file of a label extract: fetched, its bytes proven, what its footer states judged. Rows are read by `assertions.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.bounded import MOST_DECODED_BYTES
from ofs_spark.foundation.columnar.footers import FooterRule, find_footer_faults
from ofs_spark.foundation.columnar.stored_columns import (
    INSTANT,
    TEXT,
    StoredColumn,
    has_no_value,
    list_columns,
    open_parquet,
    states_no_value,
)
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge
from ofs_spark.foundation.wording import write_count
from ofs_spark.labels import model as m

TEXTS = (
    "label_assertion_id",
    "platform_run_id",
    "event_id",
    "label_type",
    "label_value",
    "source_type",
    "actor_id",
    "payload_hash",
    "evidence_refs_json",
    "assertion_ref",
)
TIMES = ("effective_time", "observed_time", "committed_at_utc")
OPTIONAL = ("actor_id", "evidence_refs_json", "assertion_ref")
"""May be absent."""


def find_file_faults(
    objects: Objects, files: Sequence[m.ExtractFile], int96_is_utc: bool, most: int = MOST_DECODED_BYTES
) -> list[Refusal]:
    """What `fetch_assertions` would refuse of the files for bytes, columns or number of rows, as far as footers show it."""

    def judge(file: pq.ParquetFile, entry: m.ExtractFile) -> None:
        """Refuses a file of which only the footer is there."""
        _judge_footer(file, list_columns(file), entry, int96_is_utc, partial(states_no_value, file))

    def prove(entry: m.ExtractFile) -> None:
        """Refuses a file as whoever reads it would."""
        body = fetch_file(objects, entry)
        with refuse_unreadable(entry):
            open_proven(body, entry, int96_is_utc, most)

    return find_footer_faults(objects, files, FooterRule(lambda entry: (entry.ref, entry.bytes), judge, prove))


def fetch_file(objects: Objects, entry: m.ExtractFile) -> bytes:
    """The stored file. LABEL_STORE_UNAVAILABLE if it is missing, too long, or the store does not answer."""
    try:
        return objects.read(entry.ref, entry.bytes)
    except ObjectMissing:
        raise refuse("LABEL_STORE_UNAVAILABLE", f"{entry.ref} of the extract is missing", ref=entry.ref) from None
    except ObjectTooLarge as error:
        message = f"{entry.ref} has {write_count(error.found, 'byte')}; the extract states {entry.bytes:,}"
        raise refuse("LABEL_STORE_UNAVAILABLE", message, ref=entry.ref) from None
    except OSError as unanswered:
        message = f"{entry.ref} of the extract cannot be read: {unanswered}"
        raise refuse("LABEL_STORE_UNAVAILABLE", message, ref=entry.ref) from None


def open_proven(body: bytes, entry: m.ExtractFile, int96_is_utc: bool, most: int) -> list[StoredColumn]:
    """The columns of a file. LABEL_STORE_UNAVAILABLE for other bytes, columns or row count than extract and contract state.

    ArrowException or OSError for bytes that are no Parquet. RESOURCE_EXCEEDED where a column of another type than the
    contract's decodes to more than `most` bytes.
    """
    _prove_bytes(body, entry)
    file = open_parquet(body)
    stored = list_columns(file)
    _judge_footer(file, stored, entry, int96_is_utc, partial(has_no_value, file, body, entry.ref, most))
    return stored


def _judge_footer(
    file: pq.ParquetFile,
    stored: Sequence[StoredColumn],
    entry: m.ExtractFile,
    int96_is_utc: bool,
    is_empty: Callable[[str], bool],
) -> None:
    """Refuses a file for its columns or its number of rows. is_empty: whether the column at a path holds no value."""
    faults = list(_find_column_faults(stored, int96_is_utc, is_empty))
    if faults:
        raise _refuse_schema(entry, faults)
    prove_count(file.metadata.num_rows, entry)


@contextmanager
def refuse_unreadable(entry: m.ExtractFile) -> Iterator[None]:
    """LABEL_SCOPE_INVALID for what the block finds to be no Parquet."""
    try:
        yield
    except (pa.ArrowException, OSError) as unreadable:
        message = f"{entry.ref} is not readable Parquet: {unreadable}"
        raise refuse("LABEL_SCOPE_INVALID", message, ref=entry.ref) from None


def _prove_bytes(body: bytes, entry: m.ExtractFile) -> None:
    found = sha256(body).hexdigest()
    if (len(body), found) != (entry.bytes, entry.sha256):
        raise refuse(
            "LABEL_STORE_UNAVAILABLE",
            f"{entry.ref} has {write_count(len(body), 'byte')} of sha256 {found}; "
            f"the extract states {entry.bytes:,} of {entry.sha256}",
            ref=entry.ref,
        )


def prove_count(rows: int, entry: m.ExtractFile) -> None:
    """LABEL_STORE_UNAVAILABLE unless a file has as many rows as the extract states."""
    if rows != entry.row_count:
        message = f"{entry.ref} holds {write_count(rows, 'row')}; the extract states {entry.row_count:,}"
        raise refuse("LABEL_STORE_UNAVAILABLE", message, ref=entry.ref)


def _refuse_schema(entry: m.ExtractFile, faults: Sequence[Mapping[str, str]]) -> Refusal:
    first = faults[0]
    message = f"{entry.ref}: column {first['field']} is {first['found']}; {first['required']} is required"
    listed = [{"file": entry.ref, **fault} for fault in faults]
    return refuse("LABEL_STORE_UNAVAILABLE", message, ref=entry.ref, faults=listed)


def _find_column_faults(
    stored: Sequence[StoredColumn], int96_is_utc: bool, is_empty: Callable[[str], bool]
) -> Iterator[dict[str, str]]:
    """Columns that do not stand in the file exactly once (optional ones may be absent), or are of another type."""
    for name in TEXTS + TIMES:
        required = f"{TEXT}, or {INSTANT}" if name in TIMES else TEXT
        named = [column for column in stored if column.name == name]
        if len(named) > 1 or (not named and name not in OPTIONAL):
            yield {"field": name, "found": f"there {len(named)} times" if named else "absent", "required": required}
        elif named and not _fits(named[0], int96_is_utc) and not is_empty(name):
            yield {"field": name, "found": named[0].describe(), "required": required}


def _fits(column: StoredColumn, int96_is_utc: bool) -> bool:
    timed = column.name in TIMES and (column.is_instant or (column.is_int96 and int96_is_utc))
    return column.is_text or timed
