"""Plain spark-submit, the code shipped as an archive, gives the dataset that the command gives."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.spec.tables.windows import world
from tests.worlds.running import build
from tests.worlds.writer import write_world

ROOT = Path(__file__).resolve().parents[2]
WORLD = world("event|time|card\ne0|10:00|1\ne1|10:05|1\ne2|10:10|2")


def submit(*arguments: str) -> tuple[int, dict[str, object]]:
    command = [str(ROOT / "spark-submit.sh"), str(ROOT / "jobs" / "build_dataset.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_the_submitted_job_gives_the_same_dataset(tmp_path: Path) -> None:
    here, there = write_world(WORLD, tmp_path / "here"), write_world(WORLD, tmp_path / "there")
    status, answer = submit(str(there.intent), "--wiring", str(there.wiring))
    own = build(here).answer
    assert own is not None
    assert status == 0
    assert [answer[name] for name in ("outcome", "dataset_manifest_id", "content_digest", "rows")] == [
        own[name] for name in ("outcome", "dataset_manifest_id", "content_digest", "rows")
    ]
