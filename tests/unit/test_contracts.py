"""Contracts: every example gets the verdict and the faults it stands for, from schema and model alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from ofs_spark.foundation import contracts
from ofs_spark.foundation.codes import CODES
from ofs_spark.foundation.errors import InternalError, Refusal
from ofs_spark.foundation.ownership import find_owner, require_owned
from ofs_spark.intent.documents import IntentV0, IntentV1
from ofs_spark.intent.model import V0, V1

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "contracts" / "examples"
VALID = sorted(EXAMPLES.glob("valid/*/*.json"))
INVALID = sorted(EXAMPLES.glob("invalid/*/*.json"))
FAULTS = json.loads((ROOT / "tests/golden/contract_faults.json").read_text())
OPEN = {"online_anchor"}
"""Documents of others, which hold more than is read."""
MODELS: dict[str, type[BaseModel]] = {V0: IntentV0, V1: IntentV1}
RUN = "platform_20260210T130700Z"


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def modelled(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.parent.name in MODELS]


@pytest.mark.parametrize("contract", contracts.list_contracts())
def test_every_contract_is_a_closed_schema_with_examples(contract: str) -> None:
    schema = contracts.load_schema(contract)
    Draft202012Validator.check_schema(schema)
    assert schema.get("additionalProperties", True) is (contract in OPEN)
    assert schema["$id"] == f"urn:ofs:{contract}"
    assert [path for path in VALID if path.parent.name == contract]
    assert len([path for path in INVALID if path.parent.name == contract]) >= 2


def test_every_open_object_says_that_it_is_open() -> None:
    def silent(node: Any, path: str) -> list[str]:
        if isinstance(node, list):
            return [found for i, item in enumerate(node) for found in silent(item, f"{path}/{i}")]
        if not isinstance(node, dict):
            return []
        closed = {"additionalProperties", "description", "if"} & node.keys()
        here = [path] if node.get("type") == "object" and not closed else []
        return here + [found for key, item in node.items() for found in silent(item, f"{path}/{key}")]

    loose = [
        found for contract in contracts.list_contracts() for found in silent(contracts.load_schema(contract), contract)
    ]
    assert not loose


def test_every_code_in_a_schema_is_in_the_table() -> None:
    texts = [
        (ROOT / "contracts" / f"{contract}{contracts.SUFFIX}").read_text() for contract in contracts.list_contracts()
    ]
    codes = {line.split('"')[3] for text in texts for line in text.splitlines() if '"x-refusal"' in line}
    assert codes
    assert codes <= CODES.keys()


@pytest.mark.parametrize("path", VALID, ids=name)
def test_valid_examples(path: Path) -> None:
    document = json.loads(path.read_text())
    assert contracts.find_faults(document, path.parent.name) == []
    assert contracts.recognise_contract(document) == path.parent.name


@pytest.mark.parametrize("path", INVALID, ids=name)
def test_invalid_examples(path: Path) -> None:
    found = contracts.find_faults(json.loads(path.read_text()), path.parent.name)
    assert [[fault.code, fault.pointer] for fault in found] == FAULTS[name(path)]


@pytest.mark.parametrize("path", modelled(VALID), ids=name)
def test_the_model_admits_what_the_schema_admits(path: Path) -> None:
    MODELS[path.parent.name].model_validate(json.loads(path.read_text()))


@pytest.mark.parametrize("path", modelled(INVALID), ids=name)
def test_the_model_refuses_what_the_schema_refuses(path: Path) -> None:
    with pytest.raises(ValidationError):
        MODELS[path.parent.name].model_validate(json.loads(path.read_text()))


def test_faults_order_by_pointer_and_specific_code() -> None:
    told = [
        *[
            contracts.DocumentFault("SCHEMA_INVALID", "/a/10", "m"),
            contracts.DocumentFault("SCHEMA_INVALID", "/a/9", "m"),
        ],
        *[contracts.DocumentFault("SCHEMA_INVALID", "/a", "m"), contracts.DocumentFault("BASIS_UNRESOLVED", "/a", "m")],
        contracts.DocumentFault("SCHEMA_INVALID", "", "m"),
    ]
    ordered = [(fault.pointer, fault.code) for fault in sorted(told, key=lambda fault: fault.order)]
    assert [pointer for pointer, _ in ordered] == ["", "/a", "/a", "/a/9", "/a/10"]
    assert ordered[1] == ("/a", "BASIS_UNRESOLVED")


def test_pointers_are_escaped() -> None:
    document = json.loads((EXAMPLES / f"valid/{V0}/minimal.json").read_text())
    assert [fault.pointer for fault in contracts.find_faults(document | {"a/b~c": 1}, V0)] == ["/a~1b~0c"]


def test_a_document_of_ours_that_breaks_its_contract_is_a_defect() -> None:
    with pytest.raises(InternalError, match=r"ofs\.plan_index\.v1"):
        contracts.require_valid({"schema_version": "ofs.plan_index.v1"}, "ofs.plan_index.v1")


def test_who_owns_what() -> None:
    assert find_owner(f"{RUN}/ofs/manifests/dm_1.json") == "ofs"
    assert find_owner(f"{RUN}/archive/segment_index.json") == "archive_writer"
    assert find_owner(f"{RUN}/learning/reconciliation/ofs_reconciliation.json") == "ofs"
    assert find_owner(f"{RUN}/learning/reconciliation/other.json") == "platform"
    assert find_owner("elsewhere/ofs/a.json") is None
    require_owned(f"{RUN}/ofs/publication/a.json")
    for ref in (f"{RUN}/label_store/a.parquet", f"{RUN}/ofsx/a.json", "platform_x/ofs/a.json"):
        with pytest.raises(Refusal, match="OWNERSHIP_BOUNDARY_VIOLATION"):
            require_owned(ref)
    with pytest.raises(Refusal, match="REF_SCOPE_INVALID"):
        require_owned(f"{RUN}/ofs/../archive/a")
