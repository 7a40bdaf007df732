"""What docs/benchmarks.md and its chart say is what the newest results say."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import chart
from benchmarks.report import find_newest


def test_page_and_chart_are_those_of_the_newest_results() -> None:
    page, drawn = chart.render(find_newest("build"), find_newest("nightly"))
    assert chart.PAGE.read_text(encoding="utf-8") == page, "run python -m benchmarks.chart"
    assert chart.CHART.read_text(encoding="utf-8") == drawn, "run python -m benchmarks.chart"


def test_a_longer_bar_is_a_longer_time() -> None:
    document = json.loads(find_newest("build").read_bytes())
    result = document["results"][0]
    drawn = chart.draw({**document, "results": [result]})
    lengths = [float(width) for width in re.findall(rf'<rect x="{chart.LEFT}" y="\d+" width="([\d.]+)"', drawn)]
    seconds = [own[figure] for own in result["summary"].values() for figure in chart.COLOURS]
    bars = lengths[-len(seconds) :]
    assert [length for _, length in sorted(zip(seconds, bars, strict=True))] == sorted(bars)
    assert max(bars) > 2 * min(bars)


@pytest.mark.parametrize(
    ("differing", "told"),
    [
        ({}, "exact: no cell differs"),
        ({"a": {"rounding": 300, "hindsight": 5, "other": 0}}, "rounding 15.0%, hindsight 0.2%"),
        ({"a": {"conflict": 1}, "b": {"conflict": 0}}, "conflict 1 cell"),
    ],
)
def test_cells_that_differ_are_told_by_reason(differing: dict[str, dict[str, int]], told: str) -> None:
    found = {"rows": 1000, "rows_of_peer": 1000, "missing": 0, "columns": ["a", "b"], "differing": differing}
    assert chart.tell_cells("duckdb", {"duckdb": found}) == told
    assert chart.tell_cells("duckdb", {"duckdb": {**found, "missing": 2}}).endswith("2 rows missing, 1,000 written")


def test_who_was_not_compared_is_not_called_exact() -> None:
    assert chart.tell_cells("polars", {}) == "not compared"


def test_a_contender_that_ended_is_told_in_its_place() -> None:
    own = {"wall_s": 1.25, "cpu_s": 2.0}
    told = {"shape": "hot20", "events": 20_000_000, "keys": "two", "runs": {"ofs_spark": [own], "duckdb": []}}
    machine = dict.fromkeys(("cpus", "memory_gib", "spark", "duckdb", "polars", "pyarrow"), 2)
    result = {**told, "summary": {"ofs_spark": own}, "ended": {"duckdb": "its process ended with -9"}}
    drawn = chart.write_shapes({"machine": machine, "results": [result]}, "x.json").splitlines()
    assert drawn[-3:] == [
        "| wall s / CPU s | OFS on Spark | DuckDB |",
        "|---|---|---|",
        "| hot20, 20,000,000 events, two keys | 1.2 / 2.0 | its process ended with -9 |",
    ]
