"""The embedded engine: the same notes in this process and on processes of its own; what fails is told; nothing stays."""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.foundation.columnar.dataflow import Step
from ofs_spark.foundation.ends import Stopped
from ofs_spark.foundation.errors import InternalError, Refusal
from ofs_spark.foundation.ports import Tasks
from ofs_spark.foundation.stops import end_by_signal
from ofs_spark.io.embedded_engine import EmbeddedEngine, count_workers
from ofs_spark.io.pool import WorkerFailedError
from ofs_spark.io.scratch import Inbox, Outbox
from tests.worlds.steps import STEPS, TASKS, Fail, Large, Spread, Tell, Total, Wait, order_notes
from tests.worlds.waiting import is_alive, wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def told() -> list[Tasks | None]:
    """What the module's engine told of its jobs."""
    return []


@pytest.fixture(scope="module")
def engine(told: list[Tasks | None]) -> Iterator[EmbeddedEngine]:
    """Three processes, whatever this machine has."""
    made = EmbeddedEngine(3, tell=told.append)
    yield made
    made.stop()


def list_begun(folder: Path) -> list[int]:
    """Ids of the processes that `Wait` left, and of their parents."""
    return [int(one) for file in folder.glob("begun-*") for one in file.read_text().split()]


EXPECTED = order_notes(EmbeddedEngine().run(TASKS, STEPS))


def test_processes_give_what_this_process_gives(engine: EmbeddedEngine) -> None:
    assert json.dumps({"note": "total", "target": 0, "total": 801}, sort_keys=True) in EXPECTED
    assert order_notes(engine.run(TASKS, STEPS)) == EXPECTED
    assert order_notes(engine.run(TASKS, STEPS)) == EXPECTED  # the same processes, again
    assert engine.run([], STEPS) == EmbeddedEngine().run([], STEPS) == []


def test_the_work_is_spread_and_its_processes_are_others(engine: EmbeddedEngine) -> None:
    found = engine.run([b"1"] * 64, [Step("tell", Tell(), 0)])
    assert len(found) == 64
    assert len({note["pid"] for note in found}) > 1
    assert os.getpid() not in {note["pid"] for note in found} | {note["parent"] for note in found}
    assert {note["pid"] for note in EmbeddedEngine().run([b"1"], [Step("tell", Tell(), 0)])} == {os.getpid()}


@pytest.mark.parametrize("memory", [0, 3_000])
def test_chunks_beyond_the_memory_stand_on_disk(memory: int) -> None:
    engine = EmbeddedEngine(2, memory)
    try:
        assert order_notes(engine.run(TASKS, STEPS)) == EXPECTED
    finally:
        engine.stop()


def test_an_outbox_fills_memory_first_and_leaves_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    page = mmap.PAGESIZE
    outbox, bodies = Outbox(2 * page), [b"a" * 100, b"b" * (page + 1), b"", b"c" * 20, b"d" * 2 * page]
    places = [outbox.append(pa.py_buffer(body)) for body in bodies]
    assert [place.file for place in places] == [0, 1, 0, 0, 1]
    assert [place.start % page for place in places] == [0] * 5
    descriptors = outbox.close()
    links = [os.readlink(f"/proc/self/fd/{one}") for one in descriptors]
    assert links[0].startswith("/memfd:")
    assert links[1].startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    inbox = Inbox(descriptors)
    found = [inbox.read(place) for place in places]
    inbox.close()
    assert [one.to_pybytes() for one in found] == bodies
    assert all(not one.is_mutable for one in found)


