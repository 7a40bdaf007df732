"""Run facts: no PASS, no read; no other bytes than the stated ones."""

from __future__ import annotations

import hashlib
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.audit import Audit, Resolution
from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.run_facts import RunFacts, read_run_facts
from tests.spec.intents import ROOT

REF, RUN, BODY = "sr/facts.json", "platform_20260210T130700Z", b"merchants as they were"
SHA = hashlib.sha256(BODY).hexdigest()
VIEW = json.loads((ROOT / "contracts/examples/valid/run_facts_view/admitted.json").read_text())
LOCATOR, RECEIPT, GATE = VIEW["locators"][0], VIEW["instance_receipts"][0], VIEW["gate_receipts"][0]
PATH, OUTPUT = LOCATOR["path"], LOCATOR["output_id"]
STATED = {"algo": "sha256", "hex": SHA}


def locator(**changes: Any) -> dict[str, Any]:
    return {**LOCATOR, "content_digest": STATED, **changes}


def receipt(status: str, path: str = PATH, output: str = OUTPUT) -> dict[str, Any]:
    return {**RECEIPT, "status": status, "target_ref": {"output_id": output, "path": path}, "target_digest": STATED}


def gate(status: str, fingerprint: str = LOCATOR["manifest_fingerprint"]) -> dict[str, Any]:
    return {**GATE, "status": status, "scope": {"manifest_fingerprint": fingerprint}}


def facts(
    required: tuple[str, ...] = (OUTPUT,), body: bytes | None = BODY, audit: Audit | None = None, **changes: Any
) -> RunFacts:
    view = {**VIEW, "locators": [locator()], "instance_receipts": [], "gate_receipts": [], **changes}
    bodies = {REF: json.dumps(view).encode(), **({} if body is None else {PATH: body})}
    return read_run_facts(MemoryObjects(bodies), REF, RUN, required, [] if audit is None else audit)


def code(**how: Any) -> str:
    with pytest.raises(Refusal) as caught:
        facts(**how)
    assert caught.value.exit_status == 20
    return caught.value.code


ADMITTED: dict[str, dict[str, Any]] = {
    "a PASS, its digest as text": {"instance_receipts": [receipt("PASS") | {"target_digest": SHA}]},
    "two locators, one of them admitted": {
        "locators": [locator(path="context/other.parquet"), locator()],
        "instance_receipts": [receipt("PASS"), receipt("FAIL", path="context/other.parquet")],
    },
    "an instance receipt PASS": {"instance_receipts": [receipt("PASS")]},
    "one PASS among FAILs": {"instance_receipts": [receipt("FAIL"), receipt("PASS")]},
    "no instance receipt, a gate PASS in scope": {"gate_receipts": [gate("PASS")]},
    "another output's receipt, a gate PASS": {
        "instance_receipts": [receipt("FAIL", output="terminals") | {"output_id": "terminals"}],
        "gate_receipts": [gate("PASS")],
    },
}
AWAY = (
    "../other/merchants.parquet", "context/../../x", "/etc/passwd", "file:///etc/passwd", "s3://other/x", "http://h/x",
    "context//x", "./x", "context/.", "~/../x", "a\x00b", "a\\..\\b", "a\x1bb", "x/" * 512,
)  # fmt: skip
DENIED = {
    "no receipt at all": {},
    "a FAIL": {"instance_receipts": [receipt("FAIL")]},
    "a FAIL, whatever the gate says": {"instance_receipts": [receipt("FAIL")], "gate_receipts": [gate("PASS")]},
    "a PASS for another path": {"instance_receipts": [receipt("PASS", path="context/other.parquet")]},
    "a PASS for another path, and a gate PASS": {
        "instance_receipts": [receipt("PASS", path="context/other.parquet")],
        "gate_receipts": [gate("PASS")],
    },
    "a gate FAIL": {"gate_receipts": [gate("FAIL")]},
    "a gate PASS of another scope": {"gate_receipts": [gate("PASS", "0" * 64)]},
    "a gate PASS, a locator without a fingerprint": {
        "gate_receipts": [gate("PASS"), {**GATE, "scope": {}}],
        "locators": [{"output_id": OUTPUT, "path": PATH}],
    },
    "a PASS of another world's scope": {
        "instance_receipts": [receipt("PASS") | {"scope": {"manifest_fingerprint": "0" * 64}}],
    },
    "two locators admitted, and nothing says which is meant": {
        "locators": [locator(), locator(path="context/other.parquet")],
        "instance_receipts": [receipt("PASS"), receipt("PASS", path="context/other.parquet")],
    },
    "no locator": {"locators": [], "instance_receipts": [receipt("PASS")]},
}


