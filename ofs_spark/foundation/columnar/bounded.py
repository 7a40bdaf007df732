"""Reading a Parquet file without trusting it: what it decodes to is bounded before and while it is decoded.

A file of some kilobytes may state billions of values: one repeated code stands for as many copies of a long text. Sizes
that the file states are compared first, those of the footer and those of the page headers: a reader makes room for what
they state, and takes no more from a page. What they cannot say is how long the values are that are stored once and
repeated: each is counted as the longest that its page may repeat. A file within the bound by that measure is read at
once. Any other is counted batch by batch, in batches so small that none of them can pass the bound by far.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.pages import MOST_PAGES, Bytes, Page, PageHeaderError, read_page
from ofs_spark.foundation.columnar.repeats import Repeat, find_repeats, look_closer
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.wording import write_count

MOST_DECODED_BYTES = 8 * 1024**3
"""Of one file, where policy states no other bound."""
_MOST_ROWS = 65_536
"""Of a batch."""
_WORD = 8
"""Bytes that a value takes at least, decoded and beside its text."""


@dataclass
class _Sizes:
    """What the chunks to be read add up to: uncompressed bytes that footer or pages state, values, what may be repeated."""

    stated: int = 0
    values: int = 0
    pages: int = 0
    repeats: list[Repeat] = field(default_factory=list)


def read_bounded(
    file: pq.ParquetFile, body: bytes, what: str, columns: list[str] | None = None, most: int = MOST_DECODED_BYTES
) -> pa.Table:
    """The columns, by dotted path, of a file whose bytes are `body`, named `what` in messages.

    RESOURCE_EXCEEDED, with what was found and is allowed, for a file that decodes to more than `most` bytes, or may by
    the texts that its lists repeat, or has more pages than anybody needs. OSError where a page's header cannot be read.
    """
    rows, repeats = _fit(_add_up(file.metadata, body, what, columns, None), body, what, most)
    if rows is None:
        return file.read(columns=columns, use_threads=False)
    listed = sum(one.most for one in repeats if one.in_list)
    if listed > most:  # one row may hold them all: no batch of rows is small enough
        raise _refuse(what, listed, most)
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
    return _fit(_add_up(file.metadata, body, what, columns, groups), body, what, most)[0]


def _fit(sizes: _Sizes, body: Bytes, what: str, most: int) -> tuple[int | None, list[Repeat]]:
    """(rows of a batch as `fit_batch`, what they may repeat). Dictionaries are looked into while that may matter."""
    for found in (sizes.stated, sizes.values * _WORD):
        if found > most:
            raise _refuse(what, found, most)
    excess = sizes.stated + sum(one.most for one in sizes.repeats) - most
    repeats = sorted(sizes.repeats, key=lambda one: one.most, reverse=True)
    for place, one in enumerate(repeats):
        if excess <= 0:
            return None, repeats
        repeats[place] = look_closer(one, body)
        excess -= one.most - repeats[place].most
    if excess <= 0:
        return None, repeats
    longest: dict[str, int] = {}
    for one in repeats:
        longest[one.path] = max(longest.get(one.path, 0), one.longest)
    return max(1, min(_MOST_ROWS, most // sum(longest.values()))), repeats


def _add_up(
    metadata: pq.FileMetaData, body: Bytes, what: str, columns: list[str] | None, groups: Collection[int] | None
) -> _Sizes:
    """The larger of what a chunk's footer states and what its pages do counts: a reader allocates by the pages.

    A chunk is of the column at its place in the schema, as it is read, whatever name the chunk states.
    """
    sizes, leaves = _Sizes(), [metadata.schema.column(index) for index in range(metadata.num_columns)]
    chosen = [
        (index, leaf)
        for index, leaf in enumerate(leaves)
        if columns is None or any(f"{leaf.path}.".startswith(f"{one}.") for one in columns)
    ]
    for number in range(metadata.num_row_groups):
        group, is_read = metadata.row_group(number), groups is None or number in groups
        for index, leaf in chosen:
            if index >= group.num_columns:
                raise PageHeaderError(f"a row group has no column {leaf.path}")
            chunk = group.column(index)
            own = list_pages(chunk, body, MOST_PAGES - sizes.pages) if is_read else []
            sizes.pages += len(own)
            if sizes.pages >= MOST_PAGES:
                pages = write_count(sizes.pages, "page")
                raise refuse("RESOURCE_EXCEEDED", f"{what} has {pages} or more", ref=what, allowed=MOST_PAGES)
            sizes.stated += max(0, chunk.total_uncompressed_size, sum(one.uncompressed for one in own))
            sizes.values += max(0, chunk.num_values, group.num_rows, sum(one.values for one in own))
            sizes.repeats += find_repeats(chunk, leaf, own)
    return sizes


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
