"""A run of benchmarks that takes hours: what ends in it takes nothing else with it, and what was measured is kept."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare
from benchmarks.contenders.job import Job
from benchmarks.worlds import World


def measure(job: Job) -> compare.Run:
    job.table.mkdir()
    return {"wall_s": 2.0, "cpu_s": 3.0, "peak_mib": 100.0, "answer": {"table": str(job.table)}}


def die(job: Job) -> compare.Run:
    """As a process for which there was too little memory."""
    job.table.mkdir()
    command = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    subprocess.run(command, check=True)
    raise AssertionError


def write(shape: str, events: int, folder: Path) -> World:
    root = folder / f"{shape}-{events}"
    (root / "objects").mkdir(parents=True)
    (root / "about.json").write_text(f'{{"shape": "{shape}", "events": {events}}}')
    return World(root)


@pytest.fixture
def contenders(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs, in place of the real ones."""
    named: dict[str, Any] = {"ofs_spark": measure, "duckdb": die, "polars": measure}
    monkeypatch.setattr(compare, "write_world", write)
    monkeypatch.setattr(compare, "open_contenders", lambda _warm_up: nullcontext(named))


def ask(shape: str) -> compare.Comparison:
    return compare.Comparison(shape, 1_000, "one", ("ofs_spark", "duckdb", "polars"), 2, compares=False)


@pytest.mark.usefixtures("contenders")
def test_a_contender_that_ends_is_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (result,) = compare.compare([ask("dense")], tmp_path, 10)["results"]
    assert {name: len(runs) for name, runs in result["runs"].items()} == {"ofs_spark": 2, "duckdb": 0, "polars": 2}
    assert set(result["summary"]) == {"ofs_spark", "polars"}
    assert result["ended"] == {"duckdb": "its process ended with -9"}
    assert capsys.readouterr().out.count("duckdb: its process ended with -9") == 1
    assert not (tmp_path / "table").exists()


@pytest.mark.usefixtures("contenders")
def test_what_was_measured_before_a_run_was_stopped_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[list[str]] = []

    def stop(shape: str, events: int, folder: Path) -> World:
        if shape == "dense":
            raise KeyboardInterrupt
        return write(shape, events, folder)

    monkeypatch.setattr(compare, "write_world", stop)
    with pytest.raises(KeyboardInterrupt):
        compare.compare(
            [ask("hot20"), ask("dense")],
            tmp_path,
            10,
            lambda document: kept.append([one["shape"] for one in document["results"]]),
        )
    assert kept == [["hot20"]]
