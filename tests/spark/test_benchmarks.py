"""Every contender of the benchmarks still does its job: on a small world, cell by cell beside OFS' own table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyarrow.dataset import dataset
from pyspark.sql import SparkSession

from benchmarks import cells, chart, compare, worlds
from benchmarks.contenders import alone, floor, naive, ofs
from benchmarks.contenders.job import Job
from benchmarks.report import ROOT
from ofs_spark.io.spark_engine import SparkEngine

EVENTS = 4_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """Dense keys."""
    return worlds.write_world("dense", EVENTS, tmp_path_factory.mktemp("worlds"))


@pytest.fixture(scope="module")
def built(world: worlds.World) -> dict[str, Path]:
    """A build's table of two keys without Spark: as observed, and with hindsight."""
    job = Job(world, "two", Path())
    with_hindsight = {"as_observed": alone.run_embedded(job), "event_time": alone.run_embedded(job, "event_time")}
    return {knowledge: Path(answer["table"]) for knowledge, answer in with_hindsight.items()}


def compare_with(built: dict[str, Path], table: Path) -> dict[str, Any]:
    return cells.compare_cells(built["as_observed"], built["event_time"], table)


def test_the_build_on_spark_has_the_same_cells(
    spark: SparkSession, world: worlds.World, built: dict[str, Path]
) -> None:
    answer = ofs.run(lambda: SparkEngine(spark), Job(world, "two", Path()))
    found = compare_with(built, Path(answer["table"]))
    columns = [name for name in Job(world, "two", Path()).columns if name != "event_id"]
    rows = {"rows": answer["rows"], "rows_of_peer": answer["rows"], "missing": 0}
    assert found == {**rows, "columns": columns, "differing": {}}


def test_the_floor_writes_as_many_columns(spark: SparkSession, world: worlds.World, tmp_path: Path) -> None:
    job = Job(world, "two", tmp_path / "table")
    written = dataset(list(map(str, floor.run(spark, job).glob("*.parquet"))), format="parquet")
    assert written.schema.names == job.columns
    assert written.count_rows() > EVENTS  # redeliveries too


@pytest.mark.parametrize("name", ["naive", "duckdb", "polars"])
def test_a_peer_differs_where_it_is_said_to(
    name: str, request: pytest.FixtureRequest, world: worlds.World, built: dict[str, Path], tmp_path: Path
) -> None:
    job = Job(world, "two", tmp_path / "table")
    run: dict[str, Callable[[], Any]] = {
        "naive": lambda: naive.run(request.getfixturevalue("spark"), job),
        "duckdb": lambda: alone.run_duckdb(job),
        "polars": lambda: alone.run_polars(job),
    }
    run[name]()
    found = compare_with(built, job.table)
    assert found["rows"] == found["rows_of_peer"]
    assert found["missing"] == 0
    differing = found["differing"]
    # which copy `dropDuplicates` keeps is Spark's choice
    assert {column for column, own in differing.items() if own["other"]} <= ({"_offset"} if name == "naive" else set())
    assert differing["customer__count_7d"]["hindsight"] > 0  # what was delivered late is counted
    assert differing["label__fraud_disposition"]["conflict"] > 0
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet('{job.table}/*.parquet')").fetchall()
    assert [column for column, *_ in described] == job.columns


COMPARE = """
import json, sys
from pathlib import Path
from benchmarks import compare
one = compare.Comparison("dense", 4_000, "two", compare.NAMES, 1)
document = compare.compare([one], Path(sys.argv[1]), 2_000)
Path(sys.argv[1], "document.json").write_text(json.dumps(document))
"""


@pytest.mark.nightly
def test_all_contenders_run_side_by_side_and_are_drawn(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", COMPARE, str(tmp_path)], check=True, cwd=ROOT)
    document = json.loads((tmp_path / "document.json").read_bytes())
    (result,) = document["results"]
    assert set(result["summary"]) == set(compare.NAMES)
    assert result["summary"]["ofs_spark"]["cpu_over_ofs"] == 1
    assert result["cells"]["ofs_embedded"]["differing"] == {}
    assert "exact: no cell differs" in chart.write_page(document, "document.json")
    assert chart.draw(document).count("<rect") == 1 + 2 + 2 * len(compare.NAMES)
