"""The demo's world on S3 and Postgres, by a submitted job: the folder's dataset, and it verifies there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ofs_spark import pipeline
from ofs_spark.demo.world import RUN_FACTS, DemoWorld
from ofs_spark.io.context import open_context
from ofs_spark.io.spark_engine import SparkEngine
from tests.servers.fixtures import create_bucket
from tests.servers.postgres import Postgres
from tests.unit.test_demo_world import written
from tests.worlds.places import Place, upload_world
from tests.worlds.writer import Written

MADE = ("*/ofs", "*/learning", "ledger*", ".spark")
"""What a build made."""
ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> dict[str, Any]:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.usefixtures("s3_keys")
def test_the_demo_on_s3_and_postgres(
    tmp_path: Path, spark: SparkSession, s3_address: str, postgres: Postgres, postgres_schema: str
) -> None:
    world = written(tmp_path / "world")
    with open_context(world.wiring, None, lambda _room, _doing: None, lambda: SparkEngine(spark)) as context:
        here = pipeline.build_dataset(world.training.read_bytes(), context)
    for number, made in enumerate(found for name in MADE for found in world.objects.glob(name)):
        made.rename(tmp_path / f"made-{number}")
    place = _upload(world, create_bucket(s3_address), s3_address, tmp_path / "there", postgres.dsn(postgres_schema))
    submit = (str(ROOT / "spark-submit.sh"), str(ROOT / "jobs" / "build_dataset.py"))
    there = run(*submit, str(place.intent), "--wiring", str(place.wiring))
    assert (there["outcome"], there["content_digest"]) == ("COMMITTED", here["content_digest"])
    command = (sys.executable, "-m", "ofs_spark.cli", "--json", "--wiring", str(place.wiring))
    assert run(*command, "verify", there["manifest_ref"])["verified"]
    assert [one["state"] for one in run(*command, "status")["runs"]] == ["DONE"]


def _upload(world: DemoWorld, bucket: str, endpoint: str, folder: Path, dsn: str) -> Place:
    """The demo's objects and profiles in a bucket, and a wiring for them."""
    found = {
        "index": "*/archive/segment_index.json",
        "label_extract": "*/label_store/extract/label_extract.json",
        "run_facts": RUN_FACTS,
    }
    files = Written(
        root=world.objects,
        wiring=world.wiring,
        intent=world.training,
        segments=(),
        profile=next((world.root / "profiles").glob("*.yaml")),
        **{name: next(world.objects.glob(pattern)) for name, pattern in found.items()},
    )
    return upload_world(files, bucket, endpoint, folder, dsn)
