"""What Spark's JVM spends its time on: by stage as Spark counts it, by thread and function as the flight recorder sees it."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pyspark import SparkContext
from pyspark.sql import SparkSession

Answer = TypeVar("Answer")
OWN = ("org.apache.spark.", "org.sparkproject.")


@dataclass(frozen=True)
class Stage:
    """A stage that ran. job: the description; seconds of its tasks, `cpu_s` of their threads alone; bytes it wrote and read."""

    number: int
    job: str
    tasks: int
    run_s: float
    cpu_s: float
    gc_s: float
    written: int
    read: int


def list_stages(session: SparkSession, after: int = -1) -> list[Stage]:
    """The stages with a number above `after` that ran, in the order of their numbers."""
    context: Any = session.sparkContext
    empty = context._gateway.new_array(context._jvm.double, 0)
    found = context._jsc.sc().statusStore().stageList(None, False, False, empty, None)
    every = [found.apply(at) for at in range(found.size())]
    ran = [one for one in every if one.stageId() > after and one.status().toString() == "COMPLETE"]
    return sorted((_read_stage(one) for one in ran), key=lambda stage: stage.number)


def _read_stage(one: Any) -> Stage:
    described = one.description()
    return Stage(
        number=one.stageId(),
        job=described.get() if described.isDefined() else one.name(),
        tasks=one.numCompleteTasks(),
        run_s=one.executorRunTime() / 1e3,
        cpu_s=one.executorCpuTime() / 1e9,
        gc_s=one.jvmGcTime() / 1e3,
        written=one.shuffleWriteBytes(),
        read=one.shuffleReadBytes(),
    )


def record_while(run: Callable[[], Answer], folder: Path) -> tuple[Answer, dict[str, Any]]:
    """What `run` answers, and the JVM's samples meanwhile: shares by `threads`, and by `functions` and `callers` of Spark.

    A sample is of a thread that runs Java code: waiting and the kernel's part of a write are none.
    """
    gateway: Any = SparkContext._gateway
    number, file = str(gateway.proc.pid), folder / "jvm.jfr"
    jvm = _find_java(int(number))
    _command("jcmd", jvm, "JFR.start", "name=ofs", "settings=profile")
    answer = run()
    _command("jcmd", jvm, "JFR.stop", "name=ofs", f"filename={file}")
    printed = _command("jfr", "print", "--json", "--stack-depth", "40", "--events", "jdk.ExecutionSample", str(file))
    return answer, split_events(json.loads(printed)["recording"]["events"])


def _find_java(number: int) -> str:
    """spark-submit's process becomes Java, or has it below."""
    import psutil

    process = psutil.Process(number)
    return str(next(one.pid for one in (process, *process.children(recursive=True)) if one.name() == "java"))


def _command(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def split_events(events: list[dict[str, Any]], most: int = 15) -> dict[str, Any]:
    """Shares of execution samples: by thread, by function, and by the innermost function of Spark's own."""
    threads: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    callers: Counter[str] = Counter()
    for event in events:
        values = event["values"]
        frames = [_name(frame) for frame in (values["stackTrace"] or {"frames": []})["frames"]]
        name = (values["sampledThread"] or {}).get("javaName") or "a thread of the JVM itself"
        threads[re.sub(r"[ (#-]*\d.*", "", name)] += 1
        if frames:
            functions[frames[0]] += 1
            callers[next((frame for frame in frames if frame.startswith(OWN)), "none of Spark's own")] += 1
    total = max(1, threads.total())
    shares = {"threads": threads, "functions": functions, "callers": callers}
    split = {
        kind: {name: count / total for name, count in counted.most_common(most)} for kind, counted in shares.items()
    }
    return {"samples": threads.total(), **split}


def _name(frame: dict[str, Any]) -> str:
    method = frame["method"]
    return f"{method['type']['name'].replace('/', '.')}.{method['name']}"
