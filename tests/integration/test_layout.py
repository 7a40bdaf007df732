"""The layout follows the rows that the scan proved, not what index or basis state; ends of the range of offsets build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.features.steps import Widths
from ofs_spark.workflow import build as jobs
from ofs_spark.workflow.plan import Resolution
from tests.worlds.model import Segment, World, intent, profile, row, segment, slice_, window
from tests.worlds.running import SMALL, Outcome, build, policy_with, run, verify
from tests.worlds.writer import write_world

GROUP = {
    "name": "g", "version": "v1", "key": ["payload.card"], "windows": [window("1h")],
    "features": [{"name": "n", "aggregate": "count"}],
}  # fmt: skip
SPARSE = "kinesis_sequence"
FAR = 10**12
LAST = 2**63 - 1


def rows(first: int, count: int) -> list[Any]:
    return [row(first + i, f"e{i}", f"2026-02-10T00:{i:02d}:00Z", {"card": f"c{i % 5}"}) for i in range(count)]


def world(*segments: Segment, start: int = 0, end: int = 11, kind: str = "kafka_offset") -> World:
    return World(segments, intent(slice_(start, end, kind=kind)), profile(GROUP))


def published(drawn: World, root: Path) -> Outcome:
    outcome = run(drawn, root, policy=policy_with(root / "policy", SMALL))
    assert outcome.code is None, str(outcome.refusal)
    return outcome


def test_a_dataset_with_declared_gaps_verifies(tmp_path: Path) -> None:
    """Offsets that a gap excuses may be absent or there; one that nothing excuses may not be missing from the receipt."""
    every = rows(0, 12)
    held = segment(*every[:5], *every[8:])
    written = write_world(world(replace(held, gaps=((3, 7),))), tmp_path)
    outcome = build(written)
    assert len(outcome.rows) == 9
    assert verify(written, outcome) == []


def placed(outcome: Outcome) -> tuple[int, str, list[Any]]:
    table = outcome.manifest["materialization"]
    return table["layout"]["buckets"], table["content_digest"], outcome.rows


PAIRS = {
    "a declared gap of a billion offsets": (
        world(segment(*rows(0, 12))),
        world(segment(*rows(0, 12), gaps=((12, FAR),)), end=FAR),
    ),
    "a sparse segment that reaches beyond the basis": (
        world(segment(*rows(0, 12), offset_kind=SPARSE), kind=SPARSE),
        world(segment(*rows(0, 60), offset_kind=SPARSE), kind=SPARSE),
    ),
    "a copy of a sparse segment beside it": (
        world(segment(*rows(0, 12), offset_kind=SPARSE), kind=SPARSE),
        world(*[segment(*rows(0, 12), offset_kind=SPARSE, previous_last_offset=None)] * 3, kind=SPARSE),
    ),
}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_the_same_proven_rows_are_one_layout_and_one_digest(one: World, other: World, tmp_path: Path) -> None:
    first, second = placed(published(one, tmp_path / "one")), placed(published(other, tmp_path / "other"))
    assert first[:2] == second[:2]
    assert first[0] == 4  # twelve rows, three per bucket
    assert len(first[2]) == len(second[2]) == 12


def test_the_plan_states_the_rule_and_the_manifest_what_it_came_to(tmp_path: Path) -> None:
    outcome = published(world(segment(*rows(0, 12))), tmp_path)
    plan = outcome.document(outcome.manifest["evidence"]["resolved_build_plan"]["ref"])
    rule = {"leaf_rows": 2, "hash": "crc32", "key": "layout key, else event_id"}
    assert plan["layout"] == {"rows_per_bucket": 3, **rule}
    assert outcome.manifest["materialization"]["layout"] == {"buckets": 4, **rule}


def test_exchanges_are_as_wide_as_the_proven_rows_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    choose = jobs.choose_widths

    def noted(resolution: Resolution, rows: int, least: int) -> Widths:
        asked.append(rows)
        return choose(resolution, rows, least)

    monkeypatch.setattr(jobs, "choose_widths", noted)
    published(world(segment(*rows(0, 12), gaps=((12, FAR),)), end=FAR), tmp_path)
    assert asked == [12]


def test_the_last_dense_offset_is_an_ordinary_one(tmp_path: Path) -> None:
    held = replace(segment(*rows(LAST - 3, 4)), gaps=((LAST - 9, LAST - 4),))
    outcome = published(world(held, start=LAST - 9, end=LAST), tmp_path)
    assert [one["_offset"] for one in sorted(outcome.rows, key=lambda one: one["_offset"])][-1] == str(LAST)
    (spanned,) = outcome.manifest["basis"]
    assert spanned["range"]["end_exclusive"] == str(LAST + 1)
    missing = run(world(segment(*rows(LAST - 4, 4)), start=LAST - 4, end=LAST), tmp_path / "missing")
    assert missing.code == "REPLAY_BASIS_GAP"
    assert "1 offset is neither" in str(missing.refusal)
