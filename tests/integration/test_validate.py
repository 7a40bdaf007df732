"""`ofs validate` says valid only of what its reader takes: whole intents, profiles, indexes, extracts and wirings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark.foundation.canonical import MAX_BYTES
from ofs_spark.foundation.contracts import list_contracts
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.integration.test_refusals import FOUR
from tests.spec.tables.refusals import holding, needs, receipt
from tests.spec.tables.windows import world
from tests.worlds.command import Result, run_command
from tests.worlds.model import canon
from tests.worlds.sabotage import SABOTAGES
from tests.worlds.snapshots import SNAPSHOTS
from tests.worlds.writer import Written, write_world

ROOT = Path(__file__).resolve().parents[2]
WORLD = world(FOUR)


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM, and no wiring of whoever runs the tests."""
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())
    monkeypatch.delenv("OFS_WIRING", raising=False)


def validate(*arguments: str | Path) -> dict[str, Any]:
    """The answer of `ofs --json validate`, its exit status proven."""
    told = run_command("--json", "validate", *map(str, arguments))
    answer: dict[str, Any] = json.loads(told.stdout)
    assert told.exit_code == (0 if answer["valid"] else 10)
    return answer


def list_codes(answer: dict[str, Any]) -> list[str]:
    return [fault["code"] for fault in answer["faults"]]


def change(path: Path, **members: Any) -> Path:
    path.write_bytes(canon({**json.loads(path.read_bytes()), **members}))
    return path


REFUSED_ALONE: dict[str, dict[str, Any]] = {
    "label type outside the vocabulary": {"join_scope": {"label_types": ["shoe_size"]}},
    "no label type": {"join_scope": {}, "filters": {}},
    "label types that differ": {"filters": {"label_types": ["chargeback_status"]}},
    "label types twice": {"join_scope": {"label_types": ["fraud_disposition", "fraud_disposition"]}},
    "a minimum outside the scope": {
        "filters": {"label_coverage_policy": {"min_coverage_by_label_type": {"chargeback_status": 0.5}}}
    },
    "a ratio above one": {
        "filters": {"label_coverage_policy": {"min_coverage_by_label_type": {"fraud_disposition": 2}}}
    },
    "an unknown key of the label policy": {"filters": {"label_coverage_policy": {"min": 1}}},
    "resolution rule": {"label_basis": {"label_asof_utc": "2026-06-01T00:00:00Z", "resolution_rule": "newest"}},
    "filter without values": {"filters": {"country": []}},
    "filter of null": {"filters": {"country": None}},
    "unknown key of the scope": {"join_scope": {"label_types": ["fraud_disposition"], "region": ["x"]}},
    "subject key": {"join_scope": {"label_types": ["fraud_disposition"], "subject_key": "event_id"}},
    "no event types": {"filters": {"event_types": []}},
    "run facts above the root": {"run_facts_ref": "../facts.json"},
    "run facts of another store": {"run_facts_ref": "s3://bucket/facts.json"},
    "run facts with an empty part": {"run_facts_ref": "a//facts.json"},
    "run facts with a backslash": {"run_facts_ref": "a\\facts.json"},
    "slices": {"replay_basis": []},
    "scenarios twice": {"scenario_run_ids": ["a", "a"]},
}


