"""Real Spark builds on S3 and Postgres that are killed at every named point, and the build after that."""

from __future__ import annotations

import signal

import pytest

from tests.crash.drill import require_whole
from tests.crash.served import Servers, serve_drill
from tests.crash.test_on_spark import build_with, check_two_at_a_time, list_points


def kill(point: str, servers: Servers) -> None:
    with serve_drill(servers) as drill:
        ended = build_with(drill, point, "kill")
        assert ended.returncode == -signal.SIGKILL, f"{point}: {ended.returncode} {ended.stdout} {ended.stderr[-2000:]}"
        assert drill.find_violations(settled=False) == [], point
        require_whole(drill, point)


@pytest.mark.nightly
@pytest.mark.spark
def test_a_kill_at_every_point(servers: Servers) -> None:
    check_two_at_a_time(lambda point: kill(point, servers), list_points())
