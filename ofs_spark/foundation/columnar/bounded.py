"""Reading a Parquet file without trusting it: what it decodes to is bounded before and while it is decoded.

A file of some kilobytes may state billions of values: one repeated code stands for as many copies of a long text. Sizes
that the file states are compared first, those of the footer and those of the page headers. What they cannot say, because
a dictionary's value is stored once and repeated for ever, is counted batch by batch, in batches so small that none of
them can pass the bound by far.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.pages import MOST_PAGES, Bytes, Page, read_page
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.wording import write_count

MOST_DECODED_BYTES = 8 * 1024**3
"""Of one file, where policy states no other bound."""
_LEAST_ROWS, _MOST_ROWS = 64, 65_536
"""Of a batch."""
_WORD = 8
"""Bytes that a value takes at least, decoded and beside its text."""


def read_bounded(
    file: pq.ParquetFile, body: bytes, what: str, columns: list[str] | None = None, most: int = MOST_DECODED_BYTES
) -> pa.Table:
    """The columns, by dotted path, of a file whose bytes are `body`, named `what` in messages.

    RESOURCE_EXCEEDED, with what was found and is allowed, for a file that decodes to more than `most` bytes, or has more
    pages than anybody needs. OSError where a page's header cannot be read.
    """
    rows = fit_batch(file, body, what, columns, most)
    if rows is None:
        return file.read(columns=columns, use_threads=False)
    batches, decoded = [], 0
    for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
        decoded += batch.nbytes
        if decoded > most:
            raise _refuse(what, decoded, most)
        batches.append(batch)
    return pa.Table.from_batches(batches, batches[0].schema).combine_chunks()


def fit_batch(
    file: pq.ParquetFile,
    body: Bytes,
    what: str,
    columns: list[str] | None,
    most: int,
    groups: Collection[int] | None = None,
) -> int | None:
    """How many rows may be decoded at once; None where all may. Errors as `read_bounded`, for what the file states.

    groups: the row groups that are going to be read, None for all; of others only what the footer states counts.
    """
    stated, values, dictionaries = _add_up(file.metadata, body, what, columns, groups)
    for found in (stated, values * _WORD):
        if found > most:
            raise _refuse(what, found, most)
    if file.metadata.num_rows * dictionaries <= most:
        return None
    return max(_LEAST_ROWS, min(_MOST_ROWS, most // dictionaries))


def _add_up(
    metadata: pq.FileMetaData, body: Bytes, what: str, columns: list[str] | None, groups: Collection[int] | None
) -> tuple[int, int, int]:
    """(uncompressed bytes that footer or pages state, values, bytes of the largest dictionaries of all columns).

    The larger of what a chunk's footer states and what its pages do counts: a reader allocates by the pages.
    """
    stated = values = pages = 0
    dictionaries: dict[str, int] = {}
    for number in range(metadata.num_row_groups):
        group, is_read = metadata.row_group(number), groups is None or number in groups
        for chunk in (group.column(index) for index in range(group.num_columns)):
            path = chunk.path_in_schema
            if columns is not None and not any(f"{path}.".startswith(f"{one}.") for one in columns):
                continue
            own = list_pages(chunk, body, MOST_PAGES - pages) if is_read else []
            pages += len(own)
            if pages >= MOST_PAGES:
                raise refuse(
                    "RESOURCE_EXCEEDED",
                    f"{what} has {write_count(pages, 'page')} or more",
                    ref=what,
                    allowed=MOST_PAGES,
                )
            stated += max(0, chunk.total_uncompressed_size, sum(one.uncompressed for one in own))
            values += max(0, chunk.num_values, group.num_rows, sum(one.values for one in own))
            coded = (one.uncompressed for one in own if one.is_dictionary)
            dictionaries[path] = max(dictionaries.get(path, 0), *coded, 0)
    return stated, values, sum(dictionaries.values())


def list_pages(chunk: pq.ColumnChunkMetaData, body: Bytes, most: int = MOST_PAGES) -> list[Page]:
    """The pages of a chunk as their headers state them, no more than `most`."""
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        place = min(place, chunk.dictionary_page_offset)
    end, found = place + chunk.total_compressed_size, list[Page]()
    if chunk.num_values <= 0:  # then no page is read: where they begin need not be true
        return found
    while place < end and len(found) < most:
        found.append(read_page(body, place))
        place = found[-1].begin + found[-1].compressed
    return found


def _refuse(what: str, found: int, allowed: int) -> Refusal:
    message = f"{what} decodes to {write_count(found, 'byte')} or more; at most {allowed:,} are read"
    return refuse("RESOURCE_EXCEEDED", message, ref=what, found=found, allowed=allowed)