@pytest.mark.parametrize("name", REFUSED_ALONE)
def test_what_a_build_refuses_for_the_intent_alone_is_no_valid_intent(name: str, tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    assert validate(written.intent)["valid"]
    change(written.intent, **REFUSED_ALONE[name])
    told = run_command("--json", "--quiet", "--wiring", str(written.wiring), "build", str(written.intent))
    refused = json.loads(told.stdout)
    assert refused["outcome"] == "REFUSED"
    answer = validate(written.intent)
    assert list_codes(answer)[0] == refused["code"]
    known = {(one["code"], one["pointer"]) for one in answer["faults"]}
    faults = refused["details"].get("faults") or [{"code": refused["code"], "pointer": refused["details"]["pointer"]}]
    assert {(one["code"], one["pointer"]) for one in faults} <= known


@pytest.mark.parametrize("kind", ["parity_rebuild", "forensic_rebuild"])
def test_an_intent_is_judged_as_its_own_command_takes_it(kind: str, tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    change(written.intent, intent_kind=kind)
    assert list_codes(validate(written.intent)) == ["PARITY_ANCHOR_INVALID"] * (kind == "forensic_rebuild")
    change(written.intent, parity_anchor_ref="a/b.json")
    assert validate(written.intent)["valid"]
    told = run_command("--json", "--quiet", "--wiring", str(written.wiring), "build", str(written.intent))
    assert json.loads(told.stdout)["code"] == "INTENT_KIND_UNSUPPORTED"


V1_ONLY: dict[str, dict[str, Any]] = {
    "splits": {
        "output": {
            "splits": {
                "by": "time",
                "train_until": "2026-02-10T00:00:00Z",
                "validation_until": "2026-02-11T00:00:00Z",
            }
        }
    },
    "windows": {"output": {"dataset_kind": "per_window", "bucket": "1h"}},
    "supersedes": {"supersedes": ["dm_" + "0" * 32]},
    "plan check": {"intent_kind": "plan_check"},
}


@pytest.mark.parametrize("name", V1_ONLY)
def test_what_this_release_does_not_build_is_no_valid_intent(name: str, tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    change(written.intent, schema_version="learning.ofs_build_intent.v1")
    assert validate(written.intent)["valid"]
    change(written.intent, **V1_ONLY[name])
    assert list_codes(validate(written.intent)) == ["INTENT_KIND_UNSUPPORTED"]


OTHER_TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "yaml": lambda raw: yaml.safe_dump(json.loads(raw)).encode(),
    "beyond 8 MiB": lambda raw: raw + b" " * MAX_BYTES,
    "byte order mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "utf-16": lambda raw: raw.decode().encode("utf-16"),
    "twice": lambda raw: raw + raw,
    "comment": lambda raw: b"# an intent\n" + raw,
}


@pytest.mark.parametrize("name", OTHER_TEXTS)
def test_a_text_that_a_build_cannot_read_is_no_valid_intent(name: str, tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    written.intent.write_bytes(OTHER_TEXTS[name](written.intent.read_bytes()))
    told = run_command("--json", "--quiet", "--wiring", str(written.wiring), "build", str(written.intent))
    assert json.loads(told.stdout)["code"] == "SCHEMA_INVALID"
    assert list_codes(validate(written.intent)) == ["SCHEMA_INVALID"]


PROFILES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "aggregate": (lambda top: top["feature_groups"][0]["features"][0].update(aggregate="median"), "UNRESOLVED"),
    "a set of no group": (lambda top: top["feature_sets"][0].update(groups=["nowhere@v1"]), "UNRESOLVED"),
    "a group that no set names": (
        lambda top: top["feature_groups"].append({**top["feature_groups"][0], "name": "other", "features": [{}]}),
        "UNRESOLVED",
    ),
    "digest": (lambda top: top.update(content_digest="0" * 64), "MISMATCH"),
    "digest of a number": (lambda top: top.update(content_digest=7), "MISMATCH"),
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_that_does_not_compile_is_not_valid(name: str, tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    assert validate(written.profile)["valid"]
    top = yaml.safe_load(written.profile.read_text())
    damage, code = PROFILES[name]
    damage(top)
    written.profile.write_text(yaml.safe_dump(top))
    for options in ((), ("--contract", "feature_profile")):
        answer = validate(written.profile, *options)
        assert f"FEATURE_PROFILE_{code}" in list_codes(answer)
        assert all(fault["pointer"] for fault in answer["faults"])


def test_a_wrong_digest_is_told_beside_what_does_not_compile(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    top = yaml.safe_load(written.profile.read_text())
    top["content_digest"] = "0" * 64
    top["feature_groups"][0]["features"][0]["aggregate"] = "median"
    written.profile.write_text(yaml.safe_dump(top))
    told = run_command("--json", "--quiet", "--wiring", str(written.wiring), "build", str(written.intent))
    refused = json.loads(told.stdout)
    assert [one["code"] for one in refused["details"]["faults"]] == [
        "FEATURE_PROFILE_UNRESOLVED",
        "FEATURE_PROFILE_MISMATCH",
    ]
    assert set(list_codes(validate(written.profile))) == {"FEATURE_PROFILE_UNRESOLVED", "FEATURE_PROFILE_MISMATCH"}


@pytest.mark.parametrize("document", ["index", "label_extract"])
def test_a_stale_digest_is_a_fault(document: str, tmp_path: Path) -> None:
    path: Path = getattr(write_world(WORLD, tmp_path), document)
    assert validate(path)["valid"]
    change(path, digest="0" * 64)
    assert [fault["pointer"] for fault in validate(path)["faults"]] == ["/digest"]


def test_an_index_that_contradicts_itself_is_not_valid(tmp_path: Path) -> None:
    path = write_world(WORLD, tmp_path).index
    index = json.loads(path.read_bytes())
    index["segments"].append(index["segments"][0])
    change(path, segments=index["segments"])
    answer = validate(path)
    assert {fault["pointer"] for fault in answer["faults"]} == {"/digest", "/segments"}
    assert set(list_codes(answer)) == {"ARCHIVE_INDEX_INVALID"}


def test_a_wiring_with_a_password_is_not_valid(tmp_path: Path) -> None:
    path = write_world(WORLD, tmp_path).wiring
    document = yaml.safe_load(path.read_text())
    assert validate(path)["valid"]
    for dsn in ("postgresql://u:hunter2@h/d", "postgresql://h/d?password=hunter2"):
        path.write_text(yaml.safe_dump({**document, "ledger": {"dsn": dsn}}))
        told = run_command("validate", str(path))
        assert (told.exit_code, "hunter2" in told.stdout + told.stderr) == (10, False)
        assert [fault["pointer"] for fault in validate(path)["faults"]] == ["/ledger/dsn"]


@pytest.mark.parametrize("damage", ['"hunter2": 1, "hunter2": 2', '"a": hunter2', '"a": 0.72299999999999999999999'])
def test_a_broken_wiring_in_json_shows_no_value(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "wiring.json"
    path.write_text(f'{{"objects": {{}}, "ledger": {{}}, {damage}}}')
    for options in ((), ("--contract", "wiring")):
        answer = json.dumps(validate(path, *options))
        assert not {one for one in ("hunter2", "7229") if one in answer}


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"{}", b'{"schema_version": "x"}', b'{"schema_version": ["x"]}', b"- &a [*a]", b"a: 1\na: 2"],
)
def test_a_text_of_no_contract_is_invalid_not_an_error(raw: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(raw)
    assert list_codes(validate(file)) == ["SCHEMA_INVALID"]
    for contract in ("no.such.contract", *list_contracts()):
        assert validate(file, "--contract", contract)["faults"]


def test_yaml_documents_are_read_as_yaml() -> None:
    answer = validate(ROOT / "tests/golden/online/profile.yaml")
    assert answer == {"valid": True, "contract": "feature_profile", "faults": []}


def test_several_files_are_answered_one_by_one(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    files = [written.intent, written.profile, written.wiring, written.index]
    answer = validate(*files)
    assert answer["valid"]
    assert [one["file"] for one in answer["files"]] == [str(file) for file in files]
    assert {tuple(sorted(one)) for one in answer["files"]} == {("contract", "faults", "file", "valid")}
    change(written.intent, join_scope={})
    answer = validate(*files)
    assert [one["valid"] for one in answer["files"]] == [False, True, True, True]
    told = run_command("validate", *map(str, files))
    assert told.stdout.count("\n\n") == 3
    assert "/join_scope/label_types LABEL_TYPE_SCOPE_UNRESOLVED: " in told.stdout
    assert run_command("--json", "validate", str(written.intent), str(tmp_path / "nowhere")).exit_code == 2


def list_files(written: Written) -> list[Path]:
    return sorted(written.wiring.parent.rglob("*"))


PINS = ("run_facts_missing", "index_missing", "extract_missing")


@pytest.mark.parametrize("by", ["flag", "environment"])
@pytest.mark.parametrize("name", PINS)
def test_pins_are_checked_where_a_wiring_is_given(
    name: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_world(WORLD, tmp_path)
    if by == "environment":
        monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    places = () if by == "environment" else ("--wiring", str(written.wiring))

    def ask() -> Result:
        return run_command("--json", "--quiet", *places, "validate", str(written.intent))

    assert ask().exit_code == 0
    damage, code = SABOTAGES[name]
    damage(written)
    written.profile.write_text("feature_groups: 7\n")
    before = list_files(written)
    told = ask()
    assert told.exit_code == 10
    assert {code, "FEATURE_PROFILE_UNRESOLVED"} <= set(list_codes(json.loads(told.stdout)))
    assert list_files(written) == before


def test_a_wiring_that_is_of_no_use_is_a_refusal(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    told = run_command("--json", "--wiring", str(tmp_path / "nowhere.yaml"), "validate", str(written.intent))
    assert (told.exit_code, json.loads(told.stdout)["code"]) == (80, "ENVIRONMENT_UNFIT")


UNSERVED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a variable that is not set": ({"ledger": {"dsn": "sqlite:///${OFS_NO_SUCH_VARIABLE}"}}, ["/ledger/dsn"]),
    "two that are not set": (
        {"ledger": {"dsn": "${OFS_NO_SUCH_VARIABLE}"}, "profiles": {"root": "${OFS_NO_SUCH_VARIABLE}"}},
        ["/ledger/dsn", "/profiles/root"],
    ),
    "an object store": ({"objects": {"root": "gs://bucket/p"}}, ["/objects/root"]),
    "a bucket without a region": ({"objects": {"root": "s3://bucket/p"}}, ["/objects/region"]),
    "a bus": ({"bus": {"kind": "kafka"}}, ["/bus/kind"]),
    "labels": ({"labels": {"kind": "postgres", "dsn": "postgresql://h/d"}}, ["/labels/kind"]),
    "folders in production": ({"kind": "prod"}, [""]),
    "a width": ({"spark": {"ofs.exchange.width": "0"}}, ["/spark/ofs.exchange.width"]),
}


@pytest.mark.parametrize("name", UNSERVED)
def test_a_wiring_that_no_command_takes_is_not_valid(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    path = write_world(WORLD, tmp_path).wiring
    changes, pointers = UNSERVED[name]
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    told = run_command("--json", "--wiring", str(path), "status")
    assert json.loads(told.stdout)["code"] == "ENVIRONMENT_UNFIT"
    found = [(fault["code"], fault["pointer"]) for fault in validate(path)["faults"]]
    assert found == [("ENVIRONMENT_UNFIT", pointer) for pointer in pointers]


POLICY = ROOT / "conf" / "policy"
OF_POLICY: dict[str, tuple[str, Callable[[dict[str, Any]], object], list[tuple[str, str]]]] = {
    "another value": ("layout.yaml", lambda d: d.update(leaf_rows=0), [("SCHEMA_INVALID", "/leaf_rows")]),
    "unknown key": ("replay.yaml", lambda d: d.update(arival="x"), [("SCHEMA_INVALID", "/arival")]),
    "missing key": ("replay.yaml", lambda d: d.pop("arrival"), [("SCHEMA_INVALID", "/arrival")]),
    "another file's key": ("launcher.yaml", lambda d: d.update(leaf_rows=7), [("ENVIRONMENT_UNFIT", "/leaf_rows")]),
}


def test_the_policy_files_are_judged_one_by_one() -> None:
    files = sorted(POLICY.glob("*.yaml"))
    answer = validate(*files)
    assert answer["valid"]
    assert {one["contract"] for one in answer["files"]} == {"policy"}
    assert len(answer["files"]) == len(files)


@pytest.mark.parametrize("name", OF_POLICY)
def test_a_policy_file_that_no_command_takes_is_not_valid(name: str, tmp_path: Path) -> None:
    file, damage, expected = OF_POLICY[name]
    for path in POLICY.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    document = yaml.safe_load((tmp_path / file).read_text())
    damage(document)
    (tmp_path / file).write_text(yaml.safe_dump(document))
    answer = validate(tmp_path / file)
    assert [(fault["code"], fault["pointer"]) for fault in answer["faults"]] == expected
    written = write_world(WORLD, tmp_path / "world")
    line = ("--json", "--wiring", str(written.wiring), "--policy", str(tmp_path), "build", str(written.intent))
    refused = json.loads(run_command(*line).stdout)
    assert (refused["code"], refused["do"]["file"]) == ("ENVIRONMENT_UNFIT", str(tmp_path / file))
    assert refused["do"]["pointer"] == expected[0][1]


SNAPSHOT = SNAPSHOTS[0]
OF_ANCHORS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "whole": ({}, []),
    "another hash": ({"snapshot_hash": "0" * 64}, ["/snapshot_hash"]),
    "another state": ({"features": {}}, ["/snapshot_hash"]),
    "of two kinds": ({"decision_id": "d-1"}, [""]),
}


@pytest.mark.parametrize("name", OF_ANCHORS)
def test_an_anchor_that_contradicts_itself_is_not_valid(name: str, tmp_path: Path) -> None:
    members, pointers = OF_ANCHORS[name]
    path = tmp_path / "anchor.json"
    path.write_bytes(canon({**SNAPSHOT, **members}))
    answer = validate(path, "--contract", "online_anchor")
    assert [fault["pointer"] for fault in answer["faults"]] == pointers
    assert set(list_codes(answer)) <= {"PARITY_ANCHOR_INVALID"}


def test_a_snapshot_of_more_than_eight_mebibytes_is_an_anchor(tmp_path: Path) -> None:
    states = {f"key-{number:06d}": next(iter(SNAPSHOT["features"].values())) for number in range(90_000)}
    path = tmp_path / "anchor.json"
    path.write_bytes(canon({**SNAPSHOT, "features": states}))
    assert path.stat().st_size > MAX_BYTES
    assert [fault["pointer"] for fault in validate(path)["faults"]] == ["/snapshot_hash"]


def test_run_facts_that_state_two_digests_of_an_output_are_not_valid(tmp_path: Path) -> None:
    made = holding(b"sealed", needs((receipt("PASS"),)))
    written = write_world(made, tmp_path)
    assert validate(written.run_facts)["valid"]
    facts = json.loads(written.run_facts.read_bytes())
    facts["locators"][0]["content_digest"]["hex"] = "0" * 64
    change(written.run_facts, locators=facts["locators"])
    answer = validate(written.run_facts)
    assert [(fault["code"], fault["pointer"]) for fault in answer["faults"]] == [
        ("CONTEXT_DIGEST_MISMATCH", "/locators/0/content_digest/hex")
    ]
    told = run_command("--json", "--quiet", "--wiring", str(written.wiring), "build", str(written.intent))
    assert json.loads(told.stdout)["code"] == "CONTEXT_DIGEST_MISMATCH"


def ask_with_pins(written: Written) -> dict[str, Any]:
    return validate("--contract", json.loads(written.intent.read_bytes())["schema_version"], written.intent)


@pytest.mark.parametrize("kind", ["build", "forensic"])
def test_a_request_id_that_stands_for_another_intent_is_told(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_world(WORLD, tmp_path)
    monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    if kind == "forensic":
        change(written.intent, intent_kind="forensic_rebuild", parity_anchor_ref="a/b.json")
    run_command("--json", "--quiet", kind, str(written.intent))
    before = {fault["code"] for fault in ask_with_pins(written)["faults"]}
    change(written.intent, policy_revision="another-one")
    told = run_command("--json", "--quiet", kind, str(written.intent))
    refused = json.loads(told.stdout.splitlines()[-1])
    assert refused["code"] == "REQUEST_ID_PAYLOAD_MISMATCH"
    assert before <= {"REF_ACCESS_DENIED", "FEATURE_PROFILE_UNRESOLVED"}
    (fault,) = ask_with_pins(written)["faults"]
    assert (fault["code"], fault["pointer"], fault["message"]) == (refused["code"], "/request_id", refused["message"])


def test_a_run_that_was_resolved_to_another_plan_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt fixed the plan and failed; the profile was edited since."""
    made = world('event|time|card|amount\ne0|10:00|1|"x"', values={"a": {"path": "payload.amount", "type": "int"}})
    written = write_world(made, tmp_path)
    monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    line = ("--json", "--quiet", "build", str(written.intent))
    assert json.loads(run_command(*line).stdout)["code"] == "FEATURE_VALUE_INVALID"
    assert ask_with_pins(written)["valid"]
    top = yaml.safe_load(written.profile.read_text())
    top["feature_groups"][0]["values"]["a"]["type"] = "string"
    written.profile.write_text(yaml.safe_dump(top))
    answer = ask_with_pins(written)
    refused = json.loads(run_command(*line).stdout)
    assert refused["code"] == "BUILD_PLAN_IMMUTABILITY_VIOLATION"
    assert refused["message"].endswith(".json: feature_profile changed since")
    assert (refused["do"]["file"], refused["do"]["pointer"]) == (str(written.intent), "/request_id")
    assert [(fault["code"], fault["message"]) for fault in answer["faults"]] == [(refused["code"], refused["message"])]


@pytest.mark.parametrize("kind", ["parity", "forensic"])
def test_pins_of_a_rebuild_are_judged_as_its_command_does(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group with features of its own, no anchor at its ref, and no word of labels, which a rebuild does not read."""
    written = write_world(WORLD, tmp_path)
    monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    asked = {"intent_kind": f"{kind}_rebuild", "parity_anchor_ref": "a/b.json", "request_id": "rebuild.request"}
    change(written.intent, **asked)
    written.label_extract.unlink()
    written.index.unlink()
    answer = ask_with_pins(written)
    refused = json.loads(run_command("--json", "--quiet", kind, str(written.intent)).stdout)
    assert [(one["code"], one["pointer"], one["message"]) for one in answer["faults"]] == [
        (one["code"], one["pointer"], one["message"]) for one in refused["details"]["faults"]
    ]
    assert list_codes(answer) == ["FEATURE_PROFILE_UNRESOLVED", "REF_ACCESS_DENIED", "ARCHIVE_INDEX_MISSING"]
