"""OFS itself: one `ofs build` of a fresh request and configuration, so that nothing is answered from an earlier run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.job import Job
from benchmarks.worlds import World, name_set
from ofs_spark import pipeline
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.io.context import open_context
from ofs_spark.workflow.context import RunContext

TOLD = ("rows", "status", "content_digest", "timings", "replay_counts")


def ask(world: World, keys: str, knowledge: str = "as_observed") -> dict[str, Any]:
    """An intent of a new request and a new plan."""
    stamp = time.time_ns()
    return {
        **world.intent,
        "request_id": f"bench.{stamp}",
        "config_revision": f"bench-{stamp}",
        "feature_definition_set": {"feature_set_id": name_set(keys, knowledge), "feature_set_version": "v1"},
    }


def build(
    world: World,
    intent: dict[str, Any],
    engine: Callable[[], Engine],
    change: Callable[[RunContext], RunContext] = lambda context: context,
) -> dict[str, Any]:
    """The answer of one build."""
    with open_context(world.wiring, None, lambda _room, _doing: None, engine) as context:
        return pipeline.build_dataset(json.dumps(intent).encode(), change(context))


def run(engine: Callable[[], Engine], job: Job, knowledge: str = "as_observed") -> dict[str, Any]:
    """Where the table is, and what the build says of it."""
    answer = build(job.world, ask(job.world, job.keys, knowledge), engine)
    return {"table": str(job.world.objects / answer["table_ref"]), **{name: answer[name] for name in TOLD}}
