"""The examples, each as somebody runs it: in a process of its own, on the sample of `ofs init`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ofs_spark import pipeline
from ofs_spark.cli import main
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
WITHOUT_SPARK = """
import sys
from ofs_spark.cli import main
from ofs_spark.io import engines
from ofs_spark.io.embedded_engine import EmbeddedEngine
engines.Engines.find = lambda *_asked: EmbeddedEngine()
sys.exit(main())
"""
"""`ofs` on the in-memory twin."""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `ofs init`."""
    folder = tmp_path_factory.mktemp("examples") / "first"
    assert main(["--json", "--quiet", "init", str(folder)]) == 0
    return folder


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **environment}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, env=known)


def test_every_example_is_listed_and_run_by_a_test() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for path in EXAMPLES.glob("*.[ps][yh]"):
        assert f"]({path.name})" in page
        assert f'"{path.name}"' in tests, f"{path.name} is run by no test"


def test_two_files_become_a_dataset_in_two_commands_and_a_model_in_a_third(first: Path, tmp_path: Path) -> None:
    program = tmp_path / "ofs.py"
    program.write_text(WITHOUT_SPARK, encoding="utf-8")
    sample = first / "sample"
    files = (sample / "payments.csv", sample / "verdicts.csv")
    done = run("bash", EXAMPLES / "own_data.sh", tmp_path / "mine", *files, OFS=f"{sys.executable} {program}")
    assert done.returncode == 0, done.stderr
    (manifest,) = (tmp_path / "mine").glob("*/ofs/manifests/dm_*[0-9a-f].json")
    with open_context(tmp_path / "mine" / "wiring.yaml", None, lambda *_: None, EmbeddedEngine) as context:
        assert pipeline.verify_dataset(str(manifest.relative_to(tmp_path / "mine")), context)["verified"]
    when = ("--train-until", "2025-12-25T00:00:00Z", "--gap", "3d")
    wiring = ("--wiring", tmp_path / "mine" / "wiring.yaml")
    trained = run(sys.executable, EXAMPLES / "train_baseline.py", manifest.stem, *wiring, *when)
    assert trained.returncode == 0, trained.stderr
    assert "AUC 0." in trained.stdout


def test_fraud_by_week_counts_what_was_known_in_time(first: Path) -> None:
    with open_context(first / "wiring.yaml", None, lambda *_: None, EmbeddedEngine) as context:
        built = pipeline.build_dataset((first / "intent.json").read_bytes(), context)
    done = run(sys.executable, EXAMPLES / "fraud_by_week.py", built["manifest_ref"], "--wiring", first / "wiring.yaml")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert sum(int(row[1]) for row in rows) == built["rows"]
    shares = [float(row[3]) for row in rows if row[3] != "NaN"]
    assert all(0 <= share <= 1 for share in shares)
    assert min(shares) < 1, "in no week was some fraud found out later"
