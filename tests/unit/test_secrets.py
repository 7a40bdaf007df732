"""A secret of a wiring or of the environment is shown nowhere: messages name the pointer, files hold none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark.foundation import contracts
from ofs_spark.foundation.secrets import holds_literal_secret, is_secret_name
from ofs_spark.foundation.wiring import find_wiring_faults
from tests.spec.tables.windows import world
from tests.worlds.command import run_command
from tests.worlds.writer import write_world

SECRET = "hunter2-Zq9"
WIRING: dict[str, Any] = {
    "objects": {"root": "."},
    "ledger": {"dsn": "sqlite:///ledger.sqlite"},
    "profiles": {"root": "profiles"},
    "labels": {"kind": "extract", "ref": "labels.json"},
}
DSN = f"postgresql://u:{SECRET}@h/d"

CHANGES: dict[str, dict[str, Any]] = {
    "dsn literal": {"ledger": {"dsn": DSN}},
    "dsn typo": {"ledger": {"dsn": f"postgresq://u:{SECRET}@h/d"}},
    "dsn one slash": {"ledger": {"dsn": f"postgresql:/u:{SECRET}@h/d"}},
    "dsn without scheme": {"ledger": {"dsn": f"u:{SECRET}@h/d"}},
    "dsn parameter": {"ledger": {"dsn": f"postgresql://h/d?password={SECRET}"}},
    "dsn key value": {"ledger": {"dsn": f"postgresql://host=h password={SECRET}"}},
    "dsn list": {"ledger": {"dsn": [DSN]}},
    "dsn mapping": {"ledger": {"dsn": {DSN: 1}}},
    "dsn as section": {"ledger": DSN},
    "dsn as key": {"ledger": {DSN: "x"}},
    "dsn beside": {"ledger": {"dsn": "sqlite:///l", "password": SECRET}},
    "secret scheme": {"ledger": {"dsn": f"{SECRET}://h/d"}},
    "labels dsn": {"labels": {"kind": "postgres", "dsn": DSN}},
    "labels dsn extract": {"labels": {"kind": "extract", "dsn": DSN}},
    "labels dsn list": {"labels": {"kind": "postgres", "dsn": [SECRET]}},
    "labels as text": {"labels": DSN},
    "labels kind": {"labels": {"kind": DSN, "ref": "x"}},
    "root address": {"objects": {"root": f"s3://k:{SECRET}@bucket/p"}},
    "root scheme": {"objects": {"root": f"{SECRET}://bucket"}},
    # A folder that the file itself states is told, for people must know where they are; one of the environment is not.
    "root list": {"objects": {"root": [SECRET]}},
    "endpoint": {"objects": {"root": ".", "endpoint": {SECRET: 1}}},
    "unknown section": {SECRET: {"a": 1}},
    "unknown text": {"passwrod": SECRET},
    "bus": {"bus": {"kind": SECRET}},
    "kind": {"kind": SECRET},
    "telemetry": {"telemetry": {"otlp_endpoint": [SECRET]}},
    "spark literal": {"spark": {"spark.hadoop.fs.s3a.secret.key": SECRET}},
    "spark list": {"spark": {"spark.hadoop.fs.s3a.secret.key": [SECRET]}},
    "spark as text": {"spark": SECRET},
    "spark java option": {"spark": {"spark.driver.extraJavaOptions": f"-Djavax.net.ssl.keyStorePassword={SECRET}"}},
    "spark width": {"spark": {"ofs.exchange.width": SECRET}},
    "profiles": {"profiles": {"root": f"http://u:{SECRET}@h"}},
    "unset variable": {"ledger": {"dsn": f"postgresql://${{{SECRET}}}@h"}},
    "open brace": {"ledger": {"dsn": f"postgresql://${{{SECRET}"}},
}
PLANTED: dict[str, str] = {name: yaml.safe_dump({**WIRING, **changes}) for name, changes in CHANGES.items()} | {
    "yaml tab": f"ledger:\n\tdsn: {DSN}\n",
    "yaml quote": f'ledger: {{dsn: "{DSN}\n',
    "yaml alias": f"ledger: *{SECRET}\n",
    "yaml tag": f"ledger: !{SECRET} x\n",
    "yaml twice": f"{SECRET}: 1\n{SECRET}: 2\n",
    "yaml key": f"[{SECRET}]: 1\n",
    "yaml number": "ledger: {dsn: 0777_2299}\n",
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("command", ["build", "status", "validate", "validate as wiring"])
def test_a_secret_of_a_wiring_is_shown_nowhere(name: str, command: str, tmp_path: Path) -> None:
    file, intent = tmp_path / "wiring.yaml", tmp_path / "intent.json"
    file.write_text(PLANTED[name])
    intent.write_text("{}")
    arguments = {
        "build": ("build", str(intent)),
        "status": ("status",),
        "validate": ("validate", str(file)),
        "validate as wiring": ("validate", str(file), "--contract", "wiring"),
    }[command]
    for options in (("--json",), ()):
        told = run_command("--wiring", str(file), *options, *arguments)
        assert told.exit_code in (0, 10, 80), told
        assert SECRET not in told.stdout + told.stderr
        assert "0777" not in told.stdout + told.stderr
        if command in ("build", "status"):
            assert told.exit_code == 80
    assert sorted(path.name for path in tmp_path.iterdir()) == ["intent.json", "wiring.yaml"]


EXPANDED = {
    "spark property": {"spark": {"spark.hadoop.fs.s3a.secret.key": "${PLANTED}"}},
    "spark width": {"spark": {"ofs.exchange.width": "${PLANTED}"}},
    "password": {"ledger": {"dsn": "postgresql://u:${PLANTED}@h/d"}},
    "whole dsn": {"ledger": {"dsn": "${PLANTED}"}},
    "labels dsn": {"labels": {"kind": "postgres", "dsn": "postgresql://u:${PLANTED}@h/d"}},
    "root": {"objects": {"root": "/nowhere/${PLANTED}"}},
    "profiles": {"profiles": {"root": "${PLANTED}://h"}},
    "endpoint": {"objects": {"root": "objects", "endpoint": "https://u:${PLANTED}@h"}},
}


@pytest.mark.parametrize("name", EXPANDED)
def test_an_expanded_secret_is_in_no_artifact_row_log_or_output(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", SECRET)
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path)
    document = {**yaml.safe_load(written.wiring.read_text()), **EXPANDED[name]}
    written.wiring.write_text(yaml.safe_dump(document))
    written.run_facts.unlink()  # the build ends before it starts an engine
    told = run_command("--json", "--wiring", str(written.wiring), "build", str(written.intent))
    assert json.loads(told.stdout)["outcome"] == "REFUSED"
    assert SECRET not in told.stdout + told.stderr
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert holding == []


def test_variables_and_home_are_expanded_in_the_wiring_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / "home" / "w")
    document = yaml.safe_load(written.wiring.read_text())
    root = Path(written.wiring.parent, document["objects"]["root"]).resolve()
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.setenv("LEDGER", "aside.sqlite")
    document |= {"objects": {"root": f"~/{root.name}"}, "ledger": {"dsn": "sqlite:///~/${LEDGER}"}}
    written.wiring.write_text(yaml.safe_dump(document))
    written.run_facts.unlink()
    told = run_command("--json", "--wiring", str(written.wiring), "build", str(written.intent))
    assert json.loads(told.stdout)["code"] == "RUN_FACTS_UNAVAILABLE", told
    assert (root.parent / "aside.sqlite").is_file()
    monkeypatch.delenv("LEDGER")
    told = run_command("--json", "--wiring", str(written.wiring), "status")
    assert json.loads(told.stdout)["details"] == {"pointer": "/ledger/dsn"}
    assert "LEDGER, which is not set" in told.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "sqlite:///ledger.sqlite"),
        ("", "postgresql://user@host/db"),
        ("", "postgresql://user:${PGPASSWORD}@host:5432/db"),
        ("", "postgresql://host:5432/db?sslmode=require"),
        ("", "folder/a:b@c"),
        ("spark.hadoop.fs.s3a.secret.key", "${KEY}"),
        ("spark.hadoop.fs.s3a.aws.credentials.provider", "com.example.Provider"),
        ("spark.authenticate", "true"),
        ("spark.hadoop.token.enabled", "true"),
        ("spark.driver.memory", "4g"),
    ],
)
def test_what_is_no_secret_may_stand_in_a_wiring(name: str, value: str) -> None:
    assert not holds_literal_secret(value, name)


def test_names_of_secrets() -> None:
    secret = ("fs.azure.account.key.x", "spark.hadoop.fs.s3a.access.key", "spark.ssl.keyPassword", "a.TOKEN")
    assert all(map(is_secret_name, secret))
    assert not any(map(is_secret_name, ("spark.sql.shuffle.partitions", "spark.master", "spark.ssl.keyStoreType")))


def list_text_places(schema: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every place of a wiring that may hold a text, as the contract has it."""
    found = (
        {path} if schema.get("type") == "string" or "enum" in schema or "string" in schema.get("type", ()) else set()
    )
    for branch in (schema, schema.get("then", {}), schema.get("else", {})):
        for name, below in branch.get("properties", {}).items():
            found |= list_text_places(below, (*path, name))
    return found


