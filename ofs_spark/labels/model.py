"""Types of the labels room, and the names of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from ofs_spark.foundation.columnar.dataflow import CODED
from ofs_spark.pins.arrow_types import to_arrow_type
from ofs_spark.pins.columns import TIMESTAMP

SOURCE_TYPES = ("AUTO", "EXTERNAL", "HUMAN", "SYSTEM")

# Columns of an assertion table (see `ASSERTIONS`).
ASSERTION_ID = "assertion_id"
PLATFORM_RUN_ID = "platform_run_id"
EVENT_ID = "event_id"
LABEL_TYPE = "label_type"
LABEL_VALUE = "label_value"
EFFECTIVE = "effective"
OBSERVED = "observed"
COMMITTED = "committed"
IDENTITY = "identity"

ASSERTIONS = pa.schema(
    [
        pa.field(ASSERTION_ID, pa.binary(16), False),
        pa.field(PLATFORM_RUN_ID, CODED, False),
        pa.field(EVENT_ID, pa.string(), False),
        pa.field(LABEL_TYPE, CODED, False),
        pa.field(LABEL_VALUE, CODED, False),
        pa.field(EFFECTIVE, pa.int64(), False),
        pa.field(OBSERVED, pa.int64(), False),
        pa.field(COMMITTED, pa.int64(), False),
        pa.field(IDENTITY, pa.binary(32), False),
    ]
)
"""Checked assertions: ids as bytes, times int64 µs (UTC), `identity` the id's bytes and a hash of the whole row."""

OF_SUBJECT = (ASSERTION_ID, EVENT_ID, LABEL_TYPE, LABEL_VALUE, EFFECTIVE, OBSERVED, COMMITTED)
"""What the as-of choice needs of an assertion of the build's run."""

CHOICE = pa.struct(
    [
        ("value", CODED),
        ("status", CODED),
        ("effective_time", to_arrow_type(TIMESTAMP)),
        ("observed_time", to_arrow_type(TIMESTAMP)),
        ("assertion_id", pa.binary(16)),
    ]
)
"""What a subject's label of one type is, as it travels; all null but `status` unless RESOLVED."""


class Status(StrEnum):
    """Outcome of the as-of choice for one subject and label type."""

    RESOLVED = "RESOLVED"
    CONFLICT = "CONFLICT"
    NOT_FOUND = "NOT_FOUND"


def name_label_columns(label_type: str) -> tuple[str, str, str, str, str]:
    """Dataset columns of a label type, in the order of `CHOICE`'s fields."""
    name = f"label__{label_type}"
    return (name, f"{name}__status", f"{name}__effective_time", f"{name}__observed_time", f"{name}__assertion_id")


@dataclass(frozen=True)
class ExtractFile:
    """One Parquet file of an extract, as its manifest states it."""

    ref: str
    bytes: int
    sha256: str
    row_count: int


@dataclass(frozen=True)
class LabelExtract:
    """A checked label extract: the pinned state of the label store. `marker` None: the store gave none."""

    ref: str
    digest: str
    label_store_id: str
    marker: str | None
    committed_up_to_utc: str
    row_count: int
    files: tuple[ExtractFile, ...]
    origin: str | None = None

    @property
    def content_key(self) -> bytes:
        """16 bytes that nobody knows before the extract is fixed: the key of its assertions' content hashes."""
        return bytes.fromhex(self.digest)[:16]

    def to_document(self) -> dict[str, Any]:
        """As plans, receipts and manifests hold it."""
        named = ("ref", "digest", "label_store_id", "marker", "committed_up_to_utc", "row_count", "origin")
        return {**{name: getattr(self, name) for name in named}, "files": len(self.files)}
