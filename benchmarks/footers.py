"""What a look at the footers of an archive costs the driver before a build: CPU and wall seconds, files without a fault.

    python -m benchmarks.footers
    python -m benchmarks.footers --segments 10 1000 10000 --answer-ms 0 20

Each segment is a file of its own on the local disk, of the contract's columns and 500 rows. `--answer-ms`: how long the
store takes to answer a call, as one across a network does. 4,096 footers are looked at, however many segments there are.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import describe_machine, write_results
from ofs_spark.foundation.ports import Tail
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.replay.scan.archive import COLUMNS, ORIGIN, find_segment_faults
from ofs_spark.replay.scan.spec import SegmentFile

ROOT = Path(__file__).resolve().parents[1]
ROWS = 500


@dataclass(frozen=True)
class SlowObjects(LocalObjects):
    """A folder whose every tail takes a while."""

    answer_s: float = 0.0

    def read_tail(self, ref: str, most: int) -> Tail:
        """The object's last bytes, later."""
        time.sleep(self.answer_s)
        return super().read_tail(ref, most)


def make_segment() -> bytes:
    """A file of every column of the contract, as text."""
    origin = {"topic": "t", "partition": 0, "offset": "0", "offset_kind": "kafka_offset"}
    columns = {name: pa.array([f"{name} of {row}" for row in range(ROWS)]) for name in COLUMNS}
    sink = io.BytesIO()
    pq.write_table(pa.table({**columns, ORIGIN: pa.array([origin] * ROWS)}), sink)
    return sink.getvalue()


def write_segments(folder: Path, count: int) -> list[SegmentFile]:
    """The files, and their entries."""
    body = make_segment()
    for number in range(count):
        (folder / f"{number:06}.parquet").write_bytes(body)
    stated = len(body), hashlib.sha256(body).hexdigest(), 0, ROWS - 1, ROWS
    return [SegmentFile(f"{number:06}.parquet", *stated) for number in range(count)]


def measure_look(folder: Path, files: list[SegmentFile], answer_ms: float) -> dict[str, float]:
    """Seconds of one look at all files."""
    objects = SlowObjects(str(folder.resolve()), answer_ms / 1000)
    wall, spent = time.perf_counter(), time.process_time()
    if find_segment_faults(objects, files, int96_is_utc=False):
        raise AssertionError("good files were refused")
    return {"wall_s": round(time.perf_counter() - wall, 3), "cpu_s": round(time.process_time() - spent, 3)}


def main() -> None:
    """Measures and writes benchmarks/results/*-footers.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, nargs="+", default=[10, 1_000, 10_000])
    parser.add_argument("--answer-ms", type=float, nargs="+", default=[0.0, 20.0])
    asked = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        files = write_segments(Path(scratch), max(asked.segments))
        measure_look(Path(scratch), files[:10], 0.0)  # what is loaded on first use
        for answer_ms in asked.answer_ms:
            own = {str(count): measure_look(Path(scratch), files[:count], answer_ms) for count in asked.segments}
            results[f"a store that answers in {answer_ms:g} ms"] = own
    write_results("footers", {"machine": describe_machine(), "results": results})
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
