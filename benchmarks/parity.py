"""What rebuilding online snapshots costs, beside the scan of their archive alone, in one Spark session.

The scan proves and reads the records as the online plane's law needs them. One anchor is a scan, a fold and one photo; a
sweep is the same for thousands of anchors whose bases rise. Wall seconds; every round starts from an empty staging folder.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pyspark.sql import SparkSession

from benchmarks.report import describe_machine, write_results
from benchmarks.sessions import open_session
from benchmarks.worlds import World, open_folder, write_world
from ofs_spark.foundation.refs import name_staging
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.spark_engine import SparkEngine
from ofs_spark.parity.cells import AnchorEnd, Cells, cut_cells
from ofs_spark.parity.fold import fold_states
from ofs_spark.parity.online_rows import make_online_spec
from ofs_spark.parity.photograph import Photo, photograph
from ofs_spark.parity.snapshot import frame_snapshot
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.index import SegmentIndex, read_index
from ofs_spark.replay.scan_job import Scan, scan_basis

Answer = TypeVar("Answer")
ANCHORS = 5_000
MOST_OF_A_SCAN = 1.2
"""What one anchor may take of the raw scan of its ranges."""
PER_KEY_S = 2e-6
"""What a sweep may take per key of each anchor, beside its replay."""
RULES = OnlineCoreRules(key_precedence=("customer_id",))


def timed(run: Callable[[], Answer]) -> tuple[float, Answer]:
    """(wall seconds, the answer)."""
    start = time.perf_counter()
    answer = run()
    return time.perf_counter() - start, answer


@dataclass(frozen=True)
class Bench:
    """An archive and the session that everything is measured in."""

    objects: LocalObjects
    index: SegmentIndex
    engine: SparkEngine

    def place_anchors(self, count: int) -> Cells:
        """The cells of anchors whose bases rise evenly in every partition; the last one has the whole archive."""
        firsts = {place: own[0].file.first for place, own in self.index.by_place.items()}
        lasts = {place: max(one.file.last for one in own) for place, own in self.index.by_place.items()}
        shares = ((number + 1) / count for number in range(count))
        return cut_cells(
            firsts,
            [
                [
                    AnchorEnd(*place, int(firsts[place] + (last - firsts[place]) * share))
                    for place, last in lasts.items()
                ]
                for share in shares
            ],
        )

    def rebuild(self, cells: Cells) -> tuple[dict[str, float], list[Photo]]:
        """Wall seconds of scan, fold and photographs, and the photos."""
        folder = name_staging(self.index.platform_run_id, "be" * 32)
        shutil.rmtree(self.objects.locate(folder), ignore_errors=True)
        spent: dict[str, float] = {}
        spent["scan"], scan = timed(lambda: self._scan(cells))
        cut = len(cells.ranges)
        spent["fold"], folded = timed(lambda: fold_states(self.engine, self.objects, scan, cut, folder))
        frames = [frame_snapshot({"run_config_digest": str(number)}) for number in range(len(cells.reach))]
        spent["photographs"], photos = timed(
            lambda: list(photograph(self.engine, self.objects, folder, folded, cells, frames))
        )
        return spent | {"whole": sum(spent.values())}, photos

    def _scan(self, cells: Cells) -> Scan:
        spec = make_online_spec(self.index, RULES, "published_at_utc")
        folder = name_staging(self.index.platform_run_id, "be" * 32)
        scan = scan_basis(self.engine, self.objects, self.index, cells.ranges, spec, folder, training=False)
        if not scan.is_proven:
            raise SystemExit(f"the archive is not complete: {scan.completeness.faults[:3]}")
        return scan


def run(events: int, runs: int, kept: Path | None, anchors: int = ANCHORS) -> None:
    """Measures some rounds and writes the results."""
    with open_folder(kept) as folder, open_session() as session:
        world = write_world("dense", events, folder)
        document = measure(world, session, runs, anchors)
        about = {"machine": describe_machine(spark=session.version), "payments": events}
    print(write_results("parity", {**about, **document}))
    if document["one_anchor_over_scan"] > MOST_OF_A_SCAN:
        print(f"one anchor takes more than {MOST_OF_A_SCAN} of the raw scan")


def measure(world: World, session: SparkSession, runs: int, anchors: int) -> dict[str, Any]:
    """Every round, the medians and the ratios that have a bound."""
    objects = LocalObjects.at(world.objects)
    run_id = next(path.parts[-3] for path in world.objects.glob("*/archive/segment_index.json"))
    bench = Bench(objects, read_index(objects, run_id), SparkEngine(session))
    single, sweep = bench.place_anchors(1), bench.place_anchors(anchors)
    ones = [bench.rebuild(single) for _ in range(runs + 1)][1:]  # the first one warms up
    swept, photos = bench.rebuild(sweep)
    last = {photo.number: photo.snapshot_hash for photo in photos}[anchors - 1]
    if anchors > 1 and photos and last is None:
        raise SystemExit("the sweep's last anchor has no hash")
    keys = sum(photo.keys for photo in photos)
    one = _take_medians([spent for spent, _ in ones])
    allowed = one["scan"] + one["fold"] + PER_KEY_S * keys
    ratios = {
        "one_anchor_over_scan": one["whole"] / one["scan"],
        "sweep_over_allowed": swept["whole"] / allowed,
        "sweep_over_single_anchors": swept["whole"] / (anchors * one["whole"]),
        "photographs_s_per_key": swept["photographs"] / keys,
    }
    for name, value in ratios.items():
        print(f"{name}: {value:.3g}")
    told = {"rounds": [spent for spent, _ in ones], "one_anchor_s": one, "sweep_s": swept}
    return {**told, "anchors": anchors, "keys": {"one": ones[0][1][0].keys, "sum": keys}, **ratios}


def _take_medians(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in found) for name in found[0]}
