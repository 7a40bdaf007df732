"""The receipt tells where each part of the basis was read from, as the plan decided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.positions import SourcedRange, select_sources
from ofs_spark.replay.receipt import compose_replay_receipt
from tests.unit.replay.room import Replayed, replayed
from tests.unit.replay.test_segment import ROWS, TS, world
from tests.worlds.model import row


def selected(ours: Replayed, *sources: SourcedRange) -> list[Any]:
    """What the receipt says was read of the basis' one range."""
    place = ("a" * 32, "b" * 64, ours.index, ours.basis, sources)
    receipt = compose_replay_receipt(*place, ours.completeness, ours.facts, "published_at_utc")
    return list(receipt["ranges"][0]["selected"])


def test_a_range_has_the_sources_of_its_parts(tmp_path: Path) -> None:
    ours = replayed(world(*ROWS), tmp_path, training=True)
    (whole,) = ours.basis
    span = {"topic": whole.topic, "partition": 0, "offset_kind": "kafka_offset", "start": "0", "end_exclusive": "4"}
    assert selected(ours, *select_sources(ours.basis)) == [{"range": span, "source": "archive"}]
    parts = [SourcedRange(replace(whole, end=3), "archive"), SourcedRange(replace(whole, start=3), "bus")]
    elsewhere = SourcedRange(replace(whole, partition=1), "archive")
    assert selected(ours, *parts, elsewhere) == [one.to_document() for one in parts]


def test_an_event_id_of_any_length_is_shown_in_part(tmp_path: Path) -> None:
    """Of every kind of sample: redelivered, in conflict, and with a hash that is not its envelope's."""
    names = {kind: f"{kind}\n" + "x" * 100_000 for kind in ("same", "other", "wrong")}
    rows = [
        row(n, names[kind], TS, {"amount": n if kind == "other" else 0})
        for n, kind in enumerate(kind for kind in names for _ in range(2))
    ]
    rows[-1] = replace(rows[-1], payload_hash="0" * 64)
    ours = replayed(world(*rows), tmp_path, training=True)
    place = ("a" * 32, "b" * 64, ours.index, ours.basis, select_sources(ours.basis))
    receipt = compose_replay_receipt(*place, ours.completeness, ours.facts, "published_at_utc")
    shown = {kind: [one["event_id"] for one in found] for kind, found in receipt["samples"].items()}
    assert [shown[kind][0][:7] for kind in ("redelivery", "conflict", "invalid")] == [
        "same\\nx",
        "other\\n",
        "wrong\\n",
    ]
    assert len(encode_canonical(receipt)) < 10_000
