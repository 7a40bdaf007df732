"""Every spec table through the whole real pipeline, without a JVM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.invariants import find_violations
from tests.spec.tables import ALL
from tests.worlds.running import SMALL, manifests, policy_with, run
from tests.worlds.tables import Case, exactly


@pytest.mark.parametrize("case", ALL.values(), ids=ALL)
def test_the_pipeline_gives_what_the_table_says(case: Case, tmp_path: Path) -> None:
    outcome = run(case.world, tmp_path)
    assert outcome.code == case.code, str(outcome.refusal)
    assert find_violations(outcome.root, tmp_path / "ledger.sqlite") == []
    if case.code:
        assert not manifests(outcome.root)
        return
    if case.rows is not None:
        assert exactly(case.shown(outcome.rows)) == exactly(case.rows)
    assert not case.columns or [tuple(row) for row in outcome.rows] == [case.columns] * len(outcome.rows)
    manifest = outcome.manifest
    counts, labels = manifest["replay"]["counts"], manifest["labels"]["coverage"]
    assert {name: counts[name] for name in case.counts} == case.counts
    for label_type, ratios in case.coverage.items():
        assert {name: labels[label_type]["ratios"][name] for name in ratios} == {
            name: float(round(ratio, 6)) for name, ratio in ratios.items()
        }
    truncated = {column["name"]: column["truncated_rows"] for column in manifest["columns"]}
    assert {name: truncated[name] for name in case.truncated} == case.truncated


@pytest.mark.parametrize("case", [case for case in ALL.values() if case.rows], ids=[n for n in ALL if ALL[n].rows])
def test_small_buckets_and_hot_keys_hold_the_same_rows(case: Case, tmp_path: Path) -> None:
    outcome = run(case.world, tmp_path, policy=policy_with(tmp_path / "policy", SMALL))
    assert exactly(case.shown(outcome.rows)) == exactly(case.rows)
    assert find_violations(outcome.root, tmp_path / "ledger.sqlite") == []
