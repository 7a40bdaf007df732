"""The declared members of an envelope as a tree in arrays, which the compiled scan walks along with the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ofs_spark.foundation.columnar.arrays import Array

Path = tuple[str, ...]
"""Names of members, from the document down."""


@dataclass(frozen=True)
class MemberTree:
    """Declared member names as a tree in arrays: node 0 is the document; a node's children are consecutive."""

    node: dict[Path, int]
    first_child: Array
    child_count: Array
    name_start: Array
    name_end: Array
    names: Array
    heads: Array

    @classmethod
    def of(cls, paths: Sequence[Path]) -> MemberTree:
        """The tree of these paths and all that leads to them."""
        prefixes = {()} | {path[:depth] for path in paths for depth in range(1, len(path) + 1)}
        ordered = sorted(prefixes, key=lambda path: (len(path), path))
        node = {path: index for index, path in enumerate(ordered)}
        children = [[node[p] for p in ordered if p and p[:-1] == path] for path in ordered]
        encoded = [path[-1].encode() if path else b"" for path in ordered]
        ends = np.cumsum([len(name) for name in encoded])
        return cls(
            node,
            np.array([c[0] if c else 0 for c in children], np.int64),
            np.array([len(c) for c in children], np.int64),
            ends - [len(name) for name in encoded],
            ends,
            np.frombuffer(b"".join(encoded) or b"\0", np.uint8),
            np.array([int.from_bytes(name[:8].ljust(8, b"\0"), "big") for name in encoded], np.uint64),
        )

    def to_arrays(self) -> tuple[Array, Array, Array, Array, Array, Array]:
        """What the compiled scan reads of it."""
        return self.first_child, self.child_count, self.name_start, self.name_end, self.names, self.heads
