"""The in-memory twin of the Spark engine: runs the same steps in this process, target after target."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ofs_spark.foundation.columnar.dataflow import DRIVER, Body, Chunk, Step
from ofs_spark.foundation.errors import InternalError


class LocalEngine:
    """Runs steps one target at a time, pickled first as Spark would: a step that cannot travel fails here too."""

    def run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        """All notes, in the order they were written."""
        notes: list[dict[str, Any]] = []
        inputs: dict[int, list[Body]] = {index: [task] for index, task in enumerate(tasks)}
        for step in steps:
            work = pickle.loads(pickle.dumps(step.work))
            outputs: dict[int, list[Body]] = {}
            for target in sorted(inputs):
                for chunk in _check_targets(step, work(target, iter(inputs[target]))):
                    if chunk.target == DRIVER:
                        notes.append(json.loads(bytes(chunk.body)))
                    else:
                        outputs.setdefault(chunk.target, []).append(chunk.body)
            inputs = outputs
        return notes

    def describe_versions(self) -> Mapping[str, str]:
        """Nothing: it is this process."""
        return {}


def _check_targets(step: Step, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    for chunk in chunks:
        if chunk.target != DRIVER and not 0 <= chunk.target < step.width:
            raise InternalError(f"step {step.name} addressed target {chunk.target} of {step.width}")
        yield chunk
