"""A range of the basis, as those know it who read no offsets any more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BasisSlice:
    """One range of the basis as order numbers: its ordinal, its partition ordinal, the first and last `seq` it may hold."""

    ordinal: int
    partition_ordinal: int
    first_seq: int
    last_seq: int
