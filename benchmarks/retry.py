"""What an attempt costs that need not start from the beginning, beside the whole build and `ofs verify`, in one session.

A second attempt starts from the staged rows of one that ended between its two jobs. A publish-only retry follows one whose
manifest could not be put. Wall and CPU seconds; every round has requests and plans of its own.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pyspark.sql import SparkSession

from benchmarks.contenders import ofs
from benchmarks.measure import measured
from benchmarks.report import describe_machine, write_results
from benchmarks.sessions import open_session
from benchmarks.worlds import World, open_folder, write_world
from ofs_spark import pipeline
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.intent.identity import derive_run_key
from ofs_spark.io.context import open_context
from ofs_spark.io.spark_engine import SparkEngine
from ofs_spark.io.watched import watch
from ofs_spark.workflow.context import RunContext

Answer = TypeVar("Answer")
MOST_OF_A_BUILD = 0.6
"""What a second attempt from staged rows may take of the whole build."""


@dataclass(frozen=True)
class Fail:
    """Refuses one effect."""

    effect: str

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        """What the call answers, unless it is the one."""
        if effect == self.effect:
            raise refuse("ENVIRONMENT_UNFIT", f"the benchmark ends the attempt at {effect}")
        return call()


@dataclass(frozen=True)
class Bench:
    """A world and the session that everything is measured in."""

    world: World
    session: SparkSession

    def ask(self) -> dict[str, Any]:
        """An intent of a new request and a new plan."""
        return ofs.ask(self.world, "one")

    @contextmanager
    def open(self) -> Iterator[RunContext]:
        """A context of the session."""
        with open_context(self.world.wiring, None, lambda _room, _doing: None, self._start) as context:
            yield context

    def _start(self) -> SparkEngine:
        return SparkEngine(self.session)

    def build(self, intent: dict[str, Any], failing: str = "") -> dict[str, Any]:
        """The answer of one build; none where it was made to end at an effect."""
        with self.open() as context:
            try:
                return pipeline.build_dataset(
                    json.dumps(intent).encode(), watch(context, Fail(failing)) if failing else context
                )
            except Refusal:
                if not failing:
                    raise
                return {}

    def retry(self, intent: dict[str, Any]) -> dict[str, Any]:
        """The answer of a publish-only retry."""
        with self.open() as context:
            return pipeline.retry_publish(derive_run_key(intent["request_id"]), context)

    def verify(self, ref: str) -> dict[str, Any]:
        """The answer of `ofs verify`."""
        with self.open() as context:
            return pipeline.verify_dataset(ref, context)


Round: TypeAlias = dict[str, dict[str, float]]
"""What ran → `wall_s`, `cpu_s` and `peak_mib` of it."""


def measure_round(bench: Bench) -> Round:
    """Wall and CPU seconds of each, once; what a round wrote is gone afterwards."""
    whole, again, pending = (bench.ask() for _ in range(3))
    found = {"build": measured(lambda: bench.build(whole))}
    first = found["build"].pop("answer")
    found["verify"] = measured(lambda: bench.verify(first["manifest_ref"]))
    bench.build(again, "engine.load")
    found["second_attempt"] = measured(lambda: bench.build(again))
    bench.build(pending, "manifest.put")
    found["retry_publish"] = measured(lambda: bench.retry(pending))
    checked, second, third = (found[name].pop("answer") for name in ("verify", "second_attempt", "retry_publish"))
    if not checked["verified"] or len({one["content_digest"] for one in (first, second, third)}) != 1:
        raise SystemExit("the attempts do not come to one dataset")
    for part in ("datasets", "staging"):
        for folder in bench.world.objects.glob(f"*/ofs/{part}"):
            shutil.rmtree(folder)
    return found


def run(events: int, rounds: int, kept: Path | None) -> None:
    """Measures some rounds after one that warms up, prints the ratios, writes the results."""
    found: list[Round] = []
    with open_folder(kept) as folder, open_session() as session:
        bench = Bench(write_world("dense", events, folder), session)
        for number in range(rounds + 1):
            one = measure_round(bench)
            told = (f"{name} {spent['wall_s']:.1f} s ({spent['cpu_s']:.1f} s CPU)" for name, spent in one.items())
            print(f"  {number or 'warm-up'}: " + ", ".join(told))
            found += [one] if number else []
        machine = describe_machine(spark=session.version)
    medians = {
        name: {of: statistics.median(one[name][of] for one in found) for of in found[0][name]} for name in found[0]
    }
    ratios = {
        f"{name}_over_build_{of.removesuffix('_s')}": value / medians["build"][of]
        for name, spent in medians.items()
        for of, value in spent.items()
        if name != "build"
    }
    about = {"machine": machine, "payments": events}
    target = write_results("retry", {**about, "rounds": found, "medians_s": medians, **ratios})
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}")
    if ratios["second_attempt_over_build_wall"] > MOST_OF_A_BUILD:
        print(f"a second attempt takes more than {MOST_OF_A_BUILD} of a build")
    print(target)
