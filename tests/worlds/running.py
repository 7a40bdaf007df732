"""A world through the real pipeline: the published rows, or the refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ofs_spark import pipeline
from ofs_spark.dataflow import Engine
from ofs_spark.errors import Refusal
from ofs_spark.io.local_engine import LocalEngine
from ofs_spark.io.plane import opened
from tests.worlds.model import World
from tests.worlds.writer import Layout, Written, write_world


@dataclass(frozen=True)
class Outcome:
    """What `ofs build` said, and the dataset's rows in the table's files."""

    answer: dict[str, Any] | None
    refusal: Refusal | None
    rows: list[dict[str, Any]]
    root: Path

    @property
    def code(self) -> str | None:
        return self.refusal.code if self.refusal else None


def run(world: World, root: Path, layout: Layout = Layout(), engine: Callable[[], Engine] = LocalEngine) -> Outcome:  # noqa: B008  # frozen
    return build(write_world(world, root, layout), engine)


def build(written: Written, engine: Callable[[], Engine] = LocalEngine, intent: bytes | None = None) -> Outcome:
    with opened(written.wiring, None, lambda _room, _doing: None, engine) as plane:
        try:
            answer = pipeline.build(intent or written.intent.read_bytes(), plane)
        except Refusal as refusal:
            return Outcome(None, refusal, [], written.root)
    return Outcome(answer, None, rows_of(written.root / answer["table_ref"]), written.root)


def rows_of(table: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(table.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def manifests(root: Path) -> list[Path]:
    return sorted(root.glob("*/ofs/manifests/*.json"))
