"""Every spec table through the whole real pipeline, without a JVM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.tables import ALL
from tests.worlds.running import manifests, run


@pytest.mark.parametrize("name", ALL)
def test_case(name: str, tmp_path: Path) -> None:
    case = ALL[name]
    outcome = run(case.world, tmp_path)
    assert outcome.code == case.code, str(outcome.refusal)
    if outcome.refusal:
        assert not manifests(outcome.root)
    elif case.rows is not None:
        assert case.shown(outcome.rows) == case.rows
