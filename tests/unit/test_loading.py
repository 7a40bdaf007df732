"""The rooms of a build are loaded while its engine starts."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from ofs_spark.foundation.clock import SystemClock
from ofs_spark.workflow import loading

CONTEXT: Any = SimpleNamespace(announce=lambda _room, _doing: None, clock=SystemClock())


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "has_compiled_code", lambda: True)


def test_rooms_are_loaded_while_the_engine_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    loads, starts = threading.Event(), threading.Event()

    def load(_name: str) -> None:
        loads.set()
        assert starts.wait(60)

    def start() -> None:
        assert loads.wait(60)
        starts.set()

    monkeypatch.setattr(loading, "import_module", load)
    loading.load_build_rooms(CONTEXT, None, start)
    assert starts.is_set()


def test_rooms_that_cannot_be_loaded_are_told_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(loading, "import_module", load)
    with pytest.raises(ImportError, match=loading.BUILD):
        loading.load_build_rooms(CONTEXT)
