"""Parquet files judged by their footers, before anything reads a row of them.

A footer only casts doubt: one of other bytes than the document that names the file states would be told as a wrong
schema. What is told is told by the reader's own proof of a file in doubt, which reads the whole file, its sha256 first.

Bounds of one call: MOST_FOOTERS files are looked at, spread evenly over all, a footer of more than MOST_FOOTER_BYTES is
not read, and proofs read MOST_PROVEN_BYTES together. What lies beyond them, and a file of which the store said nothing,
is left to whoever reads the rows, and who asks all of this again. Price: about a second for 1,000 good files, five for
all that are looked at (benchmarks/footers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.collect import Collector, keep_first
from ofs_spark.foundation.columnar.stored_columns import measure_footer, open_footer
from ofs_spark.foundation.documents import MOST_LISTED
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import ObjectMissing, Objects

F = TypeVar("F")

MOST_FOOTERS = 4_096
MOST_FOOTER_BYTES = 1024**2
MOST_PROVEN_BYTES = 1024**3
_FIRST_BYTES = 65_536
"""Of a file's end, read at once: most footers are in it."""
_LOOKS_AT_ONCE = 16


@dataclass(frozen=True)
class FooterRule(Generic[F]):
    """How a room judges the files that one of its documents names.

    locate: (ref, stated bytes) of a file. judge: raises the refusal of a file of which only the footer is there. prove:
    raises the refusal that whoever reads the file would raise, of its bytes or of its footer.
    """

    locate: Callable[[F], tuple[str, int]]
    judge: Callable[[pq.ParquetFile, F], object]
    prove: Callable[[F], object]


def find_footer_faults(objects: Objects, files: Sequence[F], rule: FooterRule[F]) -> list[Refusal]:
    """What the footers of the files show and their bytes prove, in the order of telling; at most MOST_LISTED refusals."""
    looked, found, left = _spread(files, MOST_FOOTERS), Collector(), MOST_PROVEN_BYTES
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        costs = list(pool.map(partial(_cast_doubt, objects, rule), looked))
    for file, cost in zip(looked, costs, strict=True):
        if cost is not None and cost <= left:
            left -= cost
            with suppress(OSError):
                found.attempt(partial(rule.prove, file))
    return keep_first(found.refusals, MOST_LISTED)


def _spread(files: Sequence[F], most: int) -> Sequence[F]:
    """At most `most` of the files, evenly: a writer that changed its schema at some time is met wherever that was."""
    return files if len(files) <= most else [files[place * len(files) // most] for place in range(most)]


def _cast_doubt(objects: Objects, rule: FooterRule[F], file: F) -> int | None:
    """How many bytes the proof of a file in doubt reads; None where nothing is wrong with it, or nothing can be said."""
    ref, stated = rule.locate(file)
    try:
        tail = objects.read_tail(ref, _FIRST_BYTES)
        if tail.size != stated:
            return tail.size if tail.size < stated else 0  # a longer one is not read
        length = measure_footer(tail.body)
        if len(tail.body) < length <= min(tail.size, MOST_FOOTER_BYTES):
            tail = objects.read_tail(ref, length)
    except (Refusal, ObjectMissing):
        return 0
    except OSError:
        return None
    if length > len(tail.body):
        return tail.size if length > tail.size else None
    try:
        rule.judge(open_footer(tail.body), file)
    except (Refusal, pa.ArrowException, OSError):
        return tail.size
    return None
