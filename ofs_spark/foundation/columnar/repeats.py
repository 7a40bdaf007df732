"""How long the values are that a column chunk may repeat without storing them again.

A value of a dictionary stands in the dictionary's page once, and a code of some bits repeats it. A value that is stored
as its difference from the one before (DELTA_BYTE_ARRAY) repeats that one's beginning. Every other page holds as many
bytes as it decodes to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from struct import Struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.columnar.pages import Bytes, Page

_STORED = {0, 3, 5, 6, 9}
"""Encodings whose pages hold every value: PLAIN, RLE of booleans, DELTA_BINARY_PACKED and _LENGTH_, BYTE_STREAM_SPLIT."""
_BY_DICTIONARY = {2, 8}
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "ZSTD": "zstd", "LZ4": "lz4_raw", "BROTLI": "brotli"}
"""Codecs by the names that Arrow gives those of a footer."""
_STORED_AS_IT_IS = "UNCOMPRESSED"
_MOST_LOOKED_INTO = 4 * 1024**2
"""Bytes of a dictionary: writers give one up at a megabyte or so."""
_LENGTH = Struct("<I")


@dataclass(frozen=True)
class Repeat:
    """Values of a column, by dotted path, that may repeat others, and the bytes that each of them takes at most.

    in_list: one row may hold any number of them. dictionary, codec: the page with what they repeat, where looking into
    it says more than its size.
    """

    path: str
    values: int
    longest: int
    in_list: bool
    dictionary: Page | None = None
    codec: str = ""

    @property
    def most(self) -> int:
        """Bytes that all of them take at most."""
        return self.values * self.longest


def find_repeats(chunk: pq.ColumnChunkMetaData, leaf: pq.ColumnSchema, pages: Sequence[Page]) -> Iterator[Repeat]:
    """What a chunk of the column `leaf` may repeat, by the headers of all its pages."""
    width = leaf.length if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS.get(leaf.physical_type)
    in_list, path = leaf.max_repetition_level > 0, leaf.path
    dictionaries = [page for page in pages if page.is_dictionary]
    coded = sum(page.values for page in pages if page.encoding in _BY_DICTIONARY and not page.is_dictionary)
    if dictionaries and coded:
        size = max(page.size for page in dictionaries)
        if width is not None:
            yield Repeat(path, coded, min(width, size), in_list)
        else:
            only = dictionaries[0] if len(dictionaries) == 1 else None
            yield Repeat(path, coded, size, in_list, only, chunk.compression)
    for page in pages:
        if not page.is_dictionary and page.encoding not in _STORED | _BY_DICTIONARY:
            yield Repeat(path, page.values, page.size if width is None else width, in_list)


def look_closer(repeat: Repeat, body: Bytes) -> Repeat:
    """The same with the length of the longest value that its dictionary holds, where that can be read."""
    page = repeat.dictionary
    if page is None or page.size > _MOST_LOOKED_INTO or not isinstance(body, bytes):
        return repeat
    stored = memoryview(body)[page.begin : page.begin + page.compressed]
    try:
        if repeat.codec != _STORED_AS_IT_IS:
            stored = pa.Codec(_CODECS[repeat.codec]).decompress(pa.py_buffer(stored), page.uncompressed)
    except (KeyError, pa.ArrowException, OSError):
        return repeat  # Arrow will not read it either; nothing is said of it here
    longest = _find_longest(memoryview(stored))
    return repeat if longest < 0 else replace(repeat, longest=longest)


def _find_longest(page: memoryview) -> int:
    """The length of the longest text of a page of lengths (32 bits) and bytes; -1 where these do not fill the page.

    No compiled loop: whoever reads a file, or looks at its footer, would have to compile one first.
    """
    longest, place, end, read = 0, 0, len(page), _LENGTH.unpack_from
    each = _find_equal_length(page)
    if each >= 0:
        return each
    while place + _LENGTH.size <= end:
        (size,) = read(page, place)
        place += _LENGTH.size + size
        if size > longest:
            longest = size
    return longest if place == end else -1


def _find_equal_length(page: memoryview) -> int:
    """The length of every text of such a page, as of ids and hashes; -1 where they differ."""
    if len(page) < _LENGTH.size:
        return -1
    (size,) = _LENGTH.unpack_from(page)
    if len(page) % (_LENGTH.size + size):
        return -1
    texts = np.frombuffer(page, np.uint8).reshape(-1, _LENGTH.size + size)
    is_equal = (texts[:, : _LENGTH.size] == texts[0, : _LENGTH.size]).all()
    return int(size) if is_equal else -1
