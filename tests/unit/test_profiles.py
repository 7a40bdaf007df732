"""A profile gives every sample to the step that ran, and every stage to its step."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.profile_jvm import Stage, split_events
from benchmarks.profile_workers import read_stacks, split_samples
from benchmarks.profiles import name_steps
from benchmarks.weighing import WeighingEngine
from ofs_spark.foundation.columnar.dataflow import DRIVER
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.worlds.steps import STEPS, TASKS, order_notes

OUTSIDE = "process 7:python -m pyspark.daemon;main (pyspark/worker.py)"
ENGINE = "/work/ofs_spark/io/spark_engine.py"
SCAN = f"{OUTSIDE};_Starter.__call__ ({ENGINE});measure (/work/ofs_spark/foundation/columnar/measure.py)"
LATER = f"{OUTSIDE};_Adapter.__call__ ({ENGINE})"
LINES = [
    f"{SCAN};ScanSegments.__call__ (/work/ofs_spark/replay/scan_job.py);take (/env/site-packages/pyarrow/compute.py) 6",
    f"{SCAN};ScanSegments.__call__ (/work/ofs_spark/replay/scan_job.py) 1",
    f"{LATER};ByKey.__call__ (/work/ofs_spark/features/by_key.py);take (/env/site-packages/pyarrow/compute.py) 2",
    f"{LATER};_make_batch ({ENGINE}) 1",
    f"process 1:python -m benchmarks;SparkEngine.run ({ENGINE});readinto (socket.py) 90",
]


def test_samples_of_workers_belong_to_the_work_that_runs_and_the_drivers_to_nobody() -> None:
    stacks = read_stacks(LINES)
    assert stacks.total() == 10
    scan, layout, engine = split_samples(stacks, 5)
    assert (scan["work"], layout["work"], engine["work"]) == (
        "ofs_spark/replay/scan_job.py",
        "ofs_spark/features/by_key.py",
        "ofs_spark/io/spark_engine.py",
    )
    assert [one["share"] for one in (scan, layout, engine)] == [0.7, 0.2, 0.1]
    assert scan["functions"] == {
        "take pyarrow/compute.py": 0.6,
        "ScanSegments.__call__ ofs_spark/replay/scan_job.py": 0.1,
    }
    assert layout["files"] == {"ofs_spark/features/by_key.py": 0.2}


def test_samples_of_the_jvm_are_told_by_thread_function_and_what_of_spark_asked() -> None:
    def event(thread: str, *methods: str) -> dict[str, Any]:
        named = [method.rpartition(".") for method in methods]
        frames = [{"method": {"type": {"name": of.replace(".", "/")}, "name": name}} for of, _, name in named]
        return {"values": {"sampledThread": {"javaName": thread}, "stackTrace": {"frames": frames}}}

    copy, asked = "java.util.zip.CRC32C.update", "org.apache.spark.io.MutableCheckedOutputStream.write"
    found = split_events(
        [
            event("Executor task launch worker for task 3.0 in stage 1.0 (TID 9)", copy, asked),
            event("Executor task launch worker for task 12.0 in stage 1.0 (TID 18)", asked),
            event("dag-scheduler-event-loop", "java.lang.String.hashCode"),
            event("dag-scheduler-event-loop", "java.lang.String.hashCode"),
        ]
    )
    assert found["samples"] == 4
    assert found["threads"] == {"Executor task launch worker for task": 0.5, "dag-scheduler-event-loop": 0.5}
    assert found["callers"] == {asked: 0.5, "none of Spark's own": 0.5}
    assert found["functions"] == {"java.lang.String.hashCode": 0.5, copy: 0.25, asked: 0.25}


def test_stages_of_a_job_are_its_steps_in_order() -> None:
    stages = [
        Stage(number, job, 2, 1.0, 0.5, 0.0, 100, 50)
        for number, job in ((3, "scan"), (5, "load → layout"), (8, "load → layout"))
    ]
    engine = WeighingEngine(EmbeddedEngine())
    engine.chunks["load"], engine.bytes["load"] = 7, 70
    told = name_steps(stages, engine, 10)
    assert [(one["job"], one["step"]) for one in told] == [
        ("scan", "scan"),
        ("load → layout", "load"),
        ("load → layout", "layout"),
    ]
    assert told[0]["shuffle_written_bytes_per_event"] == 10.0
    assert [(one["chunks"], one["chunk_bytes_per_event"]) for one in told] == [(0, 0.0), (7, 7.0), (0, 0.0)]


@pytest.mark.parametrize("workers", [0, 2])
def test_what_steps_send_is_weighed_and_the_notes_stay_theirs(workers: int) -> None:
    engine = EmbeddedEngine(workers)
    try:
        weighing = WeighingEngine(engine)
        assert order_notes(weighing.run(TASKS, STEPS)) == order_notes(engine.run(TASKS, STEPS))
    finally:
        engine.stop()
    sent = [chunk for index, task in enumerate(TASKS) for chunk in STEPS[0].work(index, iter([task]))]
    chunks = [chunk.body for chunk in sent if chunk.target != DRIVER]
    assert weighing.chunks[STEPS[0].name] == len(chunks) > 0
    assert weighing.bytes[STEPS[0].name] == sum(len(memoryview(body)) for body in chunks) > 0
    assert weighing.chunks[STEPS[-1].name] == 0
