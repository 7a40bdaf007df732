"""What the features room asks of the outside: where a key's rows go once their features are computed, what travels with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

import pyarrow as pa

from ofs_spark.features.pieces import Pieces
from ofs_spark.foundation.columnar.arrays import Array
from ofs_spark.foundation.columnar.dataflow import Chunk
from ofs_spark.foundation.columnar.notes import Note


class Onward(Protocol):
    """Where the rows of one target go: to the next exchange, or into the dataset. It must be picklable."""

    takes_refused: ClassVar[bool]
    """Whether rows go on though a rule refused some: a later key may find more to refuse, a dataset must not have them."""

    def send(self, target: int, pieces: Pieces, /) -> Iterator[Chunk]:
        """Chunks and notes of target `target`, whose rows come in layout order with every feature of their key.

        Its pieces may raise in the middle, where a rule refuses rows that it does not take: nothing of the target counts.
        """
        ...


class Attachment(Protocol):
    """Rows of others that name events: attached where events are settled by id, and carried to `Onward`. It must be picklable."""

    kind: ClassVar[str]
    """Of the chunks that hold the rows; also the name of the column in which they travel."""

    def attach(
        self, rows: pa.Table | None, event_ids: pa.Array, ts: Array, anchors: Array, /
    ) -> tuple[pa.Array, Sequence[Note]]:
        """The column, one entry per event, and what the driver is told of the target's rows.

        rows: None where there are none. event_ids, ts: of the target's settled events, which may be none. anchors: the
        places of those that are rows of the dataset, ascending.
        """
        ...