SHOWN = {
    "/kind",
    "/engine",
    "/labels/kind",
    "/labels/ref",
    "/labels/schema",
    "/bus/kind",
    "/bus/region",
    "/objects/region",
}
"""Places whose values answers, plans or manifests may show."""


@pytest.mark.parametrize("place", sorted(list_text_places(contracts.resolve_schema("wiring"))), ids="/".join)
def test_a_variable_stands_only_where_its_value_is_shown_nowhere(place: tuple[str, ...]) -> None:
    raw: dict[str, Any] = json.loads(json.dumps(WIRING))
    here = raw
    for part in place[:-1]:
        here = here.setdefault(part, {"kind": "none"} if part == "bus" else {})
    if place in (("labels", "dsn"), ("labels", "schema")):
        here |= {"kind": "postgres", "dsn": "x", "schema": "x"}
        del here["ref"]
    here[place[-1]] = "x${PLANTED}"
    told = [one for one in find_wiring_faults(raw) if one.pointer == "/" + "/".join(place)]
    assert any("takes no variable" in one.message or "enum" in one.message for one in told) is is_shown(place)


def is_shown(place: tuple[str, ...]) -> bool:
    return "/" + "/".join(place) in SHOWN


@pytest.mark.parametrize("command", ["build", "validate"])
def test_a_variable_in_the_ref_of_the_extract_is_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", SECRET)
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path)
    document = yaml.safe_load(written.wiring.read_text())
    document["labels"]["ref"] = "${PLANTED}/label_extract.json"
    written.wiring.write_text(yaml.safe_dump(document))
    target = written.intent if command == "build" else written.wiring
    told = run_command("--json", "--quiet", "--wiring", str(written.wiring), command, str(target))
    answer = json.loads(told.stdout)
    assert SECRET not in told.stdout + told.stderr
    faults = answer["faults"] if command == "validate" else answer["details"]["faults"]
    assert [fault["pointer"] for fault in faults] == ["/labels/ref"]


@pytest.mark.parametrize("literal", [True, False])
def test_no_path_below_a_root_of_the_environment_is_shown(
    literal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to run next names a file below the root, unless that would show the value."""
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path / SECRET)
    monkeypatch.setenv("PLANTED", SECRET)
    document = yaml.safe_load(written.wiring.read_text())
    index = json.loads(written.index.read_bytes())
    written.index.write_text(json.dumps({**index, "digest": "0" * 64}))
    for section in ("objects", "profiles"):
        stated = document[section]["root"]
        document[section]["root"] = stated if literal else stated.replace(SECRET, "${PLANTED}")
    document["ledger"]["dsn"] = f"sqlite:///{tmp_path}/ledger.sqlite"
    wiring, intent = tmp_path / "wiring.yaml", tmp_path / "intent.json"
    wiring.write_text(yaml.safe_dump(document))
    intent.write_bytes(written.intent.read_bytes())
    told = run_command("--json", "--quiet", "--wiring", str(wiring), "build", str(intent))
    assert json.loads(told.stdout)["code"] == "ARCHIVE_INDEX_INVALID"
    assert (SECRET in told.stdout + told.stderr) is literal
