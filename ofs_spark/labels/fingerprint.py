"""What identifies an assertion: its id as 16 bytes, and 128 bits of everything its row says.

The content hash (`foundation/columnar/content_hash.py`) is over every column, keyed by the extract's digest.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.hashing import read_words, to_fixed_binary
from ofs_spark.foundation.columnar.ids import find_first_rows

_WORDS = 4
"""Of an identity: two of the id, two of the content."""


def find_first_copies(ids: pa.Array) -> Array:
    """The first row of each distinct id of 16 bytes, ascending."""
    first = find_first_rows(read_words(ids, 2))
    found: Array = np.flatnonzero(first == np.arange(len(ids)))
    return found


def join_identities(ids: Array, contents: Array) -> pa.Array:
    """Ids (rows, 16 bytes) and contents (rows, 2 words) as one column of 32 bytes."""
    return to_fixed_binary(np.concatenate([ids, contents.view(np.uint8).reshape(-1, 16)], axis=1))


def find_clashing_ids(column: pa.Array, bound: int) -> list[str]:
    """Ids under which the identities hold different contents, ascending, at most `bound`; every row of an id is there."""
    words = read_words(column, _WORDS)
    clashes = (words[:, 2:] != words[find_first_rows(words), 2:]).any(axis=1)
    found = np.unique(words[clashes][:, :2].copy().view("V16")).tolist()
    return sorted(one.hex() for one in found)[:bound]


def route_identities(column: pa.Array, width: int) -> Array:
    """Target of every identity by its id, int32."""
    words = read_words(column, _WORDS)
    mixed = (words[:, 0] ^ words[:, 1]) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(32)) % np.uint64(width)).astype(np.int32)
