"""Proofs say of every document what the validator says: the examples of all contracts, and every small change of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from ofs_spark.foundation import contract_faults, contracts
from ofs_spark.foundation.proofs import compile_proof, find_unknown_rules

EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"
PATHS = sorted(EXAMPLES.glob("*valid/*/*.json"))
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.0, 0.5, 2**63, "", " ", "a\nb", "x", "a" * 1025, "2026-02-10T10:00:00Z",
    "2026-02-10T10:00:00", [], {}, [{}], [None, None], {"a": 1}, "kinesis_sequence", "TRAINING_READY",
)  # fmt: skip
"""What stands in the place of each value, in turn."""


@cache
def whole_validator(contract: str) -> Any:
    """The validator of a contract that takes nobody's word for an item."""
    plain: Any = extend(contract_faults.Strict, {"items": Draft202012Validator.VALIDATORS["items"]})  # type: ignore[no-untyped-call]
    return plain(contracts.resolve_schema(contract), format_checker=contract_faults.FORMATS)


def list_places(node: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value of a document, its own first; of a list, the first two elements alone."""
    yield place
    if isinstance(node, dict):
        for name, below in node.items():
            yield from list_places(below, (*place, name))
    elif isinstance(node, list):
        for index, below in enumerate(node[:2]):
            yield from list_places(below, (*place, index))


def replace_at(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(document)
    holder = changed
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = value
    return changed


def list_changes(document: Any, every: int) -> Iterator[Any]:
    """The document, with each value replaced by every so many of the strange ones, and each object by one with a member
    less or more.
    """
    yield document
    for number, place in enumerate(list_places(document)):
        found = document
        for part in place:
            found = found[part]
        for strange in STRANGE[number % every :: every]:
            yield replace_at(document, place, strange)
        if isinstance(found, dict):
            yield replace_at(document, place, {**found, "no_such_member": 1})
            for name in list(found)[number % every :: every]:
                yield replace_at(document, place, {other: one for other, one in found.items() if other != name})
        if isinstance(found, list):
            yield replace_at(document, place, [*found, *found])


@pytest.mark.parametrize("contract", contracts.list_contracts())
def test_every_rule_of_every_contract_is_compiled(contract: str) -> None:
    """One that is not would cost time without a word."""
    assert find_unknown_rules(contracts.resolve_schema(contract)) == ""


@pytest.mark.parametrize("every", [12, pytest.param(1, marks=pytest.mark.nightly)], ids=["some", "all"])
@pytest.mark.parametrize("contract", contracts.list_contracts())
def test_a_proof_says_what_the_validator_says(contract: str, every: int) -> None:
    proof, validator = compile_proof(contracts.resolve_schema(contract)), whole_validator(contract)
    verdicts = set()
    for path in PATHS:
        if path.parent.name == contract:
            for changed in list_changes(json.loads(path.read_text()), every):
                wrong = next(validator.iter_errors(changed), None)
                assert proof(changed) == (wrong is None), (path.name, changed, wrong)
                verdicts.add(wrong is None)
    assert verdicts == {True, False}


@pytest.mark.parametrize("rule", [{"oneOf": [{}]}, {"items": {"contains": {}}}, {"enum": [{}]}, {"format": "uri"}])
def test_a_rule_that_is_not_compiled_proves_nothing(rule: dict[str, Any]) -> None:
    assert find_unknown_rules(rule)
    assert not compile_proof(rule)({})
    assert not compile_proof({"properties": {"a": rule}})({})


def test_faults_of_one_item_among_proven_ones_are_the_validator_s() -> None:
    document = json.loads((EXAMPLES / "valid/ofs.replay_completeness.v1/complete.json").read_text())
    document["basis"] *= 50
    document["basis"][37] = {**document["basis"][37], "start": "x", "more": 1}
    found = [fault.pointer for fault in contracts.find_faults(document, "ofs.replay_completeness.v1")]
    assert found == ["/basis/37/more", "/basis/37/start"]
