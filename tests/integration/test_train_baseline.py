"""`examples/train_baseline.py`: from a published dataset to a figure, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ofs_spark import pipeline
from ofs_spark.demo.command import _prepare_world
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "train_baseline.py"
PAYMENTS = 8_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The wiring and the manifest of a small demo world's dataset."""
    world = _prepare_world(tmp_path_factory.mktemp("demo") / "world", 20260210, PAYMENTS, lambda _room, _doing: None)
    with open_context(world.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        return world.wiring, pipeline.build_dataset(world.training.read_bytes(), context)["manifest_ref"]


def run_example(*arguments: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(EXAMPLE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=known)


def test_a_baseline_is_trained_and_is_better_than_none(demo: tuple[Path, str]) -> None:
    wiring, manifest = demo
    done = run_example(manifest, "--wiring", str(wiring), "--train-until", "2026-01-08T00:00:00Z", "--gap", "7d")
    assert done.returncode == 0, done.stderr
    assert "rows left out: the label fraud_disposition is unresolved" in done.stderr
    auc = float(re.findall(r"AUC (\S+)", done.stdout)[0])
    precision, base = re.findall(r"average precision (\S+), where a model that knows nothing has (\S+)", done.stdout)[0]
    assert auc > 0.7, done.stdout
    assert float(precision) > 2 * float(base), done.stdout


def test_the_example_is_short() -> None:
    """What stands between the manifest and the trained model: five statements."""
    source = EXAMPLE.read_text(encoding="utf-8")
    body = source[source.index("dataset = ofs.load") : source.index("scores =")]
    assert len(body.strip().splitlines()) == 5


def test_it_says_what_is_missing(demo: tuple[Path, str]) -> None:
    wiring, manifest = demo
    done = run_example(manifest, "--wiring", str(wiring), "--train-until", "2027-01-01T00:00:00Z")
    assert (done.returncode, "no row lies at 2027-01-08" in done.stderr) == (1, True)
