"""What the publish room asks of the outside: a table format over files that workers wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ofs_spark.pins.columns import Column
from ofs_spark.publish.model import FileEntry


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
        """Version 0 of the table at `location` (full address): exactly these files, append-only.

        `metadata` goes into the commit's own record; `committed_ms` is the time that it states of its files.

        MATERIALIZATION_CORRUPT if a table stands there, or these files are refused as one: a standing table is never
        changed. OSError if the store did not answer: version 0 may stand or not. An attempt's folder is its own and
        counts only once a manifest names it, so the attempt is given up and another one starts in a new folder; a call
        is not repeated.
        """
        ...
