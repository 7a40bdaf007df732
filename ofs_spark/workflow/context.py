"""Everything a path needs of the outside, in one value: made by `io/plane.py`, given to `pipeline.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ofs_spark.foundation.clock import Clock
from ofs_spark.foundation.config import Policy, Wiring
from ofs_spark.foundation.objects import Objects
from ofs_spark.intent.control import RunControl

if TYPE_CHECKING:  # these load Arrow and NumPy, which an answer from the ledger or a manifest does without
    from ofs_spark.foundation.columnar.dataflow import Engine
    from ofs_spark.pins.columns import Column
    from ofs_spark.publish.model import FileEntry

Announce = Callable[[str, str], None]
"""Told (room, what it does now)."""


class Tables(Protocol):
    """Commits Delta tables of files that already stand."""

    def create(
        self,
        location: str,
        columns: Sequence[Column],
        files: Sequence[FileEntry],
        name: str,
        description: str,
        metadata: Mapping[str, str],
        committed_ms: int,
    ) -> None:
        """Version 0 of the table at `location`: exactly these files. MATERIALIZATION_CORRUPT if a table stands there."""
        ...


@dataclass(frozen=True)
class RunContext:
    """Ports and settings of one process. `engine` starts Spark when first called, and only then."""

    wiring: Wiring
    policy: Policy
    release: str
    objects: Objects
    profiles: Objects
    control: RunControl
    tables: Tables
    clock: Clock
    engine: Callable[[], Engine]
    environment: Callable[[], Mapping[str, str]]
    announce: Announce
    width: int
    """Targets of an exchange whose width does not change the dataset."""
