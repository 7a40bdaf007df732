"""Generated worlds: the whole pipeline equals the oracle, rows, counts, label ratios and refusals."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from pyspark.sql import SparkSession

from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.spark_engine import SparkEngine
from ofs_spark.workflow.unseen_fields import MOST_TOLD
from tests.invariants import find_violations
from tests.oracle.build import Dataset
from tests.oracle.build import build as oracle
from tests.oracle.compare import differences
from tests.oracle.conditions import parts_of
from tests.oracle.envelopes import Names
from tests.oracle.unseen import unseen_fields
from tests.worlds.generate import worlds
from tests.worlds.model import World
from tests.worlds.running import SMALL, Outcome, build, manifests, policy_with, verify
from tests.worlds.writer import write_world

QUIET = list(HealthCheck)


def agree(world: World, engine: Callable[[], Engine], small: bool = False) -> None:
    """One build equals the oracle's, and verifies; `small`: over many buckets and leaves instead of one."""
    expected = oracle(world)
    with tempfile.TemporaryDirectory() as folder:
        policy = policy_with(Path(folder, "policy"), SMALL) if small else None
        written = write_world(world, Path(folder))
        found = build(written, engine, policy=policy)
        assert find_violations(found.root, Path(folder, "ledger.sqlite")) == []
        if expected.refusal:
            assert found.code in expected.codes, str(found.refusal)
            assert not manifests(found.root)
        else:
            equal(found, expected)
            if not expected.counts["conflicts"] and not expected.counts["invalid"]:
                tell_unseen(found, unseen_fields(world))
            assert verify(written, found) == []


def equal(found: Outcome, expected: Dataset) -> None:
    assert found.published["rows"] == len(expected.rows)
    assert differences(found.rows, expected.rows) == []
    manifest = found.manifest
    counts, labels = manifest["replay"]["counts"], manifest["labels"]["coverage"]
    assert {name: counts[name] for name in expected.counts} == expected.counts
    assert {of: one["ratios"] for of, one in labels.items()} == {
        of: {name: float(round(ratio, 6)) for name, ratio in ratios.items()} for of, ratios in expected.coverage.items()
    }
    truncated = {column["name"]: column["truncated_rows"] for column in manifest["columns"]}
    assert {name: truncated[name] for name in expected.truncated} == expected.truncated
    assert not (manifest["status"] == "TRAINING_READY" and not expected.training_ready)


def tell_unseen(found: Outcome, expected: set[Names]) -> None:
    """Every field that no event has is named, as many as a manifest names, and no other."""
    told = [tuple(parts_of(one["path"])) for one in found.manifest["replay"].get("unseen_fields", [])]
    assert set(told) <= expected
    assert len(told) == len(set(told)) == min(len(expected), MOST_TOLD)
    assert len(found.published["warnings"]) - len(found.manifest["differences"]) == len(told)


@settings(max_examples=40, suppress_health_check=QUIET)
@given(worlds())
def test_generated_worlds(world: World) -> None:
    agree(world, EmbeddedEngine)


@settings(max_examples=20, suppress_health_check=QUIET)
@given(worlds())
def test_generated_worlds_in_small_buckets(world: World) -> None:
    agree(world, EmbeddedEngine, small=True)


@pytest.mark.nightly
@pytest.mark.parametrize("small", [False, True], ids=["one_bucket", "small_buckets"])
def test_many_generated_worlds(small: bool) -> None:
    @settings(max_examples=1_000, suppress_health_check=QUIET)
    @given(worlds())
    def check(world: World) -> None:
        agree(world, EmbeddedEngine, small)

    check()


def test_generated_worlds_on_spark(spark: SparkSession) -> None:
    @settings(max_examples=3, suppress_health_check=QUIET)
    @given(worlds())
    def check(world: World) -> None:
        agree(world, lambda: SparkEngine(spark), small=True)

    check()


@pytest.mark.nightly
def test_many_generated_worlds_on_spark(spark: SparkSession) -> None:
    @settings(max_examples=200, suppress_health_check=QUIET)
    @given(worlds())
    def check(world: World) -> None:
        agree(world, lambda: SparkEngine(spark))

    check()
