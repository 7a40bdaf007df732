"""One Delta commit of exactly the files that workers wrote: version 0 of a table no other attempt uses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deltalake import CommitProperties, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions

from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.refs import name_table_commit
from ofs_spark.pins.columns import Column
from ofs_spark.publish.delta_log import CONFIGURATION, describe_schema, describe_statistics
from ofs_spark.publish.model import FileEntry


@dataclass(frozen=True)
class DeltaTables:
    """Commits Delta tables. `storage_options` are those of delta-rs (none for a local folder)."""

    storage_options: Mapping[str, str] = field(default_factory=dict)

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
        """Version 0 of the table at `location` (full address): these files, append-only, reader 1 / writer 2.

        `metadata` goes into the commit's own record. MATERIALIZATION_CORRUPT if the location already has a log: an
        attempt's folder is its own.
        """
        ordered = sorted(files, key=lambda f: f.name)
        adds = [
            AddAction(f.name, f.bytes, {}, committed_ms, True, json.dumps(describe_statistics(f, columns)))
            for f in ordered
        ]
        try:
            create_table_with_add_actions(
                location,
                Schema.from_json(json.dumps(describe_schema(columns))),
                adds,
                mode="error",
                name=name,
                description=description,
                configuration=dict(CONFIGURATION),
                storage_options=dict(self.storage_options),
                commit_properties=CommitProperties(custom_metadata=dict(metadata)),
            )
        except DeltaError as refused:
            message = f"Delta refused to create a table: {refused}; the folder of a new attempt holds none"
            raise refuse("MATERIALIZATION_CORRUPT", message, ref=name_table_commit(location, 0)) from refused
