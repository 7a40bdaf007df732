"""What every test shares: one Spark session per run, how much Hypothesis tries, and what workers share out.

With workers (`WORKERS=2 make test`) a file's tests stay on one worker, which makes what they share once; every file with a
test that needs a JVM stays on one of them. Servers belong to a worker: each starts its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession
from xdist.scheduler import LoadScopeScheduling

from ofs_spark.foundation.stops import STATUSES
from ofs_spark.io.session import build_session, read_properties
from tests.servers.fixtures import make_bucket, no_clients, s3_address, s3_keys, s3_objects
from tests.servers.postgres import PASSWORD, Postgres, run_postgres

__all__ = ["make_bucket", "no_clients", "s3_address", "s3_keys", "s3_objects"]

ROOT = Path(__file__).resolve().parents[1]
COMPILE = """
from ofs_spark.foundation.code_folder import has_compiled_code
from ofs_spark.workflow.loading import compile_loops
has_compiled_code() or compile_loops()
"""

# No deadline: the machine is shared. Derandomized: a change fails because of what it changed, the nightly run explores.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=2_000)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rebuild-golden` writes the golden files that have one source, instead of comparing with them."""
    parser.addoption("--rebuild-golden", action="store_true", help="write tests/golden/console/*.txt anew")


def pytest_configure(config: pytest.Config) -> None:
    """Has the run hear every signal that ends one, whatever the shell that started it ignores; what tests start does too.

    With workers, loops are compiled before there are any: once, and not by two processes that write the same files.
    """
    for one in STATUSES:
        if signal.getsignal(one) is signal.SIG_IGN:  # of a background job, or under nohup
            signal.signal(one, signal.default_int_handler if one == signal.SIGINT else signal.SIG_DFL)
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        subprocess.run([sys.executable, "-c", COMPILE], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what needs a JVM, so that `-m "not spark"` is quick; with workers, what takes minutes begins first."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker("spark")
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _find_turn(item.nodeid))  # no worker is left alone with it


def _find_turn(nodeid: str) -> int:
    return 0 if find_share(nodeid) == SPARK else 1 if "tests/crash/" in nodeid else 2


class Shares(LoadScopeScheduling):  # type: ignore[misc]  # xdist states no types
    """Which tests belong together on a worker."""

    def _split_scope(self, nodeid: str) -> str:
        return find_share(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Shares:
    """xdist's own groups are names behind a test's id, which pytest has not taken since 9.2."""
    return Shares(config, log)


SPARK = "spark"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test prints may be no UTF-8, which a worker of xdist cannot send."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report


def find_share(nodeid: str) -> str:
    """Whose share of the work a test is: its file's, or that of all files with a test that needs a JVM."""
    file = nodeid.partition("::")[0]
    return SPARK if needs_spark(file) else file


@cache
def needs_spark(file: str) -> bool:
    """Whether some test of the file needs a JVM."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return "spark: SparkSession" in text or "pytest.mark.spark" in text


@pytest.fixture(autouse=True)
def sees_only_its_session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wiring's engine is what a fresh process would take: the session of tests that ran before is none of this one's."""
    if "spark" not in request.fixturenames:
        monkeypatch.setattr("ofs_spark.io.engines._has_session", lambda: False)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The run's session: two workers, so that exchanges are real, with the settings users get."""
    scratch = tmp_path_factory.mktemp("spark")
    cheap = {
        "spark.driver.memory": "1g",  # the worlds of tests are small
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
    }
    os.environ.pop("PYSPARK_SUBMIT_ARGS", None)  # an IDE's or notebook's options are not the tests'
    session = build_session(
        {**read_properties(ROOT / "conf" / "spark" / "local.conf"), **cheap},
        "local[2]",
        "ofs tests",
        jvm_log=scratch / "jvm.log",
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The run's PostgreSQL server."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """The run's PostgreSQL server, whose password this process knows."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return postgres_server


@pytest.fixture
def postgres_schema(postgres: Postgres) -> Iterator[str]:
    """An empty schema of the server, for one test."""
    with postgres.new_schema() as name:
        yield name