@pytest.mark.parametrize("receipts", ADMITTED.values(), ids=ADMITTED.keys())
def test_what_a_pass_admits_is_read(receipts: dict[str, Any]) -> None:
    (context,) = facts(**receipts).contexts
    assert (context.output_id, context.ref, context.sha256) == (OUTPUT, PATH, SHA)


@pytest.mark.parametrize("receipts", DENIED.values(), ids=DENIED.keys())
def test_what_no_pass_admits_is_not_read(receipts: dict[str, Any]) -> None:
    assert code(**receipts) == "NO_PASS_NO_READ"
    assert code(body=None, **receipts) == "NO_PASS_NO_READ"  # judged before any byte is asked for


def test_every_required_output_is_judged() -> None:
    passed = {"instance_receipts": [receipt("PASS")]}
    assert code(required=(OUTPUT, "terminals"), **passed) == "NO_PASS_NO_READ"
    assert facts(required=(), body=None).contexts == ()


def test_other_bytes_than_stated() -> None:
    assert code(body=BODY + b".", instance_receipts=[receipt("PASS")]) == "CONTEXT_DIGEST_MISMATCH"


def test_a_gate_that_states_a_digest_of_these_bytes_is_held_to_it() -> None:
    target = {"output_id": OUTPUT, "path": PATH}
    lying = gate("PASS") | {"target_ref": target, "target_digest": "0" * 64}
    assert code(gate_receipts=[lying]) == "CONTEXT_DIGEST_MISMATCH"
    assert code(gate_receipts=[lying], instance_receipts=[receipt("PASS")]) == "CONTEXT_DIGEST_MISMATCH"
    other = lying | {"target_ref": target | {"path": "context/other.parquet"}}
    assert facts(gate_receipts=[gate("PASS"), lying | {"status": "FAIL"}, other]).contexts


def test_every_admitted_locator_of_a_path_is_held_to_its_receipts() -> None:
    elsewhere = locator(manifest_fingerprint="e" * 64)
    lying = receipt("PASS") | {"scope": {"manifest_fingerprint": "e" * 64}, "target_digest": "0" * 64}
    how = {"locators": [locator(), elsewhere], "instance_receipts": [receipt("PASS"), lying]}
    assert code(**how) == "CONTEXT_DIGEST_MISMATCH"


def test_a_mismatch_names_the_receipt() -> None:
    with pytest.raises(Refusal, match=f"the receipt of {OUTPUT} states {'0' * 64}"):
        facts(instance_receipts=[receipt("PASS") | {"target_digest": "0" * 64}])


def test_the_audit_names_the_locator_that_was_read() -> None:
    audit: Audit = []
    facts(audit=audit, **ADMITTED["two locators, one of them admitted"])
    assert audit[1:] == [Resolution(PATH, "gated_output", "resolved")]


@pytest.mark.parametrize("stated", ["0" * 64, {"algo": "sha256", "hex": "0" * 64}])
def test_other_bytes_than_the_receipt_states(stated: Any) -> None:
    passed = receipt("PASS") | {"target_digest": stated}
    assert code(instance_receipts=[passed]) == "CONTEXT_DIGEST_MISMATCH"
    assert facts(
        instance_receipts=[passed | {"status": "FAIL"}, receipt("PASS")]
    ).contexts  # a FAIL vouches for nothing


