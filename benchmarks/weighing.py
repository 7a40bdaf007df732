"""An engine that weighs what steps send each other: chunks and their bytes, whichever way the engine carries them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.columnar.dataflow import DRIVER, Body, Chunk, Step, Work
from ofs_spark.foundation.columnar.ports import Engine

_WEIGHT = "weight"
"""Kind of the notes that say what a target sent."""


@dataclass(frozen=True)
class _Weighed:
    """A step's work, and a note beside its own: the step's name, how many chunks the target sent on, their bytes."""

    name: str
    work: Work

    def __call__(self, target: int, chunks: Iterator[Body]) -> Iterator[Chunk]:
        sent, size = 0, 0
        for chunk in self.work(target, chunks):
            if chunk.target != DRIVER:
                sent, size = sent + 1, size + len(memoryview(chunk.body))
            yield chunk
        note = {"note": _WEIGHT, "step": self.name, "chunks": sent, "bytes": size}
        yield Chunk(DRIVER, json.dumps(note).encode())


class WeighingEngine:
    """Another engine, and what the steps that ran on it sent, by name: numbers of chunks, and bytes of them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.chunks, self.bytes = Counter[str](), Counter[str]()

    def run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        """The notes of the steps themselves."""
        weighed = [Step(step.name, _Weighed(step.name, step.work), step.width) for step in steps]
        notes = self._engine.run(tasks, weighed)
        for note in notes:
            if note["note"] == _WEIGHT:
                self.chunks[note["step"]] += note["chunks"]
                self.bytes[note["step"]] += note["bytes"]
        return [note for note in notes if note["note"] != _WEIGHT]

    def describe_versions(self) -> Mapping[str, str]:
        """The other's."""
        return self._engine.describe_versions()
