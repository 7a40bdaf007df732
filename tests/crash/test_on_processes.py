"""Builds on processes of the embedded engine that are killed or stopped, in the driver or in a worker, and the build after."""

from __future__ import annotations

import pytest

from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.crash.test_on_spark import ACTIONS, check_two_at_a_time, kill_driver, list_points, stop_driver

KILLS = ("staged_rows.put.before", "table_file.put.after", "table_file.read.before", "manifest.put.before")
"""The first three are reached by workers."""
STOPS = (("engine.scan.before", "term"), ("table_file.put.before", "group-int"), ("staged_rows.put.after", "hup+term"))


def check_kill(point: str) -> None:
    kill_driver(point, "embedded", EmbeddedEngine)


def check_stop(case: tuple[str, str]) -> None:
    stop_driver(*case, "embedded", EmbeddedEngine)


def test_some_kills() -> None:
    check_two_at_a_time(check_kill, KILLS)


def test_some_stops() -> None:
    check_two_at_a_time(check_stop, STOPS)


@pytest.mark.nightly
def test_a_kill_at_every_point() -> None:
    check_two_at_a_time(check_kill, list_points())


@pytest.mark.nightly
def test_a_stop_at_every_point() -> None:
    points = list_points()
    check_two_at_a_time(check_stop, [(point, ACTIONS[at % len(ACTIONS)]) for at, point in enumerate(points)])
