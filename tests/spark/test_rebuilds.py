"""The golden snapshots on Spark, by the submitted job, come to what the in-memory engine gives."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.worlds.snapshots import RUN, SNAPSHOTS, OnlineWorld, changed, seal, write_online_world

ROOT = Path(__file__).resolve().parents[2]


def submit(job: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    command = [str(ROOT / "spark-submit.sh"), str(ROOT / "jobs" / job), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def write(folder: Path) -> tuple[OnlineWorld, tuple[str, ...]]:
    """The online world, and the anchors of a sweep: the golden snapshots, and one with a planted fault."""
    world = write_online_world(folder)

    def plant(snapshot: dict[str, Any]) -> None:
        snapshot["features"][min(snapshot["features"])]["event_count"] += 1

    planted = world.put_anchor("planted", seal(changed(1, plant)))
    return world, (*(f"{RUN}/ofp/{number}.json" for number in range(3)), planted)


def test_a_submitted_sweep_is_the_in_memory_engines(tmp_path: Path) -> None:
    here, refs = write(tmp_path / "here")
    there, _ = write(tmp_path / "there")
    raw = here.ask("parity_rebuild", "parity.0001")
    intent, anchors = there.folder / "intent.json", there.folder / "anchors.jsonl"
    intent.write_bytes(raw)
    anchors.write_text("\n".join(json.dumps({"anchor_ref": ref}) for ref in refs))
    status, answer = submit(
        "parity.py", str(intent), "--anchors", str(anchors), "--wiring", str(there.folder / "wiring.yaml")
    )
    own = here.compare(raw, refs)
    assert (status, answer["outcome"], answer["counts"]) == (70, "MISMATCH", own["counts"])
    found = {one["anchor_ref"]: one["rebuilt_hash"] for one in answer["results"] if one["outcome"] == "MATCH"}
    assert found == {ref: one["snapshot_hash"] for ref, one in zip(refs, SNAPSHOTS, strict=False)}
    reports = [world.read(one["report_ref"]) for world, one in ((here, own), (there, answer))]
    assert reports[0]["results"] == reports[1]["results"]
    assert reports[0]["evidence"] == reports[1]["evidence"]
