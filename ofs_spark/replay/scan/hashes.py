"""Whether an archived payload hash is that of its envelope."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.hashing import text_buffers

Array = np.ndarray[Any, np.dtype[Any]]
_HEX = 64


def hashes_hold(envelopes: pa.Array, stated: pa.Array) -> Array:
    """Per row, whether `stated` is the payload hash of the envelope text.

    The archive keeps envelopes as the canonical text that was hashed, so hashing the bytes settles almost every row;
    any other spelling is parsed and written canonically first. An envelope that cannot be is none that was hashed.
    """
    holds = _of_bytes(envelopes, stated)
    for row in np.flatnonzero(~holds):
        text = envelopes[int(row)].as_py()
        holds[row] = text is not None and payload_hash(text) == stated[int(row)].as_py()
    return holds


def _of_bytes(envelopes: pa.Array, stated: pa.Array) -> Array:
    data, offsets = text_buffers(envelopes)
    body, sha256 = memoryview(data.data), hashlib.sha256
    found = b"".join([sha256(body[a:b]).digest() for a, b in pairwise(offsets.tolist())]).hex().encode()
    hexes, bounds = text_buffers(stated)
    full = np.diff(bounds) == _HEX
    holds = np.zeros(len(full), np.bool_)
    starts = bounds[:-1][full]
    said = hexes[starts[:, None] + np.arange(_HEX)] if len(starts) else np.empty((0, _HEX), np.uint8)
    holds[full] = (np.frombuffer(found, np.uint8).reshape(-1, _HEX)[full] == said).all(axis=1)
    return holds


def payload_hash(text: str) -> str | None:
    """The archive's law: lower-case hex SHA-256 of the envelope written with sorted keys, no spaces, in ASCII."""
    try:
        body = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    except (ValueError, RecursionError):
        return None
    return hashlib.sha256(body.encode()).hexdigest()
