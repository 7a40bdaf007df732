"""Generated worlds: the whole pipeline equals the oracle, rows, counts and refusals."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from pyspark.sql import SparkSession

from ofs_spark.dataflow import Engine
from ofs_spark.io.local_engine import LocalEngine
from ofs_spark.io.spark_engine import SparkEngine
from tests.oracle.build import build as oracle
from tests.oracle.compare import differences
from tests.worlds.generate import worlds
from tests.worlds.model import World
from tests.worlds.running import run

QUIET = list(HealthCheck)


def agree(world: World, engine: Callable[[], Engine]) -> None:
    expected = oracle(world)
    with tempfile.TemporaryDirectory() as folder:
        found = run(world, Path(folder), engine=engine)
    if expected.refusal:
        assert found.code in expected.codes, str(found.refusal)
        return
    assert found.answer is not None, str(found.refusal)
    assert differences(found.rows, expected.rows) == []
    counts = found.answer["replay_counts"]
    assert {name: counts[name] for name in expected.counts} == expected.counts


@settings(max_examples=40, suppress_health_check=QUIET)
@given(worlds())
def test_generated_worlds(world: World) -> None:
    agree(world, LocalEngine)


@pytest.mark.nightly
@settings(max_examples=1_000, suppress_health_check=QUIET)
@given(worlds())
def test_many_generated_worlds(world: World) -> None:
    agree(world, LocalEngine)


def test_generated_worlds_on_spark(spark: SparkSession) -> None:
    @settings(max_examples=3, suppress_health_check=QUIET)
    @given(worlds())
    def check(world: World) -> None:
        agree(world, lambda: SparkEngine(spark))

    check()


@pytest.mark.nightly
def test_many_generated_worlds_on_spark(spark: SparkSession) -> None:
    @settings(max_examples=60, suppress_health_check=QUIET)
    @given(worlds())
    def check(world: World) -> None:
        agree(world, lambda: SparkEngine(spark))

    check()
