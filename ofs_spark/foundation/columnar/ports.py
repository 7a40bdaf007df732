"""The engine port: what rooms ask of the machinery that spreads their work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ofs_spark.foundation.columnar.dataflow import Step


class Engine(Protocol):
    """Runs steps: the first one is called once per task (its target is the task's index), each later one per target."""

    def run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        """All notes of all steps, in no particular order; none for no tasks. Steps must be picklable and deterministic.

        A target may be worked on more than once, by a retry or twice at a time; its notes are given once. A step that
        raises, and an engine that ends or does not answer, raise here, and no notes are given: steps may have run or
        not, so what they wrote outside belongs to an attempt that is given up. In this process a step's exception
        comes as it is; elsewhere it comes inside one of the engine's own.
        """
        ...

    def describe_versions(self) -> Mapping[str, str]:
        """The versions of what the engine runs on, by name (`spark`, `scala`, `java`); empty if it is this process."""
        ...
