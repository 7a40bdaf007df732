"""Drills wait for nobody."""

from __future__ import annotations

import pytest

from ofs_spark.publish import commit


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that cannot be read is read again at once."""
    monkeypatch.setattr(commit, "READ_BACK_PAUSES_S", (0.0,) * len(commit.READ_BACK_PAUSES_S))
