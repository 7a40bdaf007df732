"""Planted faults of an online plane, found by `ofs parity` from the archive: classified, located, proven by the hash."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from hypothesis.errors import UnsatisfiedAssumption

from ofs_spark import pipeline
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.workflow import parity_explain
from tests.oracle.faulty_plane import Delivery, Features
from tests.unit.parity.faulty_worlds import World as Deliveries
from tests.unit.parity.faulty_worlds import make_world
from tests.unit.parity.test_explain_faults import FAULTS, MAY_BE_ENDS, say, suppose
from tests.worlds.model import HASHED, RUN, Row, Segment, World, canon, intent
from tests.worlds.snapshots import GOLDEN, SNAPSHOTS, seal
from tests.worlds.writer import Written, write_world

SEVERAL = {"two ends", "two ends back", "three ends"}
"""Faults of several partitions: their worlds have amounts that add exactly, for else the order of a sum is unknown."""
PROFILE = yaml.safe_load((GOLDEN / "profile.yaml").read_text())
ENDS = [name for name, (_, kinds) in FAULTS.items() if kinds == {"WINDOW_END"}]
WORLDS, MANY = 3, 60


def settle(deliveries: Iterable[Delivery], exact: bool) -> tuple[Delivery, ...]:
    """The deliveries as those of the platform run; exact: with amounts that add exactly in every order."""
    found = []
    for one in deliveries:
        if one.envelope is None:
            found.append(one)
            continue
        own = one.envelope["platform_run_id"]
        payload = dict(one.envelope["payload"])
        if exact and payload.get("amount") is not None:
            payload["amount"] = float(round(payload["amount"] * 8) // 1) / 8
        envelope = {**one.envelope, "platform_run_id": RUN if own == "platform_1" else own, "payload": payload}
        found.append(replace(one, envelope=envelope))
    return tuple(found)


def archive(world: Deliveries, root: Path, size: int) -> Written:
    """The deliveries as segments, and an intent over all of them."""
    segments: list[Segment] = []
    for place in sorted(world.ends):
        own = sorted((d for d in world.deliveries if (d.topic, d.partition) == place), key=lambda d: (d.offset, d.copy))
        while own:
            cut = {d.offset for d in own[:size]}
            rows = tuple(to_row(d) for d in own if d.offset in cut)
            segments.append(Segment(*place, rows, world.offset_kind))
            own = [d for d in own if d.offset not in cut]
    basis = [
        {
            "topic": topic, "partition": partition, "offset_kind": world.offset_kind,
            "start_offset": str(min(o)), "end_offset": str(max(o)),
        }
        for topic, partition in sorted(world.ends)
        if (o := [d.offset for d in world.deliveries if (d.topic, d.partition) == (topic, partition)])
    ]  # fmt: skip
    core = {"feature_set_id": "core_features", "feature_set_version": "v1"}
    asked = intent(
        *basis, intent_kind="parity_rebuild", feature_definition_set=core, parity_anchor_ref=f"{RUN}/ofp/a.json"
    )
    return write_world(World(tuple(segments), asked, PROFILE), root)


def to_row(one: Delivery) -> Row:
    body = {
        **(one.envelope or {}), "event_id": one.event_id, "event_type": one.event_type, "ts_utc": one.ts,
    }  # fmt: skip
    text = "{" if one.envelope is None else canon(body).decode()
    published = (
        f"2026-02-11T{one.arrival // 3_600_000:02}:{one.arrival // 60_000 % 60:02}:{one.arrival // 1_000 % 60:02}Z"
    )
    return Row(one.offset, one.event_id, one.ts, text, one.event_type, published, HASHED, RUN)


def make_anchor(world: Deliveries, features: Features) -> dict[str, Any]:
    offsets = [
        {"topic": topic, "partition": partition, "offset": str(last)} for (topic, partition), last in world.ends.items()
    ]
    basis = {"stream": "fp.bus", "offset_kind": world.offset_kind, "offsets": offsets}
    pins = {**SNAPSHOTS[0]["pins"], "platform_run_id": RUN}
    return seal({**SNAPSHOTS[0], "pins": pins, "eb_offset_basis": basis, "features": features})


def compare(world: Deliveries, features: Features, seed: int) -> dict[str, Any]:
    """The one result of a plane's snapshot."""
    with tempfile.TemporaryDirectory() as folder:
        written = archive(world, Path(folder), Random(seed).randint(5, 60))
        anchor = written.root / RUN / "ofp" / "a.json"
        anchor.parent.mkdir()
        anchor.write_text(json.dumps(make_anchor(world, features)))
        every = 10**6 if seed % 2 else 0  # all records are read, or those alone that an explanation needs
        few = patch.object(parity_explain, "EVERY", every)
        with few, open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
            (result,) = pipeline.check_parity(written.intent.read_bytes(), context)["results"]
    return dict(result)


