"""`ofs.build`: typed, once, in the session that is there; and a loaded dataset as that session reads it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import ofs_spark as ofs
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.worlds.running import SMALL, policy_with
from tests.worlds.sabotage import flip_byte
from tests.worlds.wide import WIDE, edit_document, list_tables, refusal
from tests.worlds.writer import Written, write_world


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No JVM, but where a test asks for one."""
    if "spark" not in request.fixturenames:
        monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())


@pytest.fixture
def new(tmp_path: Path) -> Written:
    """A world without a dataset."""
    return write_world(WIDE, tmp_path / "world")


def test_a_build_answers_typed_and_again_the_same(new: Written) -> None:
    first = ofs.build(new.intent, new.wiring)
    assert (first.outcome, first.rows, first.status) == ("COMMITTED", 8, "NON_TRAINING")
    assert first.timings["replay"] >= 0
    assert first.document["content_digest"] == first.content_digest
    document = json.loads(new.intent.read_bytes())
    again = ofs.build({**document, "request_id": "world.request.0002"}, str(new.wiring))
    assert (again.outcome, again.manifest_ref, dict(again.timings)) == ("ALREADY_PUBLISHED", first.manifest_ref, {})
    assert again.coverage == first.coverage
    with pytest.raises(AttributeError):
        first.rows = 7  # type: ignore[misc]  # it is frozen
    assert ofs.load(first.manifest_ref, new.wiring).arrow().num_rows == first.rows


def test_a_refused_build_says_what_can_be_typed(new: Written) -> None:
    edit_document(new.intent, lambda document: document.pop("label_basis"))
    refused = refusal(lambda: ofs.build(new.intent, new.wiring))
    assert refused.code == "LABEL_ASOF_MISSING"
    assert refused.next == f"ofs --wiring {new.wiring} validate {new.intent}"
    assert refused.do["file"] == str(new.intent)
    assert f"next: {refused.next}" in refused.__notes__
    of_document = refusal(lambda: ofs.build({"request_id": "x"}, new.wiring))
    assert (of_document.next, "file" in of_document.do) == ("", False)


def test_what_is_no_intent_at_all_is_said_by_python(new: Written, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ofs.build(tmp_path / "nowhere.json", new.wiring)
    with pytest.raises(ValueError, match="not JSON compliant"):
        ofs.build({"request_id": float("nan")}, new.wiring)
    with pytest.raises(TypeError):
        ofs.build({"request_id": object()}, new.wiring)
    (tmp_path / "large.json").write_bytes(b" " * (8 * 1024 * 1024 + 1))
    with pytest.raises(ValueError, match="are allowed"):
        ofs.build(tmp_path / "large.json", new.wiring)


def test_a_session_reads_the_same_rows_and_goes_on(spark: SparkSession, new: Written, tmp_path: Path) -> None:
    policy = policy_with(tmp_path / "policy", SMALL)
    answer = ofs.build(new.intent, new.wiring, policy)
    dataset = ofs.load(answer.dataset_manifest_id, new.wiring)
    frame = dataset.spark(spark)
    assert frame.columns == list(dataset.columns)
    assert find_rows(frame.toArrow().to_pylist()) == find_rows(dataset.arrow().to_pylist())
    assert frame.schema.json() == spark.read.format("delta").load(str(new.root / answer.table_ref)).schema.json()
    cut = dataset.arrow().column("ts_utc").sort().to_pylist()[3]
    for part in dataset.split(train_until=cut):
        assert find_rows(part.spark(spark).toArrow().to_pylist()) == find_rows(part.arrow().to_pylist())
    nothing = dataset.split(train_until=cut).between
    assert (nothing.spark(spark).count(), nothing.spark(spark).columns) == (0, list(dataset.columns))
    assert spark.range(3).count() == 3  # the build used this session, and left it
    flip_byte(list_tables(new)[0])
    with pytest.raises(Exception, match="MATERIALIZATION_CORRUPT"):
        frame.count()


def find_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows by event, with times of one zone."""
    same = [{n: v.astimezone(UTC) if isinstance(v, datetime) else v for n, v in row.items()} for row in rows]
    return sorted(same, key=lambda row: str(row["event_id"]))