@pytest.mark.parametrize("memory", [1 << 30, 0], ids=["in memory", "on disk"])
def test_a_chunk_gives_its_room_back_when_nothing_of_it_is_read_any_more(memory: int) -> None:
    outbox, bodies = Outbox(memory), [bytes([number]) * 100_000 for number in range(1, 5)]
    places = [outbox.append(pa.py_buffer(body)) for body in bodies]
    [descriptor] = outbox.close()
    os.fsync(descriptor)  # on disk a file has no blocks before that
    held = os.dup(descriptor)
    inbox = Inbox([descriptor])
    first, second = (np.frombuffer(inbox.read(place).slice(10, 20), np.uint8) for place in places[:2])
    inbox.close()
    before = os.fstat(held).st_blocks
    assert (first == 1).all()
    del first
    assert before - os.fstat(held).st_blocks == -(-100_000 // mmap.PAGESIZE) * mmap.PAGESIZE // 512
    assert (second == 2).all()
    assert [os.pread(held, 100_000, place.start) for place in places[1:]] == bodies[1:]
    os.close(held)


@pytest.mark.parametrize("memory", [1 << 30, 0], ids=["in memory", "on disk"])
def test_chunks_that_are_read_at_once_take_no_descriptor_each(memory: int) -> None:
    outbox = Outbox(memory)
    places = [outbox.append(pa.py_buffer(b"%d" % number)) for number in range(2_000)]
    inbox = Inbox(outbox.close())
    before = len(os.listdir("/proc/self/fd"))
    chunks = [inbox.read(place) for place in places]
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    inbox.close()
    assert [int(chunk.to_pybytes()) for chunk in chunks] == list(range(2_000))


def test_an_empty_outbox_has_no_file() -> None:
    assert Outbox(10).close() == []
    only = Outbox(10)
    assert Inbox(only.close() or [os.open("/dev/null", os.O_RDONLY)]).read(only.append(b"")) == pa.py_buffer(b"")


def test_large_chunks_arrive_whole(engine: EmbeddedEngine) -> None:
    steps = [Step("spread", Large(), 1), Step("total", Total(False), 0)]
    assert engine.run([b"x", b"y"], steps) == [{"note": "total", "target": 0, "total": 2 * sum(range(1_000_000))}]


@pytest.mark.parametrize("workers", [0, 3])
def test_targets_that_are_done_are_told(workers: int, engine: EmbeddedEngine, told: list[Tasks | None]) -> None:
    told.clear()
    used = engine if workers else EmbeddedEngine(tell=told.append)
    used.run(TASKS, STEPS)
    counted = [one for one in told if one is not None]
    assert {(one.job, one.total) for one in counted} == {("spread → total → all", 3 + 5 + 3)}
    assert [one.done for one in counted] == [*range(1, 3 + 5 + 2)]  # the last step has chunks for one target
    assert told[-1] is None


@pytest.mark.parametrize("workers", [0, 3])
def test_an_address_outside_the_width_is_a_defect(workers: int, engine: EmbeddedEngine) -> None:
    used = engine if workers else EmbeddedEngine()
    with pytest.raises(InternalError, match="addressed target 3 of 3"):
        used.run([b"7"], [Step("spread", Spread(5), 3)])


def test_a_refusal_comes_as_it_was_raised(engine: EmbeddedEngine) -> None:
    with pytest.raises(Refusal, match="said no") as refused:
        engine.run(TASKS, [Step("fail", Fail("refusal", 1), 1), Step("total", Total(False), 0)])
    assert (refused.value.code, refused.value.details) == ("REF_SCOPE_INVALID", {"pointer": "/x"})
    assert order_notes(engine.run(TASKS, STEPS)) == EXPECTED


@pytest.mark.parametrize(("how", "code"), [("memory", "RESOURCE_EXCEEDED"), ("disk", "ENVIRONMENT_UNFIT")])
def test_what_has_an_owner_is_refused_by_it(how: str, code: str, engine: EmbeddedEngine) -> None:
    with pytest.raises(Refusal) as refused:
        engine.run(TASKS, [Step("fail", Fail(how, 2), 1)])
    assert refused.value.code == code


def test_a_defect_keeps_its_traceback(engine: EmbeddedEngine) -> None:
    with pytest.raises(WorkerFailedError, match=r"(?s)ZeroDivisionError: of a kind\nTraceback .*steps\.py.*in fail"):
        engine.run(TASKS, [Step("fail", Fail("defect", 0), 1)])


@pytest.mark.parametrize(("how", "said"), [("kill", "signal 9: memory"), ("fault", "signal 11")])
def test_a_worker_that_is_gone_is_told_and_the_others_go(how: str, said: str) -> None:
    engine = EmbeddedEngine(2)
    try:
        found = engine.run([b"1"] * 16, [Step("tell", Tell(), 0)])
        with pytest.raises(Refusal, match=said) as refused:
            engine.run(TASKS, [Step("fail", Fail(how, 1), 1)])
        assert refused.value.code == "ENVIRONMENT_UNFIT"
        assert ("Segmentation fault" in refused.value.details.get("printed", "")) == (how == "fault")
        assert not any(is_alive(note[name]) for note in found for name in ("pid", "parent"))
        assert order_notes(engine.run(TASKS, STEPS)) == EXPECTED
    finally:
        engine.stop()


def test_processes_that_do_not_start_are_told() -> None:
    engine = EmbeddedEngine(2, rooms="no_such_room")
    with pytest.raises(Refusal, match="did not start") as refused:
        engine.run(TASKS, STEPS)
    assert "no_such_room" in refused.value.details["printed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_ends_the_processes_first(number: signal.Signals, tmp_path: Path) -> None:
    engine = EmbeddedEngine(2)

    def send() -> None:
        """The signal, once both workers are at it."""
        wait_until(lambda: len(list_begun(tmp_path)) == 4)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()
    with end_by_signal(), pytest.raises(Stopped):
        engine.run(TASKS, [Step("wait", Wait(tmp_path), 0)])
    assert len(set(list_begun(tmp_path))) == 3
    assert not any(map(is_alive, list_begun(tmp_path)))


def test_workers_hear_no_signal_of_the_terminal(engine: EmbeddedEngine) -> None:
    first = engine.run([b"1"] * 16, [Step("tell", Tell(), 0)])
    for process in {note[name] for note in first for name in ("pid", "parent")}:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(process, number)
    again = engine.run([b"1"] * 16, [Step("tell", Tell(), 0)])
    assert {note["parent"] for note in again} == {note["parent"] for note in first}


DRIVER = """
import sys
from pathlib import Path
from ofs_spark.foundation.columnar.dataflow import Step
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.worlds.steps import Wait
EmbeddedEngine(2).run([b"", b""], [Step("wait", Wait(Path(sys.argv[1])), 0)])
"""


@pytest.mark.parametrize("killed", ["driver", "guard"])
def test_no_worker_outlives_a_killed_process(killed: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)], env=environment, stderr=subprocess.PIPE
    ) as driver:
        assert wait_until(lambda: len(list_begun(tmp_path)) == 4)
        begun = set(list_begun(tmp_path))
        if killed == "driver":
            driver.kill()
        else:
            os.kill(int((tmp_path / "begun-0").read_text().split()[1]), signal.SIGKILL)
        assert wait_until(lambda: not any(map(is_alive, begun)))
        assert driver.stderr is not None
        assert (b"lost the process" in driver.stderr.read()) == (killed == "guard")


def test_as_many_workers_as_processors_and_memory(tmp_path: Path) -> None:
    processors = len(os.sched_getaffinity(0))
    assert count_workers(1, ()) == 1
    assert count_workers() <= min(16, processors)
    limit = tmp_path / "memory.max"
    for stated, workers in (("max", processors), (f"{2**30}\n", 1), ("1000000", 1), (f"{2**60}", processors)):
        limit.write_text(stated)
        assert count_workers(16, (str(tmp_path / "none"), str(limit))) == min(16, workers), stated


def test_an_engine_says_what_it_is() -> None:
    assert EmbeddedEngine(2).describe_versions() == EmbeddedEngine().describe_versions() == {"engine": "embedded"}
