"""What the features room asks of the outside: somewhere for a key's rows to go once their features are computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

from ofs_spark.features.group_rows import KeyedTable
from ofs_spark.foundation.columnar.dataflow import Chunk


class Onward(Protocol):
    """Where the rows of one target go: to the next exchange, or into the dataset. It must be picklable."""

    takes_refused: ClassVar[bool]
    """Whether rows go on though a rule refused some: a later key may find more to refuse, a dataset must not have them."""

    def send(self, target: int, keyed: KeyedTable, /) -> Iterator[Chunk]:
        """Chunks and notes of target `target`, whose rows are in layout order with every feature of its key."""
        ...
