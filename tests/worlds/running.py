"""A world through the real pipeline: the published rows, or the refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from ofs_spark import pipeline
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.config import find_conf_root
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.worlds.model import World
from tests.worlds.writer import Layout, Written, write_world

SMALL = {"layout": {"rows_per_bucket": 3, "leaf_rows": 2}}
"""A policy under which a dozen rows already fill several buckets, and keys of three rows have leaves of their own."""


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

    @property
    def published(self) -> dict[str, Any]:
        """The answer of a build that must have succeeded."""
        assert self.answer is not None, str(self.refusal)
        return self.answer

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(self.document(self.published["manifest_ref"]))

    def document(self, ref: str) -> Any:
        return json.loads((self.root / ref).read_bytes())


def run(
    world: World,
    root: Path,
    layout: Layout = Layout(),  # noqa: B008  # frozen
    engine: Callable[[], Engine] = EmbeddedEngine,
    policy: Path | None = None,
) -> Outcome:
    return build(write_world(world, root, layout), engine, policy=policy)


def build(
    written: Written,
    engine: Callable[[], Engine] = EmbeddedEngine,
    intent: bytes | None = None,
    policy: Path | None = None,
) -> Outcome:
    with open_context(written.wiring, policy, lambda _room, _doing: None, engine) as context:
        try:
            answer = pipeline.build_dataset(intent or written.intent.read_bytes(), context)
        except Refusal as refusal:
            return Outcome(None, refusal, [], written.root)
    return Outcome(answer, None, rows_of(written.root / answer["table_ref"]), written.root)


def verify(written: Written, outcome: Outcome) -> list[dict[str, Any]]:
    """The checks of `ofs verify` that a published outcome fails."""
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        answer = pipeline.verify_dataset(outcome.published["manifest_ref"], context)
    return [check for check in answer["checks"] if not check["ok"]]


def rows_of(table: Path) -> list[dict[str, Any]]:
    """The rows of the table's files; times carry the same UTC object that the oracle's do."""
    rows = [row for file in sorted(table.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    return [{k: v.astimezone(UTC) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]


def manifests(root: Path) -> list[Path]:
    return sorted(root.glob("*/ofs/manifests/*.json"))


def policy_with(folder: Path, changes: Mapping[str, Mapping[str, Any]]) -> Path:
    """A copy of the checkout's policy with some keys changed: {file: {key: value}}."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("features", "labels", "launcher", "layout", "replay", "revision"):
        own = yaml.safe_load((find_conf_root() / "policy" / f"{name}.yaml").read_text(encoding="utf-8"))
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**own, **changes.get(name, {})}))
    return folder
