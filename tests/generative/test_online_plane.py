"""Generated worlds: what OFS rebuilds of an online plane is what a straightforward one says, snapshot by snapshot."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.refs import name_staging
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.spark_engine import SparkEngine
from ofs_spark.parity.cells import AnchorEnd, Cells, cut_cells
from ofs_spark.parity.contributions import list_contributions
from ofs_spark.parity.fold import Folded, fold_states
from ofs_spark.parity.online_rows import make_online_spec
from ofs_spark.parity.photograph import Photo, photograph
from ofs_spark.parity.snapshot import SnapshotFrame, frame_snapshot
from ofs_spark.parity.states import develop
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.index import prove_index
from ofs_spark.replay.scan_job import Scan, scan_basis
from tests.oracle.online_plane import OnlinePlane, Record, in_delivery_order
from tests.worlds.model import RUN
from tests.worlds.online import Partition, draw_partitions, make_world
from tests.worlds.writer import Layout, write_world

SNAPSHOTS = 12
AS_DRAWN = Layout()
FRAME: dict[str, Any] = {"pins": {"platform_run_id": RUN}, "as_of_time_utc": "2026-02-10T00:00:00Z", "freshness": {}}
Ends = Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class Sweep:
    """What was rebuilt, and what it was rebuilt from."""

    photos: list[Photo]
    objects: LocalObjects
    scan: Scan
    folded: Folded
    cells: Cells


def rebuild(
    root: Path,
    partitions: Sequence[Partition],
    ends: Sequence[Ends],
    seed: int,
    engine: Engine,
    layout: Layout = AS_DRAWN,
) -> Sweep:
    """Every anchor of a world written to disk, from one scan; in several shards and groups where the world is large."""
    written = write_world(make_world(partitions, Random(seed)), root, layout)
    index, objects = prove_index(json.loads(written.index.read_text()), RUN), LocalObjects.at(written.root)
    kinds = {(one.topic, one.partition): one.offset_kind for one in partitions}
    firsts = {(one.topic, one.partition, one.offset_kind): one.rows[0].offset for one in partitions}
    cells = cut_cells(firsts, [[AnchorEnd(*place, kinds[place], last) for place, last in one.items()] for one in ends])
    spec = make_online_spec(index, OnlineCoreRules(), "published_at_utc")
    folder = name_staging(RUN, "ab" * 32)
    scan = scan_basis(engine, objects, index, cells.ranges, spec, folder, training=False)
    assert scan.completeness.status == "COMPLETE"
    assert not scan.completeness.faults
    folded = fold_states(engine, objects, scan, len(cells.ranges), folder, share_rows=Random(seed).choice([20, 10_000]))
    frames = [make_frame(number) for number in range(len(ends))]
    photos = sorted(photograph(engine, objects, folder, folded, cells, frames, group=5), key=lambda one: one.number)
    return Sweep(photos, objects, scan, folded, cells)


def make_frame(number: int) -> SnapshotFrame:
    return frame_snapshot({**FRAME, "run_config_digest": f"{number}"})


def draw_ends(rng: Random, records: Sequence[Record]) -> list[Ends]:
    """Bases of anchors: what had been delivered at some moments, and some that nobody's order gives."""
    rising = sorted(rng.sample(range(1, len(records) + 1), min(len(records), SNAPSHOTS * 2 // 3)))
    found: list[Ends] = [
        {one.place: one.offset for one in sorted(records[:upto], key=lambda one: one.offset)} for upto in rising
    ]
    while len(found) < SNAPSHOTS:
        chosen = rng.sample(records, min(len(records), 3))
        found.append(
            {one.place: one.offset for one in chosen}
            | ({chosen[0].place: chosen[0].offset - 1} if rng.random() < 0.1 else {})
        )
    rng.shuffle(found)
    return found


def ask_plane(records: Sequence[Record], ends: Ends) -> OnlinePlane:
    plane = OnlinePlane(RUN)
    for one in records:
        if one.offset <= ends.get(one.place, -1):
            plane.receive(one)
    return plane


def check_world(seed: int, engine: Engine) -> tuple[int, int]:
    """(snapshots rebuilt to the same hash, snapshots whose order nobody knows)."""
    rng = Random(seed)
    partitions = draw_partitions(rng, rng.randint(5, 160))
    records = in_delivery_order(one for partition in partitions for one in partition.records())
    ends = draw_ends(rng, records)
    with tempfile.TemporaryDirectory() as folder:
        sweep = rebuild(Path(folder), partitions, ends, seed, engine)
        outcomes = [compare(photo, ask_plane(records, ends[photo.number])) for photo in sweep.photos]
        number = rng.randrange(len(ends))
        agree_in_full(sweep, number, ask_plane(records, ends[number]))
    assert [photo.number for photo in sweep.photos] == list(range(len(ends)))
    return sum(outcomes), len(outcomes) - sum(outcomes)


def compare(photo: Photo, plane: OnlinePlane) -> bool:
    """Whether the photo has the plane's hash; where it has none, that is for a reason."""
    assert photo.keys == len(plane.features)
    assert Counter(photo.counts) == plane.counts
    unknown = sorted(key for key in plane.features if not plane.is_order_known(key))
    endless = [
        key for key in plane.features if abs(plane.features[key]["amount_sum"]) == float("inf") and key not in unknown
    ]
    assert (photo.undefined_count, list(photo.undefined)) == (len(unknown), unknown[:20])
    assert (photo.endless_count, sorted(photo.endless)) == (len(endless), sorted(endless))
    if unknown or endless:
        assert photo.snapshot_hash is None
        return False
    assert photo.snapshot_hash == plane.snapshot({"graph_version": None, **_members(photo.number)})
    return True


def _members(number: int) -> dict[str, Any]:
    names = ("feature_groups", "feature_def_policy_rev", "eb_offset_basis")
    return {**FRAME, **dict.fromkeys(names), "run_config_digest": f"{number}"}


def agree_in_full(sweep: Sweep, number: int, plane: OnlinePlane) -> None:
    """The states of one anchor, and what each event did to them."""
    reach = sweep.cells.reach[number]
    table = develop(sweep.objects, sweep.folded, reach).to_pylist()
    states = {one.pop("key"): one for one in table}
    assert list(states) == sorted(plane.features)
    known = {key: state for key, state in plane.features.items() if plane.is_order_known(key)}
    assert {key: states[key] for key in known} == known
    told = list_contributions(sweep.objects, sweep.scan.staged, sweep.folded, reach).to_pylist()
    skips = Counter(one["skip"] for one in told)
    assert skips["duplicate"] == plane.counts["duplicates"]
    assert skips["payload_hash_mismatch"] == plane.counts["payload_hash_mismatch"]
    applied = Counter(one["key"] for one in told if one["skip"] is None)
    assert applied == {key: state["event_count"] for key, state in plane.features.items()}
    some = sorted(applied)[:3]
    few = list_contributions(sweep.objects, sweep.scan.staged, sweep.folded, reach, some).to_pylist()
    assert few == [one for one in told if one["key"] in some]


def test_generated_snapshots() -> None:
    found = [check_world(seed, EmbeddedEngine()) for seed in range(16)]
    assert sum(same for same, _ in found) >= 120
    assert sum(unknown for _, unknown in found) >= 5


@pytest.mark.nightly
def test_thousands_of_generated_snapshots() -> None:
    found = [check_world(seed, EmbeddedEngine()) for seed in range(1_000, 1_280)]
    assert sum(same for same, _ in found) >= 2_000


def test_spark_rebuilds_the_same(spark: SparkSession) -> None:
    assert sum(check_world(seed, SparkEngine(spark))[0] for seed in range(2)) > 0


@pytest.mark.parametrize(
    "layout", [Layout(rows_per_segment=7, shuffled=3), Layout(rows_per_segment=1_000)], ids=["small", "one"]
)
def test_segments_cut_otherwise_give_the_same_photos(layout: Layout, tmp_path: Path) -> None:
    rng = Random(5)
    partitions = draw_partitions(rng, 120)
    records = in_delivery_order(one for partition in partitions for one in partition.records())
    ends = draw_ends(rng, records)
    drawn, cut = (
        rebuild(tmp_path / name, partitions, ends, 5, EmbeddedEngine(), how).photos
        for name, how in (("a", Layout()), ("b", layout))
    )
    assert drawn == cut
    assert any(photo.snapshot_hash for photo in drawn)
