"""Reading a Parquet file without trusting it: what it decodes to is bounded before and while it is decoded.

A file of some kilobytes may state billions of values: one repeated code stands for as many copies of a long text. Sizes
that the file states are compared first. What they cannot say, because a dictionary's value is stored once and repeated
for ever, is counted batch by batch, in batches so small that none of them can pass the bound by far.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.errors import Refusal, refuse

MOST_DECODED_BYTES = 8 * 1024**3
"""Of one file, where policy states no other bound."""
_LEAST_ROWS, _MOST_ROWS = 64, 65_536
"""Of a batch."""
_WORD = 8
"""Bytes that a value takes at least, decoded and beside its text."""


def read_bounded(
    file: pq.ParquetFile, body: bytes, what: str, columns: list[str] | None = None, most: int = MOST_DECODED_BYTES
) -> pa.Table:
    """The columns of a file whose bytes are `body`, named `what` in messages.

    RESOURCE_EXCEEDED, with what was found and is allowed, for a file that decodes to more than `most` bytes.
    """
    stated, values, dictionaries = _add_up(file.metadata, body, columns)
    for found in (stated, values * _WORD):
        if found > most:
            raise _refuse(what, found, most)
    if file.metadata.num_rows * dictionaries <= most:
        return file.read(columns=columns, use_threads=False)
    rows = max(_LEAST_ROWS, min(_MOST_ROWS, most // dictionaries))
    batches, decoded = [], 0
    for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
        decoded += batch.nbytes
        if decoded > most:
            raise _refuse(what, decoded, most)
        batches.append(batch)
    return pa.Table.from_batches(batches, batches[0].schema).combine_chunks()


def _add_up(metadata: pq.FileMetaData, body: bytes, columns: list[str] | None) -> tuple[int, int, int]:
    """(uncompressed bytes that the file states, values, bytes of the largest dictionaries of all columns)."""
    stated = values = 0
    dictionaries: dict[str, int] = {}
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        for chunk in (group.column(index) for index in range(group.num_columns)):
            path = chunk.path_in_schema
            if columns is not None and path.split(".")[0] not in columns:
                continue
            stated += max(0, chunk.total_uncompressed_size)
            values += max(0, chunk.num_values, group.num_rows)
            if chunk.has_dictionary_page:
                size = _read_page_size(body, chunk.dictionary_page_offset)
                dictionaries[path] = max(dictionaries.get(path, 0), size)
    return stated, values, sum(dictionaries.values())


def _read_page_size(body: bytes, offset: int | None) -> int:
    """The uncompressed size that the page header at `offset` states, which is what its reader allocates.

    The header is a Thrift struct in the compact protocol; its first two fields are its type and this size. For anything
    else the file's own size stands in: the reader will refuse it.
    """
    place = len(body) if offset is None else offset
    found = [len(body), len(body)]
    for index in range(2):
        if not 0 <= place < len(body) or body[place] != 0x15:  # the next field, of type i32
            return len(body)
        place, shift, number = place + 1, 0, 0
        while place < len(body) and shift < 35:
            byte = body[place]
            number |= (byte & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if byte < 0x80:
                break
        found[index] = (number >> 1) ^ -(number & 1)
    return max(0, found[1])


def _refuse(what: str, found: int, allowed: int) -> Refusal:
    message = f"{what} decodes to {found:,} bytes or more; at most {allowed:,} are read"
    return refuse("RESOURCE_EXCEEDED", message, ref=what, found=found, allowed=allowed)
