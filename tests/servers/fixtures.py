"""The servers as fixtures; `tests/conftest.py` takes them in. A server starts when a test first asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from ofs_spark.foundation.wiring import StoreSettings
from ofs_spark.io.objects.s3 import S3Objects
from ofs_spark.io.objects.s3_client import forget_clients
from tests.servers.process import find_port, run_server

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAOFSTESTS", "AWS_SECRET_ACCESS_KEY": "hunter2-of-tests", "AWS_REGION": "eu-west-1"}
"""What the servers take: anything."""
ENVIRONMENT = {
    **KEYS,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_CONFIG_FILE": "/dev/null",
}
"""What a process needs that asks the servers, and nobody else for credentials."""
NOT_OURS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def s3_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The ordinary S3 server."""
    port, log = find_port(), tmp_path_factory.mktemp("moto") / "moto.log"
    with run_server(
        [sys.executable, "-m", "tests.servers.moto", str(port)], port, log, {"PYTHONPATH": str(ROOT)}
    ) as at:
        yield at


@pytest.fixture
def s3_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and region, from the environment alone: the same ones each time, so that clients are kept."""
    for name in NOT_OURS:
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def no_clients(s3_keys: None) -> Iterator[None]:  # noqa: ARG001  # credentials
    """No client of another test is used, and none of this one is left."""
    forget_clients()
    yield
    forget_clients()


@pytest.fixture
def make_bucket(s3_keys: None) -> Callable[[str], str]:  # noqa: ARG001  # credentials
    """Makes a bucket at an endpoint that no other test has; gives its address."""
    return create_bucket


@pytest.fixture
def s3_objects(s3_address: str, make_bucket: Callable[[str], str]) -> S3Objects:
    """A store below a prefix of a bucket of its own."""
    return S3Objects.at(f"{make_bucket(s3_address)}/pre fix/wörld", StoreSettings(endpoint=s3_address))


def create_bucket(endpoint: str) -> str:
    """A new bucket; its address."""
    from ofs_spark.io.objects.s3_client import find_clients
    from ofs_spark.io.objects.s3_place import read_place

    root = f"s3://ofs-tests-{next(_NUMBERS)}"
    place = read_place(root, StoreSettings(endpoint=endpoint))
    settings = {"LocationConstraint": place.region}
    find_clients(place).again.create_bucket(Bucket=place.bucket, CreateBucketConfiguration=settings)
    return root
