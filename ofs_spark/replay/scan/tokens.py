"""An exact columnar JSON scanner: where the declared members of every envelope stand, and whether it is JSON at all.

One pass over the Arrow string column's bytes. Every document is checked against RFC 8259 in full, whether or not a
member is declared; for each declared path the kind and byte span of its value is recorded. Numbers are not converted:
later code reads their digits. A document is refused when a declared member, or a member on the way to one, stands twice:
readers disagree on which one counts, so the record says two things.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numba import types

from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.compiled import BYTES, FLAGS, LONGS, compile_loop, type_array, type_tuple
from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.replay.scan.canonical_text import settle_fractions
from ofs_spark.replay.scan.members import MemberTree, Path
from ofs_spark.replay.scan.reading import Found
from ofs_spark.replay.scan.shapes import Shapes

ABSENT, NULL, TRUE, FALSE, NUMBER, STRING, ESCAPED, OBJECT, ARRAY = range(9)
"""Kinds of a value; ESCAPED is a string that holds a backslash."""

VALID, BROKEN, DOUBLED = range(3)
"""States of a document."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Tokens:
    """Per document: its state, and whether it is certainly canonical text (`canonical_text.py`), bool.

    Per path and document: the value's kind and its span (a string's without its quotes) in the path's bytes.
    """

    state: Array
    canonical: Array
    data: Mapping[Path, Array]
    kind: Mapping[Path, Array]
    start: Mapping[Path, Array]
    end: Mapping[Path, Array]

    def read_texts(self, path: Path) -> pa.Array:
        """The value's bytes as text where it is a scalar with a span (strings undecoded), else null."""
        kind = self.kind[path]
        present = (kind == NUMBER) | (kind == STRING) | (kind == ESCAPED)
        ends, data = _copy_spans(self.data[path], self.start[path], self.end[path], present)
        valid = pa.array(present).buffers()[1] if not present.all() else None
        return pa.Array.from_buffers(pa.string(), len(kind), [valid, pa.py_buffer(ends), pa.py_buffer(data)])

    def add_column(self, path: Path, texts: pa.Array) -> Tokens:
        """These tokens and one text per document, null or as it is, that is read by `path` like a value."""
        data, offsets = read_text_buffers(texts)
        return replace(
            self,
            data={**self.data, path: data},
            kind={**self.kind, path: np.where(np.asarray(texts.is_valid()), STRING, NULL).astype(np.uint8)},
            start={**self.start, path: offsets[:-1]},
            end={**self.end, path: offsets[1:]},
        )


def scan_tokens(texts: pa.Array | pa.ChunkedArray, paths: Sequence[Path], shapes: Shapes | None = None) -> Tokens:
    """Scans `texts` (string column, null reads as broken) for `paths`, each a tuple of member names from the root.

    shapes: of texts scanned before for the same paths. They change how fast this is, and nothing else.
    """
    data, offsets = read_text_buffers(texts)
    found = Found.of(MemberTree.of(paths) if shapes is None else shapes.tree, len(offsets) - 1)
    if shapes is None:
        found.read(data, offsets[:-1], offsets[1:])
    else:
        found.read_by_shape(data, offsets, shapes)
    canonical = settle_fractions(data, offsets, found.verdicts)
    node = {path: found.tree.node[path] for path in paths}
    spans = ({path: table[at] for path, at in node.items()} for table in (found.kind, found.start, found.end))
    return Tokens(found.state, canonical, dict.fromkeys(paths, data), *spans)


def decode_string(body: bytes) -> str:
    """The text of a JSON string that stands between its quotes; an unpaired surrogate stays one."""
    text: str = json.loads(b'"' + body + b'"')
    return text


def has_unpaired_surrogate(text: str) -> bool:
    """Whether a text holds half a character, which UTF-8 cannot write."""
    return not text.isascii() and _SURROGATE.search(text) is not None


@compile_loop(type_tuple(type_array(types.int32), type_array(types.uint8))(BYTES, LONGS, LONGS, FLAGS))
def _copy_spans(data: Array, start: Array, end: Array, present: Array) -> tuple[Array, Array]:
    ends = np.zeros(len(start) + 1, np.int32)
    for row in range(len(start)):
        ends[row + 1] = ends[row] + (end[row] - start[row] if present[row] else 0)
    out = np.empty(ends[-1], np.uint8)
    for row in range(len(start)):
        if present[row]:
            out[ends[row] : ends[row + 1]] = data[start[row] : end[row]]
    return ends, out
