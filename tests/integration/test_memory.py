"""What a worker holds of one hot key: the key's step and the dataset's writer, measured in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.features import flow
from ofs_spark.features.by_key import ByKey
from ofs_spark.features.pieces import PIECE_ROWS
from ofs_spark.features.routing import EVENTS
from ofs_spark.features.runs import RUN_BYTES
from ofs_spark.foundation.columnar.dataflow import Body, encode_chunk
from ofs_spark.foundation.columnar.memory import keep_freed_memory
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.pins.profile.catalogue import describe_dataset
from ofs_spark.pins.profile.compile import compile_profile
from ofs_spark.publish.bucket import TopicPartition, WriteBucket
from ofs_spark.replay import rows as r
from ofs_spark.replay.anchors import add_anchor_flag
from tests.worlds.model import profile, window

MIB = 1024**2
DAYS = 30 * 86_400_000_000
GROUP = {
    "name": "g", "version": "v1", "key": ["payload.card"], "windows": [window("1h"), window("24h"), window("7d")],
    "values": {"a": {"path": "payload.a", "type": "decimal(12,2)", "missing": "fail"}},
    "features": [
        {"name": "n", "aggregate": "count"},
        *({"name": name, "aggregate": name, "value": "a"} for name in ("sum", "mean", "max")),
    ],
}  # fmt: skip
CHUNK_ROWS = 100_000


def chunks(events: int) -> Iterator[Body]:
    """One key's events over 30 days, in no order, as an exchange brings them."""
    chance, program = np.random.default_rng(7), compile_profile(profile(GROUP), "world", "v1").program
    (part,), (value,) = program.keys[0].parts, program.groups[0].values
    for first in range(0, events, CHUNK_ROWS):
        place = np.arange(first, min(first + CHUNK_ROWS, events))
        count, ts = len(place), chance.integers(0, DAYS, len(place))
        clear = pa.array(np.zeros(count, np.uint8))
        columns = {
            r.EVENT_ID: [chance.bytes(16).hex() for _ in range(count)],
            r.EVENT_TYPE: pa.array(["card_payment"] * count).dictionary_encode(),
            r.TS: ts, r.PARTITION_ORDINAL: pa.array(np.zeros(count, np.int32)), r.SEQ: place,
            r.OFFSET: [str(one) for one in place], r.ARRIVAL: ts,
            r.FLAGS: np.full(count, add_anchor_flag(r.IN_SCOPE | r.flag_source(0))),
            r.name_read_column(part): ["C00000000001"] * count, r.name_status_column(part): clear,
            r.name_read_column(value.read): chance.integers(1, 10**6, count), r.name_status_column(value.read): clear,
        }  # fmt: skip
        yield encode_chunk(EVENTS, pa.table(columns))


def run(events: int, parts: int, folder: Path) -> None:
    """Builds one bucket; tells MiB before it and at most, and the files' rows."""
    program = compile_profile(profile(GROUP), "world", "v1").program
    (step,) = flow.plan_key_steps(program)
    writer = WriteBucket(
        program, describe_dataset(program, ()), (), "run", (TopicPartition("t", 0),), (1 << 20) // parts, LocalObjects(str(folder)),
        OwnedRef("run/ofs/datasets/d/a"),
    )  # fmt: skip
    keep_freed_memory()  # as a worker does
    before = peak()
    for _ in ByKey(program, step, writer, RUN_BYTES // parts, PIECE_ROWS // parts)(0, chunks(events)):
        pass
    rows = sum(pq.read_metadata(file).num_rows for file in folder.rglob("*.parquet"))
    sys.stdout.write(f"{before} {peak()} {rows}")


def peak() -> int:
    """The most MiB that this process has had. `ru_maxrss` has its parent's memory too, from before it ran this program."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def measure(events: int, parts: int, folder: Path) -> tuple[int, int]:
    """(MiB before, at most) of a process that builds a bucket of one key."""
    program = f"from {__name__} import *; run({events}, {parts}, Path({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, most, rows = map(int, done.stdout.split())
    assert rows == events
    return before, most


pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's memory")


def test_a_hot_key_takes_less_than_its_rows_and_features(tmp_path: Path) -> None:
    """A million events with bounds of an eighth, 324 MiB when measured; in one piece they take 700 and more."""
    before, most = measure(1_000_000, 8, tmp_path)
    assert most - before < 450


@pytest.mark.nightly
def test_five_million_events_of_one_key_take_less_than_one_and_a_half_gib(tmp_path: Path) -> None:
    _, most = measure(5_000_000, 1, tmp_path)
    assert most < 1536
