"""Whether an archived payload hash is that of its envelope."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.hashing import parse_hex, read_text_buffers
from ofs_spark.foundation.columnar.sha256 import hash_spans


@dataclass(frozen=True)
class Hashes:
    """Per row the stated payload hash as 32 bytes, uint8 of shape (rows, 32), and whether it is the envelope's."""

    stated: Array
    hold: Array


def check_hashes(envelopes: pa.Array, stated: pa.Array, canonical: Array) -> Hashes:
    """The stated payload hashes, each compared with that of its envelope's text.

    canonical: which envelopes are certainly the canonical text, as their scan found. The archive keeps envelopes as the
    text that was hashed, so hashing the bytes settles almost every row; any other spelling is parsed and written
    canonically first: the hash of its own bytes is not its hash. An envelope that cannot be is none that was hashed.
    """
    said, wellformed = parse_hex(stated, 32)
    hold = wellformed & canonical & (said == hash_spans(*read_text_buffers(envelopes))).all(axis=1)
    for row in np.flatnonzero(~hold):
        text = envelopes[int(row)]
        hold[row] = (
            wellformed[row] and text.is_valid and hash_payload(text.as_buffer().to_pybytes()) == said[row].tobytes()
        )
    return Hashes(said, hold)


def hash_payload(text: bytes) -> bytes | None:
    """The archive's law: SHA-256 of the envelope written with sorted keys, no spaces, in ASCII; None for no JSON."""
    try:
        body = json.dumps(json.loads(text.decode()), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    except (ValueError, RecursionError):  # bytes that are not UTF-8 too
        return None
    return hashlib.sha256(body.encode()).digest()
