"""One map by scheme says what this release reaches; whatever a wiring may name beyond it is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark import pipeline
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.wiring import find_wiring_faults, read_wiring
from ofs_spark.io import adapters
from ofs_spark.io.adapters import (
    BUSES,
    LABEL_STORES,
    LEDGERS,
    OBJECT_STORES,
    find_notes,
    load_wiring,
    open_ledger,
    open_objects,
)
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.ledger.sqlite import SqliteLedger
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.s3 import S3Objects
from ofs_spark.io.objects.s3_place import S3Place

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "contracts" / "wiring.schema.json").read_text())["properties"]
WIRING: dict[str, Any] = {
    "objects": {"root": "objects"},
    "ledger": {"dsn": "sqlite:///ledger/l.sqlite"},
    "profiles": {"root": "profiles"},
    "labels": {"kind": "extract", "ref": "l.json"},
}


def wired(folder: Path, **changes: Any) -> Path:
    (folder / "wiring.yaml").write_text(yaml.safe_dump({**WIRING, **changes}))
    return folder / "wiring.yaml"


def test_the_maps_name_every_kind_of_the_contract_and_no_other() -> None:
    assert sorted(BUSES) == sorted(SCHEMA["bus"]["properties"]["kind"]["enum"])
    kinds = {SCHEMA["labels"][branch]["properties"]["kind"]["const"] for branch in ("then", "else")}
    assert set(LABEL_STORES) == kinds
    assert {f"{scheme}://" in SCHEMA["ledger"]["properties"]["dsn"]["pattern"] for scheme in LEDGERS} == {True}


def test_a_wiring_is_served_by_the_adapters_of_its_schemes(tmp_path: Path) -> None:
    wiring = load_wiring(wired(tmp_path))
    assert open_objects(wiring.objects_root) == LocalObjects(f"{tmp_path}/objects")
    assert open_ledger(wiring.ledger_dsn) == SqliteLedger(f"{tmp_path}/ledger/l.sqlite")


REFUSED = [
    ({"objects": {"root": "gs://bucket/p"}}, "/objects/root", "objects.root is gs: this release reaches file, s3 only"),
    ({"objects": {"root": "s3://u/p"}}, "/objects/root", "objects.root is no s3://bucket/prefix"),
    ({"objects": {"root": "s3://bucket/../p"}}, "/objects/root", "objects.root is no s3://bucket/prefix"),
    ({"objects": {"root": "s3://bucket/p", "endpoint": "hunter2"}}, "/objects/endpoint", "is no address of a store"),
    ({"objects": {"root": "s3://bucket/p", "region": "hunter2!"}}, "/objects/region", "is no name of a region"),
    ({"objects": {"root": "file:///tmp/x"}}, "/objects/root", "objects.root is file://: a folder is named by its path"),
    ({"profiles": {"root": "s3://bucket//p"}}, "/profiles/root", "profiles.root is no s3://bucket/prefix"),
    ({"profiles": {"root": "file:///tmp/x"}}, "/profiles/root", "profiles.root is file://"),
    ({"labels": {"kind": "postgres", "dsn": "hunter2"}}, "/labels/kind", "labels.kind is postgres"),
    *(({"bus": {"kind": kind}}, "/bus/kind", f"bus.kind is {kind}") for kind in ("file", "kafka", "kinesis")),
]


@pytest.mark.parametrize(("changes", "pointer", "message"), REFUSED, ids=[case[2].split(":")[0] for case in REFUSED])
def test_what_no_adapter_serves_is_refused(changes: dict[str, Any], pointer: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        load_wiring(wired(tmp_path, **changes))
    assert (refused.value.code, refused.value.details) == ("ENVIRONMENT_UNFIT", {"pointer": pointer})
    assert message in str(refused.value)
    assert "hunter2" not in str(refused.value.to_document())


@pytest.mark.parametrize(
    "changes",
    [
        {"ledger": {"dsn": "mysql://u:hunter2@h/d"}},
        {"ledger": "postgresql://u:hunter2@h/d"},
        {"labels": {"kind": "postgres", "dsn": ["hunter2"]}},
        {"labels": "postgresql://u:hunter2@h/d"},
    ],
)
def test_a_faulty_address_is_not_told(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="it may hold a password") as refused:
        load_wiring(wired(tmp_path, **changes))
    assert refused.value.details["faults"][0]["pointer"].split("/")[1] in changes
    assert "hunter2" not in str(refused.value.to_document())


def test_an_address_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="/ledger/dsn: is required"):
        load_wiring(wired(tmp_path, ledger={}))


def test_a_prod_wiring_takes_nothing_of_one_machine(tmp_path: Path) -> None:
    both = {"objects": {"root": "s3://bucket/p", "region": "r"}, "ledger": {"dsn": "postgresql://h/d"}}
    for changes in ({}, {"objects": both["objects"]}, {"ledger": both["ledger"]}):
        with pytest.raises(Refusal, match="a prod wiring names an object store and a database server"):
            load_wiring(wired(tmp_path, kind="prod", **changes))
    assert load_wiring(wired(tmp_path, kind="prod", **both, profiles={"root": "s3://bucket/q"})).kind == "prod"


@pytest.mark.parametrize("name", ["local.yaml", "service.yaml"])
def test_a_shipped_wiring_is_one(name: str) -> None:
    file = ROOT / "conf" / "wiring" / name
    assert find_wiring_faults(yaml.safe_load(file.read_text(encoding="utf-8"))) == []


def test_a_bucket_is_reached_as_the_wiring_says(tmp_path: Path) -> None:
    """One endpoint, region and spelling for both roots."""
    objects = {"root": "s3://bucket/p/", "endpoint": "http://127.0.0.1:9000", "region": "r", "path_style": False}
    wiring = load_wiring(wired(tmp_path, objects=objects, profiles={"root": "s3://profiles"}))
    assert (wiring.objects_root, wiring.profiles_root, wiring.unused) == ("s3://bucket/p", "s3://profiles", ())
    for root, bucket, prefix in (("s3://bucket/p", "bucket", "p"), ("s3://profiles", "profiles", "")):
        place = S3Place(bucket, prefix, "http://127.0.0.1:9000", "r", False)
        assert open_objects(root, wiring.store) == S3Objects(place)


@pytest.mark.parametrize("key", ["objects", "profiles"])
def test_objects_that_travel_openly_are_told_of_and_refused_in_prod(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_way = {"endpoint": "http://store.hunter2:9000", "region": "r"}
    changes = {"objects": {"root": "objects", **open_way}, "profiles": {"root": "profiles"}}
    changes[key]["root"] = "s3://bucket"
    notes = list(find_notes(load_wiring(wired(tmp_path, **changes))))
    assert notes == ["objects.endpoint is http:// to another machine: objects travel unencrypted"]
    ledger, folder = LEDGERS["sqlite"], OBJECT_STORES["file"]
    assert ledger is not None
    assert folder is not None
    monkeypatch.setattr(adapters, "LEDGERS", {"sqlite": replace(ledger, one_machine=False)})
    monkeypatch.setattr(adapters, "OBJECT_STORES", {**OBJECT_STORES, "file": replace(folder, one_machine=False)})
    with pytest.raises(Refusal, match="a prod wiring takes https:// alone") as refused:
        load_wiring(wired(tmp_path, kind="prod", **changes))
    assert "hunter2" not in str(refused.value.to_document())
    changes["objects"]["endpoint"] = "https://store.hunter2:9000"
    assert list(find_notes(load_wiring(wired(tmp_path, kind="prod", **changes)))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": {"root": "s3://AKIAHUNTER2:hunter2@bucket/p"}},
        {"objects": {"root": "s3://bucket/p", "endpoint": "https://u:hunter2@h"}},
        {"spark": {"spark.hadoop.fs.s3a.secret.key": "hunter2"}},
    ],
)
def test_keys_of_a_store_stand_in_no_wiring(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="it may hold a password") as refused:
        load_wiring(wired(tmp_path, **changes))
    assert "hunter2" not in str(refused.value.to_document())


def test_a_key_of_a_store_from_the_environment_is_no_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE", "https://u:hunter2@h")
    with pytest.raises(Refusal, match=r"objects\.endpoint is no address of a store") as refused:
        load_wiring(wired(tmp_path, objects={"root": "s3://bucket", "endpoint": "${STORE}"}))
    assert "hunter2" not in str(refused.value.to_document())


def test_a_stated_key_is_unused_unless_a_chosen_adapter_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wired(tmp_path, objects={"root": "objects", "endpoint": "e", "region": "r"})
    assert load_wiring(path).unused == ("objects.endpoint", "objects.region")
    served = OBJECT_STORES["file"]
    assert served is not None
    regional = {**OBJECT_STORES, "file": replace(served, uses=frozenset({"objects.region"}))}
    monkeypatch.setattr(adapters, "OBJECT_STORES", regional)
    assert load_wiring(path).unused == ("objects.endpoint",)


def test_reading_a_wiring_judges_and_resolves_no_address(tmp_path: Path) -> None:
    wiring = read_wiring(wired(tmp_path, kind="prod", objects={"root": "s3://b/p"}, bus={"kind": "kafka"}))
    assert (wiring.kind, wiring.folder, wiring.objects_root, wiring.bus) == ("prod", str(tmp_path), "s3://b/p", "kafka")
    assert (wiring.ledger_dsn, wiring.profiles_root) == (WIRING["ledger"]["dsn"], "profiles")


def test_a_command_that_only_reads_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    with open_context(wired(tmp_path), None, lambda _room, _doing: None, EmbeddedEngine) as context:
        assert pipeline.describe_runs(None, context) == {"runs": [], "total": 0}
        with pytest.raises(Refusal, match="RUN_NOT_FOUND"):
            pipeline.describe_runs("0" * 32, context)
        with pytest.raises(Refusal, match="RUN_NOT_FOUND"):
            pipeline.show_manifest("dm_x", context)
        with pytest.raises(Refusal, match="REF_ACCESS_DENIED"):
            pipeline.show_manifest("run/ofs/manifests/dm_x.json", context)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["objects", "wiring.yaml"]


@pytest.mark.parametrize("root", ["mistyped", "wiring.yaml", "wiring.yaml/below"])
def test_an_object_root_that_does_not_stand_is_refused_and_never_made(root: str, tmp_path: Path) -> None:
    with (
        pytest.raises(Refusal, match=r"ENVIRONMENT_UNFIT: objects\.root is ") as refused,
        open_context(wired(tmp_path, objects={"root": root}), None, lambda _room, _doing: None, EmbeddedEngine),
    ):
        raise AssertionError("it was opened")
    assert refused.value.details == {"pointer": "/objects/root"}
    assert root not in refused.value.message
    assert [path.name for path in tmp_path.rglob("*")] == ["wiring.yaml"]


@pytest.mark.parametrize("name", ["a\\b", "a\tb", "a\x7fb", "a\x01b", "a\nb", "a\udcffb"])
def test_an_object_root_where_no_table_can_be_written_is_refused_before_any_work(name: str, tmp_path: Path) -> None:
    (tmp_path / name / "objects").mkdir(parents=True)
    folder = tmp_path / name
    with (
        pytest.raises(Refusal, match=r"ENVIRONMENT_UNFIT: objects\.root is at a path with") as refused,
        open_context(wired(folder), None, lambda _room, _doing: None, EmbeddedEngine),
    ):
        raise AssertionError("it was opened")
    assert refused.value.details == {"pointer": "/objects/root"}
    assert name not in refused.value.message


@pytest.mark.parametrize("name", ["a\x85b", "a\u2028b", "a\u202eb", "\U0010ffff", "a^b", "{a}", "a<b>"])
def test_any_other_name_of_the_object_root_is_opened(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    (folder / "objects").mkdir(parents=True)
    with open_context(wired(folder), None, lambda _room, _doing: None, EmbeddedEngine) as context:
        assert context.objects.exists("nothing") is False


@pytest.mark.parametrize("width", ["abc", "0", "-1", "", "1.5", "8 ", "٣", True, 1 << 70])
def test_a_width_that_is_no_count_is_refused(width: Any, tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    path = wired(tmp_path, spark={"ofs.exchange.width": width})
    with (
        pytest.raises(Refusal, match="is no whole number") as refused,
        open_context(path, None, lambda _room, _doing: None, EmbeddedEngine),
    ):
        raise AssertionError("it was opened")
    assert refused.value.details == {"pointer": "/spark/ofs.exchange.width"}


def test_the_environment_of_a_build_names_the_engine_that_was_used(tmp_path: Path) -> None:
    class Versioned(EmbeddedEngine):
        def describe_versions(self) -> dict[str, str]:
            return {"spark": "4.0.9-answered", "java": "21"}

    (tmp_path / "objects").mkdir()
    made: list[Versioned] = []

    def make() -> Versioned:
        made.append(Versioned())
        return made[-1]

    with open_context(wired(tmp_path), None, lambda _room, _doing: None, make) as context:
        before = context.environment()
        assert set(before) == {"code", "python", "delta", "arrow"}
        assert before["delta"].startswith("delta-rs ")
        assert made == []
        assert context.engine(1, "") is context.engine(9_000_000, "")
        assert context.environment() == {**before, "spark": "4.0.9-answered", "java": "21"}
    assert len(made) == 1
