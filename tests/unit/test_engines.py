"""Which engine a wiring gets: by what it says, by where it runs, by how much there is to do; told, and never guessed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml

from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.wiring import find_wiring_faults, read_wiring
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine, count_workers
from ofs_spark.io.engines import FEWEST_OFFSETS, MOST_OFFSETS, choose_engine

ROOT = Path(__file__).resolve().parents[2]


def wired(folder: Path, **stated: object) -> Path:
    (folder / "objects").mkdir(exist_ok=True)
    document = {
        "objects": {"root": "objects"},
        "ledger": {"dsn": "sqlite:///ledger.sqlite"},
        "profiles": {"root": "profiles"},
        "labels": {"kind": "extract", "ref": "x/label_extract.json"},
        **stated,
    }
    (folder / "wiring.yaml").write_text(yaml.safe_dump(document))
    return folder / "wiring.yaml"


def choose(
    folder: Path,
    stated: Mapping[str, object] = MappingProxyType({}),
    offsets: int = 1,
    environment: Mapping[str, str] = MappingProxyType({}),
    *,
    is_running: bool = False,
) -> tuple[str, str]:
    return choose_engine(read_wiring(wired(folder, **stated)), offsets, environment, is_running=is_running)


SUBMITTED = {"PYSPARK_GATEWAY_PORT": "1"}
CLUSTER = {"spark.master": "spark://host:7077"}


@pytest.mark.parametrize(
    ("stated", "offsets", "environment", "engine", "why"),
    [
        ({}, 0, {}, "embedded", "0 offsets, fewer than 10,000,000"),
        ({"engine": "auto"}, 1, {}, "embedded", "1 offset, fewer than 10,000,000"),
        ({}, MOST_OFFSETS - 1, {}, "embedded", "9,999,999 offsets, fewer than 10,000,000"),
        ({}, MOST_OFFSETS, {}, "spark", "10,000,000 offsets, 10,000,000 or more"),
        ({"spark": {"spark.master": "local[1]"}}, 1, {}, "embedded", "1 offset, fewer than 10,000,000"),
        ({"spark": CLUSTER}, 1, {}, "spark", "the wiring names a cluster"),
        ({"kind": "dev"}, 1, {}, "spark", "the wiring is dev"),
        ({"kind": "prod"}, 1, {}, "spark", "the wiring is prod"),
        ({"kind": "prod", "engine": "embedded"}, MOST_OFFSETS, {}, "embedded", "the wiring says so"),
        ({"engine": "spark"}, 1, {}, "spark", "the wiring says so"),
        ({"engine": "embedded"}, 10 * MOST_OFFSETS, {}, "embedded", "the wiring says so"),
        ({}, 1, SUBMITTED, "spark", "this job was submitted to it"),
        ({"engine": "embedded"}, 1, SUBMITTED, "spark", "this job was submitted to it"),
    ],
)
def test_an_engine_is_chosen_and_the_reason_told(
    stated: dict[str, object], offsets: int, environment: dict[str, str], engine: str, why: str, tmp_path: Path
) -> None:
    assert choose(tmp_path, stated, offsets, environment) == (engine, why)


def test_a_session_that_runs_is_used(tmp_path: Path) -> None:
    assert choose(tmp_path, is_running=True) == ("spark", "a session runs in this process")


def test_other_machines_have_spark_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert choose(tmp_path) == ("spark", "the embedded engine needs Linux")
    with pytest.raises(Refusal, match="needs Linux") as refused:
        choose(tmp_path, {"engine": "embedded"})
    assert (refused.value.code, refused.value.details) == ("ENVIRONMENT_UNFIT", {"pointer": "/engine"})


@pytest.mark.parametrize("stated", ["Spark", "local", 1, None, ["spark"]])
def test_an_engine_that_is_none_is_a_fault_of_the_wiring(stated: object, tmp_path: Path) -> None:
    document = yaml.safe_load(wired(tmp_path, engine=stated).read_text())
    assert [fault.pointer for fault in find_wiring_faults(document)] == ["/engine"]


def test_one_engine_is_told_once_and_has_processes_where_there_is_enough_to_do(tmp_path: Path) -> None:
    told: list[str] = []
    with open_context(wired(tmp_path), None, lambda _room, doing: told.append(doing)) as context:
        assert "engine" not in context.environment()
        small = context.engine(FEWEST_OFFSETS - 1, "")
        assert isinstance(small, EmbeddedEngine)
        assert small.workers == 0
        assert context.engine(1, "") is small
        assert context.environment()["engine"] == "embedded"
        assert told == ["embedded, in this process: 49,999 offsets, fewer than 10,000,000"]
        large = context.engine(FEWEST_OFFSETS, "")
        assert isinstance(large, EmbeddedEngine)
        assert large.workers == count_workers()
        assert context.engine(1, "") is large
    processes = "1 process" if large.workers == 1 else f"{large.workers} processes"
    assert told[1:] == [f"embedded, {processes}: 50,000 offsets, fewer than 10,000,000"]


NO_SPARK = """
import sys
from ofs_spark.cli import main
status = main(sys.argv[1:])
sys.exit(status if not any(one.partition(".")[0] in ("pyspark", "py4j") for one in sys.modules) else 99)
"""


def test_an_embedded_build_needs_no_java_and_loads_no_spark(tmp_path: Path) -> None:
    """The whole command, where there is no Java, and in the wiring that `ofs init` writes."""
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    environment |= {"PYTHONPATH": str(ROOT), "PATH": str(tmp_path)}

    def ofs(*arguments: str) -> dict[str, object]:
        command = [sys.executable, "-c", NO_SPARK, "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    ofs("init", "first")
    built = ofs("--wiring", "first/wiring.yaml", "build", "first/intent.json")
    verified = ofs("--wiring", "first/wiring.yaml", "verify", str(built["manifest_ref"]))
    assert (built["outcome"], verified["verified"]) == ("COMMITTED", True)
    manifest = json.loads((tmp_path / "first" / str(built["manifest_ref"])).read_bytes())
    assert manifest["build_environment"]["engine"] == "embedded"
    assert not {"spark", "scala", "java"} & set(manifest["build_environment"])
