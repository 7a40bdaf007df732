"""The platform's own snapshots from its own records, and what a killed or damaged sweep comes to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ofs_spark.features.online_core import ANY_BIT, adds_exactly, find_lowest_bits
from ofs_spark.foundation.columnar.dataflow import Step
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.refs import name_fold_record, name_staging
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.parity import sides
from ofs_spark.parity.causes import LISTED, Deliveries
from ofs_spark.parity.cells import AnchorEnd, Cells, cut_cells
from ofs_spark.parity.contributions import list_contributions
from ofs_spark.parity.fold import Folded, fold_states
from ofs_spark.parity.online_rows import make_online_spec
from ofs_spark.parity.photograph import Photo, photograph
from ofs_spark.parity.sides import Side, find_side_changes
from ofs_spark.parity.snapshot import frame_snapshot
from ofs_spark.parity.states import develop
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.index import prove_index
from ofs_spark.replay.scan_job import Scan, scan_basis
from tests.worlds.model import RUN, TOPIC, Row, World, intent, profile, row, segment, slice_
from tests.worlds.sabotage import flip_byte
from tests.worlds.writer import write_world

GOLDEN = Path(__file__).parents[2] / "golden" / "online"
SNAPSHOTS: list[dict[str, Any]] = json.loads((GOLDEN / "snapshots.json").read_bytes())
FOLDER = name_staging(RUN, "ab" * 32)


@dataclass
class Counting:
    """The local engine; it remembers which steps ran and over how many tasks."""

    ran: list[tuple[str, int]] = field(default_factory=list)

    def run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        self.ran.append((steps[0].name, len(tasks)))
        return EmbeddedEngine().run(tasks, steps)

    def describe_versions(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class Case:
    """A scanned archive and its anchors."""

    objects: LocalObjects
    scan: Scan
    cells: Cells

    def fold(self, engine: Any, **how: int) -> Folded:
        return fold_states(engine, self.objects, self.scan, len(self.cells.ranges), FOLDER, **how)

    def take(self, engine: Any, frames: Sequence[dict[str, Any]], **how: int) -> list[Photo]:
        taken = photograph(
            engine, self.objects, FOLDER, self.fold(engine), self.cells, [frame_snapshot(one) for one in frames], **how
        )
        return sorted(taken, key=lambda photo: photo.number)


def scanned(root: Path, world: World, ends: Sequence[dict[int, int]], kind: str = "kafka_offset") -> Case:
    written = write_world(world, root)
    index, objects = prove_index(json.loads(written.index.read_text()), RUN), LocalObjects.at(written.root)
    firsts = {place: own[0].file.first for place, own in index.by_place.items()}
    cells = cut_cells(firsts, [[AnchorEnd(TOPIC, part, kind, last) for part, last in one.items()] for one in ends])
    spec = make_online_spec(index, OnlineCoreRules(), "published_at_utc")
    scan = scan_basis(EmbeddedEngine(), objects, index, cells.ranges, spec, FOLDER, training=False)
    assert scan.is_proven
    return Case(objects, scan, cells)


def make_row(record: dict[str, Any]) -> Row:
    return Row(
        int(record["origin_offset"]["offset"]), record["event_id"], record["ts_utc"], json.dumps(record["envelope"]),
        record["event_type"], None, record["payload_hash"],
    )  # fmt: skip


@pytest.fixture
def golden(tmp_path: Path) -> Case:
    records = [json.loads(line) for line in (GOLDEN / "archive_records.jsonl").read_text().splitlines()]
    rows = [make_row(one) for one in records]
    world = World(
        (segment(*rows[:200], offset_kind="file_line"), segment(*rows[200:], offset_kind="file_line")),
        intent(slice_(0, 1)), profile(),
    )  # fmt: skip
    ends = [{0: int(one["eb_offset_basis"]["offsets"][0]["offset"]) - 1} for one in SNAPSHOTS]
    return scanned(tmp_path, world, ends, "file_line")


def test_the_platforms_own_snapshots(golden: Case) -> None:
    photos = golden.take(EmbeddedEngine(), SNAPSHOTS)
    assert [photo.snapshot_hash for photo in photos] == [one["snapshot_hash"] for one in SNAPSHOTS]
    counters = json.loads((GOLDEN / "counters.json").read_bytes())
    counts = photos[-1].counts
    assert (counts["seen"], counts["applied"]) == (counters["events_seen"], counters["events_applied"])
    same = ("duplicates", "payload_hash_mismatch", "ignored_event_type")
    assert {name: counts[name] for name in same} == {name: counters[name] for name in same}
    assert not any(counts[name] for name in ("missing_pin", "other_platform_run", "unknown_event_class"))


def test_the_platforms_own_states_and_what_made_them(golden: Case) -> None:
    folded = golden.fold(EmbeddedEngine())
    states = develop(golden.objects, folded, golden.cells.reach[0]).to_pylist()
    assert {one.pop("key"): one for one in states} == SNAPSHOTS[0]["features"]
    key = "flow_id:flow-0"
    told = list_contributions(golden.objects, golden.scan.staged, folded, golden.cells.reach[0], [key]).to_pylist()
    applied = [one for one in told if one["skip"] is None]
    assert len(applied) == SNAPSHOTS[0]["features"][key]["event_count"]
    assert {one["key"] for one in told} == {key}
    assert max(int(one["offset"]) for one in told) < 400
    total = 0.0
    for one in applied:
        total += one["amount"]
    assert total == SNAPSHOTS[0]["features"][key]["amount_sum"]


def test_a_later_attempt_starts_from_states_and_photos_that_stand(golden: Case) -> None:
    first = golden.take(EmbeddedEngine(), SNAPSHOTS, group=1)
    again = Counting()
    assert golden.take(again, SNAPSHOTS, group=1) == first
    assert again.ran == [("prove", 3), ("photograph", 0)]
    photos = sorted(Path(golden.objects.locate(FOLDER)).glob("*.photos.json"))
    assert len(photos) == 3
    photos[0].unlink()
    flip_byte(photos[1])
    mended = Counting()
    assert golden.take(mended, SNAPSHOTS, group=1) == first
    assert mended.ran == [("prove", 3), ("photograph", 2)]


def test_damaged_states_are_folded_anew(golden: Case) -> None:
    first = golden.take(EmbeddedEngine(), SNAPSHOTS)
    flip_byte(Path(golden.objects.locate(golden.fold(EmbeddedEngine()).shards[0].states.ref)))
    again = Counting()
    assert golden.take(again, SNAPSHOTS) == first
    assert again.ran == [("prove", 3), ("find repeats", 1), ("photograph", 0)]


def test_a_record_of_other_rows_is_no_record(golden: Case) -> None:
    golden.fold(EmbeddedEngine())
    path = Path(golden.objects.locate(name_fold_record(FOLDER)))
    path.write_text(path.read_text().replace('"made_of":"', '"made_of":"0'[:-1], 1))
    other = replace(golden, scan=replace(golden.scan, staged=golden.scan.staged[:1]))
    again = Counting()
    other.fold(again)
    assert again.ran == [("find repeats", 1)]


def test_states_that_are_damaged_before_they_are_read_are_refused(golden: Case) -> None:
    folded = golden.fold(EmbeddedEngine())
    flip_byte(Path(golden.objects.locate(folded.shards[0].keys.ref)))
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        develop(golden.objects, folded, golden.cells.reach[0])


def event(offset: int, event_id: str, amount: Any, arrival: str | None = None, flow: str = "f") -> Row:
    payload = {"flow_id": flow, "amount": amount}
    return row(offset, event_id, "2026-02-10T00:00:00Z", payload, published_at_utc=arrival)


def two_partitions(left: Sequence[Row], right: Sequence[Row]) -> World:
    return World((segment(*left), segment(*right, partition=1)), intent(slice_(0, 1)), profile())


def states_of(case: Case) -> list[dict[str, Any]]:
    folded = case.fold(EmbeddedEngine())
    return [
        {one.pop("key"): one for one in develop(case.objects, folded, reach).to_pylist()} for reach in case.cells.reach
    ]


ALL = {0: 9, 1: 9}


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        ([0.5, 0.25], [8, 1], 9.75),
        ([401.33, 10.1], [0, "x"], 401.33 + 10.1),
        ([0.1], [0.2], None),
        ([1e16], [1], None),
        ([2.0**52], [1], 2.0**52 + 1),
    ],
    ids=["exact", "nothing_in_the_other", "inexact", "too_large", "just_fits"],
)
def test_a_key_in_two_partitions_has_a_sum_where_no_order_matters(
    left: list[Any], right: list[Any], total: float | None, tmp_path: Path
) -> None:
    rows = [
        [event(at, f"{side}{at}", amount) for at, amount in enumerate(own)] for side, own in enumerate((left, right))
    ]
    ends = {0: len(left) - 1, 1: len(right) - 1}
    case = scanned(tmp_path, two_partitions(*rows), [ends])
    (found,) = states_of(case)
    assert found["flow_id:f"]["amount_sum"] == total
    (photo,) = case.take(EmbeddedEngine(), [{}])
    assert (photo.snapshot_hash is None) == (total is None)
    assert photo.undefined == (() if total is not None else ("flow_id:f",))


def test_the_first_delivery_within_each_anchors_own_basis_is_applied(tmp_path: Path) -> None:
    early, late = "2026-02-10T00:00:01Z", "2026-02-10T00:00:09Z"
    world = two_partitions(
        [event(0, "a", 1, late), event(1, "b", 8, late)], [event(0, "a", 2, early, "g"), event(1, "c", 16, late)]
    )
    case = scanned(tmp_path, world, [{0: 0}, {1: 0}, {0: 0, 1: 0}, {0: 1, 1: 1}])
    sums = [{key: state["amount_sum"] for key, state in one.items()} for one in states_of(case)]
    assert sums == [{"flow_id:f": 1.0}, {"flow_id:g": 2.0}, {"flow_id:g": 2.0}, {"flow_id:f": 24.0, "flow_id:g": 2.0}]
    counts = [photo.counts for photo in case.take(EmbeddedEngine(), [{}] * 4)]
    assert [one["payload_hash_mismatch"] for one in counts] == [0, 0, 1, 1]
    assert [one["applied"] for one in counts] == [1, 1, 1, 3]


def test_without_arrivals_the_first_place_is_applied(tmp_path: Path) -> None:
    case = scanned(tmp_path, two_partitions([event(0, "a", 1)], [event(0, "a", 2)]), [{0: 0, 1: 0}])
    assert states_of(case)[0]["flow_id:f"]["amount_sum"] == 1.0


def test_a_sum_that_is_not_finite_has_no_photo(tmp_path: Path) -> None:
    rows = [event(at, f"e{at}", 1.7e308) for at in range(2)]
    case = scanned(tmp_path, World((segment(*rows),), intent(slice_(0, 1)), profile()), [{0: 0}, {0: 1}])
    first, second = case.take(EmbeddedEngine(), [{}, {}])
    assert first.snapshot_hash
    assert (second.snapshot_hash, second.endless, second.keys) == (None, ("flow_id:f",), 1)


def test_an_anchor_that_reaches_nothing_is_an_empty_plane(tmp_path: Path) -> None:
    case = scanned(tmp_path, two_partitions([event(5, "a", 1)], [event(0, "b", 1)]), [{0: 4}, {1: 0}])
    empty, other = case.take(EmbeddedEngine(), [{}, {}])
    assert (empty.keys, empty.counts["seen"], other.keys) == (0, 0, 1)
    assert empty.snapshot_hash != other.snapshot_hash


def test_lowest_bits() -> None:
    found = find_lowest_bits(np.array([0.0, -0.0, 1.0, -3.0, 0.75, 6.0, 5e-324, 2.0**1023])).tolist()
    assert found == [ANY_BIT, ANY_BIT, 0, 0, -2, 1, -1074, 1023]
    assert adds_exactly(0, 2.0**53 - 1)
    assert not adds_exactly(0, 2.0**53)
    assert adds_exactly(ANY_BIT, 0.0)


def test_two_sides_are_compared_in_shares_and_no_share_holds_more_than_its_events(
    golden: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an end that lies further on adds, told alike however small the shares are."""
    folded = golden.fold(EmbeddedEngine())
    place = (TOPIC, 0, "file_line")
    before, after = (Side(golden.scan.staged, folded, golden.cells.reach[at], [place]) for at in (0, 2))
    whole = find_side_changes(golden.objects, before, after)
    reached = list_contributions(golden.objects, golden.scan.staged, folded, golden.cells.reach[2]).to_pylist()
    wanted = [int(one["offset"]) for one in reached if one["skip"] is None and int(one["offset"]) >= 400]
    assert whole.gained.count == len(wanted) > 0
    assert [one.order for one in whole.gained.events] == wanted[:LISTED]
    assert (whole.lost, whole.moved) == (Deliveries(), Deliveries())
    held: list[int] = []

    def weigh(*given: Any, **named: Any) -> Any:
        found = list_contributions(*given, **named)
        held.append(found.num_rows)
        return found

    monkeypatch.setattr(sides, "list_contributions", weigh)
    assert find_side_changes(golden.objects, before, after, share_rows=20) == whole
    assert find_side_changes(golden.objects, after, before, share_rows=20).lost == whole.gained
    assert sum(held) > 2 * len(reached) - 100
    assert max(held) < len(reached) / 8
