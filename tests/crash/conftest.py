"""Drills wait for nobody."""

from __future__ import annotations

import pytest

from ofs_spark.publish import commit
from tests.crash.served import Servers
from tests.servers.postgres import Postgres


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that cannot be read is read again at once."""
    monkeypatch.setattr(commit, "READ_BACK_PAUSES_S", (0.0,) * len(commit.READ_BACK_PAUSES_S))


@pytest.fixture
def servers(s3_address: str, no_clients: None, postgres: Postgres) -> Servers:  # noqa: ARG001  # credentials
    """A bucket and a database for drills."""
    return Servers(s3_address, postgres)