def test_a_locator_that_states_no_digest_pins_the_bytes_it_has() -> None:
    bare = {name: value for name, value in LOCATOR.items() if name != "content_digest"}
    (context,) = facts(gate_receipts=[gate("PASS")], locators=[bare]).contexts
    assert context.sha256 == SHA


def test_admitted_bytes_that_are_not_there() -> None:
    assert code(body=None, instance_receipts=[receipt("PASS")]) == "REF_ACCESS_DENIED"


@pytest.mark.parametrize("ref", AWAY, ids=ascii)
def test_a_locator_out_of_the_root(ref: str) -> None:
    audit: Audit = []
    how = {"locators": [locator(path=ref)], "instance_receipts": [receipt("PASS", path=ref)], "audit": audit}
    assert code(**how) == "REF_SCOPE_INVALID"
    assert audit[-1] == Resolution(ref, "gated_output", "denied")


def test_a_locator_that_leaves_the_root_by_a_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(BODY)
    objects = LocalObjects.at(tmp_path / "root")
    target = Path(objects.locate(PATH))
    target.parent.mkdir(parents=True)
    target.symlink_to(secret)
    view = {**VIEW, "locators": [locator()], "instance_receipts": [receipt("PASS")]}
    objects.put_if_absent(REF, json.dumps(view).encode())
    with pytest.raises(Refusal, match="symbolic link") as caught:
        read_run_facts(objects, REF, RUN, (OUTPUT,), [])
    assert caught.value.code == "REF_SCOPE_INVALID"


def test_an_output_of_any_size_is_hashed_and_never_held(tmp_path: Path) -> None:
    """A terabyte would not be read in a test's time: a part of the memory of this process is enough to tell."""
    size, objects = 64 << 20, LocalObjects.at(tmp_path)
    sha256 = hashlib.sha256(bytes(size)).hexdigest()
    passed = {**receipt("PASS"), "target_digest": sha256}
    view = {**VIEW, "locators": [{**LOCATOR, "content_digest": {"algo": "sha256", "hex": sha256}}]}
    objects.put_if_absent(REF, json.dumps({**view, "instance_receipts": [passed], "gate_receipts": []}).encode())
    objects.put_if_absent(PATH, b"")
    os.truncate(objects.locate(PATH), size)
    tracemalloc.start()
    found = read_run_facts(objects, REF, RUN, (OUTPUT,), [])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.contexts[0].sha256 == sha256
    assert peak < 16 << 20


@pytest.mark.parametrize(
    "bodies",
    [{}, {REF: b"{"}, {REF: b"[]"}, {REF: json.dumps({**VIEW, "pins": {}}).encode()}, {REF: b'{"a": NaN}'}],
    ids=["missing", "no JSON", "no object", "pins absent", "NaN"],
)
def test_facts_that_cannot_be_read(bodies: dict[str, bytes]) -> None:
    with pytest.raises(Refusal, match="RUN_FACTS_UNAVAILABLE"):
        read_run_facts(MemoryObjects(bodies), REF, RUN, (), [])


def test_facts_of_another_platform_run() -> None:
    objects = MemoryObjects({REF: json.dumps(VIEW).encode()})
    with pytest.raises(Refusal, match="platform_20260211T000000Z") as caught:
        read_run_facts(objects, REF, "platform_20260211T000000Z", (), [])
    assert caught.value.code == "RUN_FACTS_UNAVAILABLE"


def test_each_protected_ref_is_audited_and_the_view_has_its_digest() -> None:
    audit: Audit = []
    found = facts(audit=audit, instance_receipts=[receipt("PASS")])
    assert audit == [Resolution(REF, "run_facts", "resolved"), Resolution(PATH, "gated_output", "resolved")]
    with pytest.raises(Refusal):
        facts(audit=audit, instance_receipts=[receipt("FAIL")])
    assert audit[2:] == [Resolution(REF, "run_facts", "resolved"), Resolution(PATH, "gated_output", "denied")]
    view = {**VIEW, "locators": [locator()], "instance_receipts": [receipt("PASS")], "gate_receipts": []}
    assert found.digest == digest(view)
