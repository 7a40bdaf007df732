"""The oracle gives what the tables say. The same tables judge the real pipeline."""

from __future__ import annotations

import pytest

from tests.oracle.build import build
from tests.spec.tables import ALL
from tests.worlds.tables import Case, exactly


@pytest.mark.parametrize("case", ALL.values(), ids=ALL.keys())
def test_the_oracle_gives_what_the_table_says(case: Case) -> None:
    dataset = build(case.world)
    assert dataset.refusal == case.code
    if case.rows is not None:
        assert exactly(case.shown(dataset.rows)) == exactly(case.rows)
    assert {k: dataset.counts[k] for k in case.counts} == case.counts
    assert {t: {k: dataset.coverage[t][k] for k in r} for t, r in case.coverage.items()} == case.coverage
    assert {k: dataset.truncated[k] for k in case.truncated} == case.truncated
    assert not case.columns or [tuple(row) for row in dataset.rows] == [case.columns] * len(dataset.rows)