def draw_world(fault: str, rng: Random) -> Deliveries:
    """A world that may have the fault."""
    plural = fault in SEVERAL
    drawn = make_world(
        rng, (4 if fault == "three ends" else 2) if plural else 1, alike=fault == "one more amount field"
    )
    return replace(drawn, deliveries=settle(drawn.deliveries, exact=plural))


def check_fault(fault: str, seed: int) -> bool:
    """Whether the world of a seed can have the fault; then it is found, classified, located and proven."""
    rng = Random(seed)
    world = draw_world(fault, rng)
    law = replace(world.plane(), run=RUN)
    rebuilt = law.run_over(world.deliveries)
    plant, kinds = FAULTS[fault]
    try:
        faults, positions = plant(rng, world, law)
        expected = say(world, {**faults, "run": RUN})
        suppose(expected != rebuilt)
    except UnsatisfiedAssumption:
        return False
    result = compare(world, expected, seed)
    assert (result["outcome"], result["category"]) == ("MISMATCH", "CONTENT_MISMATCH"), result
    explained = result["explanation"]
    assert explained["proven"], result
    said = {cause["cause"] for cause in explained["causes"]}
    assert said == kinds or (fault in MAY_BE_ENDS and said == {"WINDOW_END"}), result
    shown = [at for cause in explained["causes"] for at in cause["positions"]]
    shown += [at for cause in explained["causes"] for one in cause.get("alternatives", ()) for at in one["positions"]]
    assert {(t, p, str(o)) for t, p, o in (name[:3] for name in positions)} <= {
        (at["topic"], at["partition"], at["offset"]) for at in shown
    }, result
    return True


def check_fault_in_worlds(fault: str, wanted: int, seeds: Iterable[int] = range(40 * MANY)) -> None:
    """As many worlds as are wanted, of those that can have the fault."""
    fitting = (seed for seed in islice(seeds, 40 * wanted) if check_fault(fault, seed))
    assert len(list(islice(fitting, wanted))) == wanted


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_explained_from_the_archive(fault: str) -> None:
    check_fault_in_worlds(fault, WORLDS)


@pytest.mark.parametrize("fault", ENDS)
def test_ends_are_moved_where_offsets_have_gaps_and_records_are_many(fault: str) -> None:
    """Around an end the nearest segments are read: its distance in offsets says nothing there."""
    few = range(0, 1_000, 2)  # `compare` has these read as little as it may
    sparse = (seed for seed in few if draw_world(fault, Random(seed)).offset_kind == "kinesis_sequence")
    check_fault_in_worlds(fault, WORLDS, sparse)


@pytest.mark.nightly
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_explained_in_many_archives(fault: str) -> None:
    check_fault_in_worlds(fault, MANY)


@pytest.mark.parametrize("seed", range(6))
def test_a_plane_without_fault_matches(seed: int) -> None:
    drawn = make_world(Random(seed), 1 + seed % 3)
    world = replace(drawn, deliveries=settle(drawn.deliveries, exact=True))
    result = compare(world, replace(world.plane(), run=RUN).run_over(world.deliveries), seed)
    assert result["outcome"] == "MATCH", result
