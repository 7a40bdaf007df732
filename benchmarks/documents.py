"""What large documents cost before and after the scan: indexes of many entries, bases of many slices. CPU seconds.

    python -m benchmarks.documents
    python -m benchmarks.documents --entries 10000 100000 --slices 3000 30000

No row is read: the scan's summaries are made up, as whole segments would give them. The exponent of a step says how its
cost grows from the smaller size to the larger: 1 is linear.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import describe_machine, write_results
from ofs_spark.foundation.canonical import digest, parse_json
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.positions import Range, Slice, resolve_basis, select_sources
from ofs_spark.intent.identity import fingerprint_dataset
from ofs_spark.intent.validate import read_intent
from ofs_spark.publish.manifest import require_room
from ofs_spark.replay.completeness import COMPLETE, stitch
from ofs_spark.replay.index import SegmentIndex, describe_slice, digest_slice, prove_index
from ofs_spark.replay.receipt import compose_replay_receipt
from ofs_spark.replay.scan.spec import ScanTask
from ofs_spark.replay.segment_groups import plan_scan

ROOT = Path(__file__).resolve().parents[1]
RUN = "platform_20260210T130700Z"
TOPIC = "fp.bus.traffic.fraud.v1"
MANIFEST = "learning.dataset_manifest.v1"
HELD = 4
"""Offsets of a segment, and of a slice."""

Seconds = dict[str, float]


def make_index(entries: int, offset_kind: str) -> bytes:
    """An index whose segments hold HELD offsets each, linked; every second is archived twice where the kind is sparse."""
    sparse = offset_kind == "kinesis_sequence"
    segments: list[dict[str, Any]] = []
    for number in range(entries):
        place = number // 2 * 2 if sparse else number
        first = HELD * place
        segments.append(
            {
                "topic": TOPIC, "partition": 0, "offset_kind": offset_kind, "record_count": HELD,
                "first_offset": str(first), "last_offset": str(first + HELD - 1),
                "previous_last_offset": str(first - HELD - 1 if sparse else first - 1) if first else None,
                "gaps": [], "path": f"{RUN}/archive/segments/{number:08d}.parquet", "bytes": 4096, "sha256": "ab" * 32,
                "min_ts_utc": "2026-02-10T10:00:00Z", "max_ts_utc": "2026-02-10T10:00:00Z",
                **({"shard_start": True} if sparse and not first else {}),
            }
        )  # fmt: skip
    document = {"schema_version": "archive.segment_index.v0", "platform_run_id": RUN, "segments": segments}
    return json.dumps({**document, "digest": digest(document)}).encode()


def make_slices(count: int, apart: int, offset_kind: str) -> list[dict[str, Any]]:
    """Slices of HELD offsets, `apart` from one start to the next."""
    place = {"topic": TOPIC, "partition": 0, "offset_kind": offset_kind}
    starts = [apart * i for i in range(count)]
    return [{**place, "start_offset": str(at), "end_offset": str(at + HELD - 1)} for at in starts]


def summarise(task: ScanTask) -> dict[str, Any]:
    """The summary of a task whose segments are whole."""
    positions = {one.ordinal: one.last - one.start + 1 for one in task.ranges}
    seq = task.segment_group << 32
    counts = dict.fromkeys(("position_duplicates", "mismatches", "out_of_run_scope", "invalid"), 0)
    ranges = [{"ordinal": n, "positions": p, "first_seq": seq, "last_seq": seq + p - 1} for n, p in positions.items()]
    whole = [{"ordinal": ordinal, "count": 0, "sample": []} for ordinal in positions]
    delivered = sum(positions.values())
    return {
        "partition_ordinal": task.partition_ordinal, "segment_group": task.segment_group, "faults": [],
        "reached": list(positions), "ranges": ranges, "missing": whole, "unattested": whole, "reasons": {}, "held": {},
        "counts": {**counts, "delivered": delivered, "positions": delivered, "valid": delivered},
        "samples": {"mismatch": [], "invalid": []}, "max_arrival": None,
    }  # fmt: skip


def time_steps(steps: Sequence[tuple[str, Callable[..., Any]]]) -> tuple[Seconds, list[Any]]:
    """CPU seconds of each step, and what they gave; each is called with what those before it gave."""
    seconds: Seconds = {}
    given: list[Any] = []
    for name, step in steps:
        begun = time.process_time()
        given.append(step(*given))
        seconds[name] = round(time.process_time() - begun, 3)
    return seconds, given


def plan_index(entries: int, offset_kind: str) -> Seconds:
    """From the bytes of an index and a basis of a quarter as many slices to the verdict."""
    raw = make_index(entries, offset_kind)
    basis = resolve_basis([Slice(**one) for one in make_slices(entries // 4, 4 * HELD, offset_kind)])
    seconds, given = time_steps(
        (
            ("parse", lambda: parse_json(raw, max_bytes=1 << 30)),
            ("prove", lambda document: prove_index(document, RUN)),
            (
                "describe and digest the slice",
                lambda _, index: (describe_slice(index, basis), digest_slice(index, basis)),
            ),
            ("plan the scan", lambda _, index, *__: plan_scan(index, basis)),
            ("summaries", lambda _, __, ___, tasks: [summarise(task) for task in tasks]),
            ("stitch", lambda _, index, __, ___, found: stitch(index, basis, found, training=True)),
        )
    )
    if given[-1].status != COMPLETE:
        raise AssertionError(given[-1].faults[0].message)
    return {name: spent for name, spent in seconds.items() if name != "summaries"}


def judge_slices(slices: int) -> Seconds:
    """From the bytes of an intent to the documents that hold its basis."""
    document = json.loads(
        (ROOT / f"contracts/examples/valid/{'learning.ofs_build_intent.v0'}/training.json").read_text()
    )
    document["replay_basis"] = make_slices(slices, 2 * HELD, "kafka_offset")
    raw = json.dumps(document).encode()
    index = prove_index(json.loads(make_index(2, "kafka_offset")), RUN)
    manifest = json.loads((ROOT / f"contracts/examples/valid/{MANIFEST}/training_ready.json").read_text())
    seconds, _ = time_steps(
        (
            ("read the intent", lambda: read_intent(raw)),
            ("fingerprint", fingerprint_dataset),
            ("refuse a basis of faults", lambda *_: _refuse_basis(document)),
            ("room in the manifest", lambda intent, *_: require_room(_describe_basis(intent), ())),
            ("judge the manifest", lambda intent, *_: find_faults({**manifest, **_describe_basis(intent)}, MANIFEST)),
            ("replay receipt", lambda intent, *_: _compose_receipt(index, intent.basis)),
        )
    )
    return seconds


def _refuse_basis(document: dict[str, Any]) -> int:
    broken = [{**one, "start_offset": "x"} for one in document["replay_basis"]]
    return len(find_faults({**document, "replay_basis": broken}, "learning.ofs_build_intent.v0"))


def _describe_basis(intent: Any) -> dict[str, Any]:
    basis = [one.to_document() for one in select_sources(intent.basis)]
    return {"replay_basis": list(intent.document["replay_basis"]), "basis": basis}


def _compose_receipt(index: SegmentIndex, basis: tuple[Range, ...]) -> dict[str, Any]:
    completeness = stitch(index, basis, [summarise(task) for task in plan_scan(index, basis)], training=True)
    place = ("a" * 32, "b" * 64, index, basis, select_sources(basis))
    return compose_replay_receipt(*place, completeness, None, "published_at_utc")


def compare_sizes(sizes: Sequence[int], measure: Callable[[int], Seconds]) -> dict[str, Any]:
    """Each size's seconds by step, and each step's exponent from the first size to the last."""
    found = {size: measure(size) for size in sizes}
    first, last = found[sizes[0]], found[sizes[-1]]
    grown = math.log(sizes[-1] / sizes[0])
    exponents = {
        name: round(math.log(last[name] / first[name]) / grown, 2)
        for name in first
        if grown and first[name] and last[name]
    }
    return {"cpu_s": {str(size): seconds for size, seconds in found.items()}, "exponent": exponents}


def main() -> None:
    """Measures and writes benchmarks/results/*-documents.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--slices", type=int, nargs="+", default=[3_000, 30_000])
    asked = parser.parse_args()
    results = {
        "dense index": compare_sizes(asked.entries, lambda size: plan_index(size, "kafka_offset")),
        "sparse index": compare_sizes(asked.entries, lambda size: plan_index(size, "kinesis_sequence")),
        "slices": compare_sizes(asked.slices, judge_slices),
    }
    write_results("documents", {"machine": describe_machine(), "results": results})
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
