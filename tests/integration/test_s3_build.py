"""A whole build in a bucket: the dataset is the folder's, and nothing but scratch and the ledger is on the disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars
import pytest
import yaml
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from ofs_spark import pipeline
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.wiring import StoreSettings
from ofs_spark.io.context import open_context
from ofs_spark.io.delta import DeltaTables
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.engines import find_log
from ofs_spark.io.objects.s3 import S3Objects
from ofs_spark.io.objects.s3_client import list_storage_options
from tests.acceptance.test_closure import TRAINING
from tests.servers.fault_proxy import FaultProxy
from tests.servers.fixtures import KEYS
from tests.unit.publish.tables import COLUMNS
from tests.worlds.command import run_command
from tests.worlds.places import Place, list_all, upload_world
from tests.worlds.protected import ROOT, watch
from tests.worlds.running import run
from tests.worlds.writer import write_world

Bucket = Callable[[str], str]
JSON, S3 = ("--json", "--quiet"), "s3://"


def place_world(tmp_path: Path, bucket: str, endpoint: str) -> Place:
    """The world in a bucket; of its folder nothing is left."""
    written = write_world(TRAINING, tmp_path / "world")
    place = upload_world(written, bucket, endpoint, tmp_path / "local")
    shutil.rmtree(tmp_path / "world")
    return place


def step(place: Place, name: str, *arguments: str) -> dict[str, Any]:
    folder = str(place.wiring.parent)
    holes = [place.ledger_dsn.removeprefix("sqlite:///"), f"{folder}/.ledger-"]
    return {
        "name": name,
        "folder": folder,
        "holes": holes,
        "arguments": [*JSON, "--wiring", str(place.wiring), *arguments],
    }


def test_a_build_and_its_verification_in_a_bucket_write_nothing_but_scratch(
    tmp_path: Path, make_bucket: Bucket, s3_address: str
) -> None:
    folder = run(TRAINING, tmp_path / "folder")
    bucket = make_bucket(s3_address)
    place = place_world(tmp_path, bucket, s3_address)
    inputs = set(list_all(place.objects))
    steps = [
        step(place, "build", "build", str(place.intent)),
        step(place, "again", "build", str(place.intent)),
        step(place, "verify", "verify", "{manifest_ref}"),
        step(place, "show", "show", "{dataset_manifest_id}"),
        step(place, "status", "status"),
    ]
    watched = watch(steps, tmp_path, (), protection="")
    for name, report in watched.reports.items():
        assert report["exit"] == 0, (name, report)
        assert watched.find_trespass(name) == []
    built, verified = watched.reports["build"]["answer"], watched.reports["verify"]["answer"]
    assert (built["outcome"], verified["verified"]) == ("COMMITTED", True)
    assert built["content_digest"] == folder.published["content_digest"]
    assert {path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*/ofs/manifests/*")} == {
        ref for ref in list_all(place.objects) if "/ofs/manifests/" in ref
    }
    made = set(list_all(place.objects)) - inputs
    assert all("/ofs/" in ref or ref.endswith("/ofs_reconciliation.json") for ref in made)
    assert sorted(path.name for path in place.wiring.parent.iterdir()) == [
        "intent.json",
        "ledger.sqlite",
        "wiring.yaml",
    ]
    assert any("connect" in reached for reached in watched.reports["build"]["reached"])


@pytest.mark.nightly
def test_a_build_on_spark_in_a_bucket_is_the_same(tmp_path: Path, make_bucket: Bucket, s3_address: str) -> None:
    """Its workers are processes of their own, which open the bucket with credentials from the environment."""
    folder = run(TRAINING, tmp_path / "folder")
    place = place_world(tmp_path, make_bucket(s3_address), s3_address)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch), "SPARK_LOCAL_DIRS": str(scratch), **place.environment}
    command = [sys.executable, "-m", "ofs_spark.cli", *JSON, "--wiring", str(place.wiring), "build", str(place.intent)]
    done = subprocess.run(
        command, cwd=scratch, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert json.loads(done.stdout)["content_digest"] == folder.published["content_digest"]
    assert sorted(path.name for path in place.wiring.parent.iterdir()) == [
        "intent.json",
        "ledger.sqlite",
        "wiring.yaml",
    ]


@pytest.mark.parametrize("prefix", ["", "/a b/wörld/q?x=1#f/{a,b}*+&"], ids=["plain", "odd"])
def test_a_table_in_a_bucket_is_read_by_others(
    prefix: str, tmp_path: Path, make_bucket: Bucket, s3_address: str
) -> None:
    place = place_world(tmp_path, make_bucket(s3_address) + prefix, s3_address)
    answer = build(place)
    address = S3 + quote(place.objects.locate(answer["table_ref"]).removeprefix(S3))
    options = {"endpoint_url": s3_address, "allow_http": "true", "aws_region": KEYS["AWS_REGION"]}
    table = DeltaTable(address, storage_options=options)
    if prefix:  # Polars reads a file's address decoded once too seldom
        found = polars.from_arrow(table.to_pyarrow_table())
    else:
        found = polars.read_delta(address, storage_options={**options, **keys()})
    assert isinstance(found, polars.DataFrame)
    assert (table.version(), len(found)) == (0, answer["rows"])
    assert set(found["event_id"]) == {f"e{number}" for number in range(30)}
    with pytest.raises(DeltaError, match="append"):
        table.delete()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": "s3://no-such-bucket/objects"}, "ListObjectsV2 with NoSuchBucket"),
        ({"root": "{bucket}/a%2Fb"}, "below a prefix with a %: Delta writes no table there"),
        ({"endpoint": "http://127.0.0.1:9"}, "the endpoint of the object store cannot be reached"),
    ],
)
def test_an_object_root_that_cannot_be_is_refused_before_any_work(
    changes: dict[str, str], message: str, tmp_path: Path, make_bucket: Bucket, s3_address: str
) -> None:
    bucket = make_bucket(s3_address)
    place = place_world(tmp_path, bucket, s3_address)
    wiring = yaml.safe_load(place.wiring.read_text())
    wiring["objects"] |= {name: value.format(bucket=bucket) for name, value in changes.items()}
    place.wiring.write_text(yaml.safe_dump(wiring))
    done = run_command(*JSON, "--wiring", str(place.wiring), "build", str(place.intent))
    refusal = json.loads(done.stdout)
    assert (done.exit_code, refusal["code"], refusal["details"]) == (
        80,
        "ENVIRONMENT_UNFIT",
        {"pointer": "/objects/root"},
    )
    assert message in refusal["message"]


def test_a_store_that_ignores_conditions_is_refused_by_the_plan_before_an_engine_starts(
    tmp_path: Path, make_bucket: Bucket, s3_address: str
) -> None:
    bucket = make_bucket(s3_address)
    with FaultProxy(s3_address, drops=("If-None-Match",)) as proxy:
        place = place_world(tmp_path, bucket, proxy.address)
        before = set(list_all(place.objects))
        with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT: the object store ignores the condition If-None-Match"):
            build(place, no_engine)
        made = set(list_all(place.objects)) - before
    assert {ref.split("/")[2] for ref in made if "/ofs/" in ref} <= {
        *("resolved_build_plan", "run_receipts", "governance", "reconciliation")
    }
    assert any("/resolved_build_plan/" in ref for ref in made)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("lost reply", None),
        ("503", None),
        ("403", "REF_ACCESS_DENIED"),
        ("412", "MATERIALIZATION_CORRUPT"),
        ("cut", None),
    ],
)
def test_what_becomes_of_a_table_whose_commit_goes_wrong(
    kind: str, code: str | None, make_bucket: Bucket, s3_address: str
) -> None:
    bucket = make_bucket(s3_address)
    with FaultProxy(s3_address) as proxy:
        objects = S3Objects.at(bucket, StoreSettings(endpoint=proxy.address))
        proxy.fail(kind, method="PUT", part="_delta_log")
        with pytest.raises(Refusal if code else OSError) as found:
            commit_nothing(objects)
        assert proxy.count("PUT", "_delta_log") == 1
    assert code is None or (isinstance(found.value, Refusal) and found.value.code == code)
    assert proxy.address not in str(found.value)
    assert bucket not in str(found.value)


@pytest.mark.parametrize(("bucket", "endpoint"), [("s3://no-such-bucket", ""), ("", "http://127.0.0.1:9")])
def test_a_table_of_no_bucket_is_an_unfit_environment(
    bucket: str, endpoint: str, make_bucket: Bucket, s3_address: str
) -> None:
    where = StoreSettings(endpoint=endpoint or s3_address)
    with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT: the table's log"):
        commit_nothing(S3Objects.at(bucket or make_bucket(s3_address), where))


def commit_nothing(objects: S3Objects) -> None:
    tables = DeltaTables(list_storage_options(objects.place))
    tables.create(objects.locate("run/ofs/datasets/dm/attempt-1"), COLUMNS, (), "n", "d", {}, 0)


def test_no_file_of_a_bucket_is_on_this_machine(tmp_path: Path, make_bucket: Bucket, s3_address: str) -> None:
    place = place_world(tmp_path, make_bucket(s3_address), s3_address)
    heard: list[str] = []
    with open_context(place.wiring, None, lambda _room, doing: heard.append(doing), EmbeddedEngine) as context:
        profile = f"{TRAINING.intent['feature_definition_set']['feature_set_id']}.yaml"
        assert context.profiles.exists(profile)
        assert context.locate_file("profiles", profile) == context.locate_file("objects", "nothing") == ""
    log = find_log(place.objects_root, reads=False)
    assert log.parent == Path(tempfile.gettempdir())
    log.unlink()
    assert heard == []


def no_engine() -> EmbeddedEngine:
    raise AssertionError("an engine was started")


def keys() -> dict[str, str]:
    return {name.lower(): value for name, value in KEYS.items()}


def build(place: Place, engine: Callable[[], EmbeddedEngine] = EmbeddedEngine) -> dict[str, Any]:
    with open_context(place.wiring, None, lambda _room, _doing: None, engine) as context:
        return pipeline.build_dataset(place.intent.read_bytes(), context)
