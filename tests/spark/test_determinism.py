"""One plan, many circumstances, one digest; and what the published table looks like to others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from ofs_spark import pipeline
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import MEMORY, EmbeddedEngine
from ofs_spark.io.engines import WIDTH
from ofs_spark.io.spark_engine import SparkEngine
from tests.oracle.build import build as oracle
from tests.oracle.compare import differences
from tests.spec.tables.windows import world
from tests.worlds.exchanges import exchange_in_rows
from tests.worlds.model import World, label
from tests.worlds.running import build, run
from tests.worlds.transform import with_redeliveries
from tests.worlds.writer import Layout, Written, write_world

LINES = "\n".join(f"e{i}|{10 + i // 20}:{i * 3 % 60:02d}|{i % 7}|{i % 5}.{i % 100:02d}" for i in range(120))
VALUES = {"amount": {"path": "payload.amount", "type": "decimal(6,2)", "missing": "null"}}
FEATURES = [
    {"name": "count", "aggregate": "count"},
    {"name": "sum", "aggregate": "sum", "value": "amount"},
    {"name": "spread", "aggregate": "stddev_pop", "value": "amount"},
]
WORLD: World = world(f"event|time|card|amount\n{LINES}", values=VALUES, features=FEATURES)

CONFIGURATIONS: dict[str, tuple[Layout, dict[str, str], int, World]] = {
    "one_target": (Layout(), {}, 1, WORLD),
    "many_targets": (Layout(), {"spark.sql.shuffle.partitions": "13"}, 13, WORLD),
    "no_adaptive_execution": (Layout(), {"spark.sql.adaptive.enabled": "false"}, 8, WORLD),
    "other_time_zone": (Layout(), {"spark.sql.session.timeZone": "Asia/Kolkata"}, 8, WORLD),
    "small_segments": (Layout(rows_per_segment=7), {}, 8, WORLD),
    "shuffled_files": (Layout(rows_per_segment=31, shuffled=5), {}, 5, WORLD),
    "timestamps": (Layout(times="timestamp", seed_as_integer=True), {}, 8, WORLD),
    "small_batches": (Layout(), {"spark.sql.execution.arrow.maxRecordsPerBatch": "1"}, 8, WORLD),
    "redelivered_afterwards": (Layout(), {}, 8, with_redeliveries(WORLD)),
}


@pytest.fixture
def settings(spark: SparkSession) -> Iterator[dict[str, str]]:
    """Settings changed at run time, and changed back."""
    changed: dict[str, str] = {}
    before: dict[str, str] = {
        name: spark.conf.get(name) or "" for _, own, _, _ in CONFIGURATIONS.values() for name in own
    }
    yield changed
    for name, value in before.items():
        spark.conf.set(name, value)


def published(written: Written, engine: SparkEngine | EmbeddedEngine, width: int) -> str:
    text = written.wiring.read_text() + f"\nspark: {{{WIDTH}: '{width}'}}\n"
    written.wiring.write_text(text)
    with open_context(written.wiring, None, lambda _room, _doing: None, lambda: engine) as context:
        return str(pipeline.build_dataset(written.intent.read_bytes(), context)["content_digest"])


EMBEDDED: dict[str, tuple[int, int, int]] = {
    "without_a_jvm": (0, MEMORY, 3),
    "one_process": (1, MEMORY, 8),
    "two_processes": (2, MEMORY, 5),
    "chunks_on_disk": (3, 6_000, 13),
}
"""Of the embedded engine: processes, bytes of chunks in memory, width."""


def published_embedded(folder: Path, workers: int, memory: int, width: int) -> str:
    engine = EmbeddedEngine(workers, memory)
    try:
        return published(write_world(WORLD, folder), engine, width)
    finally:
        engine.stop()


def test_every_embedded_configuration_has_one_digest(tmp_path: Path) -> None:
    """What Spark's configurations give, without a JVM: the next test compares the two."""
    digests = {name: published_embedded(tmp_path / name, *stated) for name, stated in EMBEDDED.items()}
    assert len(set(digests.values())) == 1, digests


def test_every_configuration_has_one_digest(spark: SparkSession, settings: dict[str, str], tmp_path: Path) -> None:
    digests = {name: published_embedded(tmp_path / name, *stated) for name, stated in EMBEDDED.items()}
    for name, (layout, changes, width, made) in CONFIGURATIONS.items():
        for key, value in changes.items():
            spark.conf.set(key, value)
            settings[key] = value
        digests[name] = published(write_world(made, tmp_path / name, layout), SparkEngine(spark), width)
    with pytest.MonkeyPatch.context() as patch:
        exchange_in_rows(patch)
        digests["as_on_a_cluster"] = published(write_world(WORLD, tmp_path / "rows"), SparkEngine(spark), 5)
    assert len(set(digests.values())) == 1, digests


def test_the_table_reads_the_same_everywhere(spark: SparkSession, tmp_path: Path) -> None:
    outcome = run(WORLD, tmp_path, engine=lambda: SparkEngine(spark))
    assert outcome.answer is not None
    table = str(outcome.root / outcome.answer["table_ref"])
    expected = oracle(WORLD).rows
    assert differences(DeltaTable(table).to_pyarrow_table().to_pylist(), expected) == []
    assert differences(polars.read_delta(table).to_arrow().to_pylist(), expected) == []
    by_spark = spark.read.format("delta").load(table).select("event_id", "g__sum_1h", "_offset").toArrow().to_pylist()
    wanted = {(row["event_id"], row["g__sum_1h"], row["_offset"]) for row in expected}
    assert {tuple(row.values()) for row in by_spark} == wanted


def never() -> EmbeddedEngine:
    raise AssertionError("an engine was started")


def test_one_request_one_outcome_and_one_dataset_for_every_request(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    first = build(written)
    again = build(written, never)
    assert first.answer == again.answer
    other = written.intent.read_bytes().replace(b"world.request.0001", b"world.request.0002")
    second = build(written, never, other)
    assert second.answer is not None
    assert first.answer is not None
    assert second.answer["outcome"] == "ALREADY_PUBLISHED"
    assert second.answer["content_digest"] == first.answer["content_digest"]


def test_one_request_id_is_one_intent(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    build(written)
    other = build(written, never, written.intent.read_bytes().replace(b"local-parity-v0", b"local-parity-v1"))
    assert other.code == "REQUEST_ID_PAYLOAD_MISMATCH"


def test_a_training_request_is_never_answered_with_less(tmp_path: Path) -> None:
    """An exploratory dataset has the same identity as a training one; only its gates tell them apart."""
    labelled = [label(i, f"e{i}", "LEGIT_CONFIRMED", "2026-02-20T00:00:00Z") for i in range(60)]
    half = World(WORLD.segments, WORLD.intent, WORLD.profile, tuple(labelled))
    written = write_world(half, tmp_path)
    assert build(written).answer is not None
    document = written.intent.read_bytes().replace(b"world.request.0001", b"world.request.0009")
    training = document.replace(b'"non_training_allowed": true', b'"non_training_allowed": false')
    assert training != document
    outcome = build(written, never, training)
    assert isinstance(outcome.refusal, Refusal)
    assert outcome.code == "TRAINING_NOT_ADMISSIBLE"
