"""What is wrong with a document, by the JSON Schema validator: asked only where no proof is had, for it is slow to load.

Its messages never write out a long value, and of a contract whose documents may hold secrets none at all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from heapq import nsmallest
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.contracts import (
    MOST_FAULTS,
    DocumentFault,
    format_pointer,
    format_secret_pointer,
    is_secret,
    resolve_schema,
    shorten,
)
from ofs_spark.foundation.proofs import Proof, Schema, compile_pattern, compile_proof


def meet_faults(document: Any, contract: str) -> Iterator[DocumentFault]:
    """The faults of a document in the order in which they are met; one may come twice."""
    for error in _make_validator(contract).iter_errors(document):
        yield from _list_faults(error, contract)


@cache
def _make_validator(contract: str) -> Draft202012Validator:
    checked: Draft202012Validator = Strict(resolve_schema(contract), format_checker=FORMATS)
    return checked


def _list_faults(error: ValidationError, contract: str) -> Iterator[DocumentFault]:
    if error.context and error.validator in ("anyOf", "oneOf"):
        # The branch whose faults lie deepest is the one that was meant.
        branches: dict[Any, list[ValidationError]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        meant = max(branches.values(), key=lambda inner: max(len(one.absolute_path) for one in inner))
        for one in meant:
            yield from _list_faults(one, contract)
        return
    secret = is_secret(contract)
    for extra, message in _locate_faults(error, secret):
        path = [*error.absolute_path, *extra]
        pointer = format_secret_pointer(path) if secret else format_pointer(path)
        yield DocumentFault(_find_code(contract, path), pointer, message)


def _locate_faults(error: ValidationError, secret: bool) -> list[tuple[list[str], str]]:
    """(path below the error's own, message): missing and unknown members are faults at the member itself."""
    rule: Any = error.validator_value
    instance: Any = error.instance
    schema_here: Any = error.schema
    if error.validator == "required":
        return [([name], "is required") for name in rule if name not in instance]
    if error.validator == "additionalProperties":
        known = schema_here.get("properties", {})
        unknown = nsmallest(MOST_FAULTS, (name for name in instance if name not in known), key=str)
        return [([name], "is not a field of this document") for name in unknown]
    if error.validator == "not":
        return [([], "must not stand beside the other members that are here")]
    return [([], _name_rule(error) if secret else shorten(str(error.cause or error.message)))]


def _name_rule(error: ValidationError) -> str:
    """The rule that a value breaks, without the value."""
    rule: Any = error.validator_value
    listed = rule if isinstance(rule, list) else [rule]
    shown = f": {', '.join(map(str, listed))}" if all(isinstance(one, str | int) for one in listed) else ""
    return f"is not what the contract allows ({error.validator}{shown}); it is not shown, for it may hold a password"


def _find_code(contract: str, path: list[Any]) -> str:
    """The code annotated at exactly this place of the schema; SCHEMA_INVALID for a place no schema has."""
    node: Any = resolve_schema(contract)
    for part in path:
        below = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
        node = below if isinstance(below, dict) else {}
    code: str = node.get("x-refusal", "SCHEMA_INVALID")
    return code


def _check_pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not compile_pattern(pattern).search(instance):
        yield ValidationError(f"{instance[:120]!r} does not match {pattern}")


def _check_members(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # The library's own check writes every unknown name into one message.
    if allowed is not False:
        yield from _CHECKS["additionalProperties"](validator, allowed, instance, schema)
    elif validator.is_type(instance, "object") and not instance.keys() <= schema.get("properties", {}).keys():
        yield ValidationError("holds unknown members")


def _is_instant(text: object) -> bool:
    if isinstance(text, str):
        parse_instant(text)
    return True


FORMATS = FormatChecker(formats=())
FORMATS.checks("date-time", raises=ValueError)(_is_instant)
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, instance: type(instance) is int)
_extend: Callable[..., Any] = extend  # the library leaves it untyped


def _check_distinct(validator: Any, wanted: bool, instance: Any, _: Any) -> Iterator[ValidationError]:
    # The library's own check compares every pair and writes the whole list into its message.
    if wanted and validator.is_type(instance, "array"):
        seen = Counter(json.dumps(item, sort_keys=True) for item in instance)
        twice = next((text for text, times in seen.items() if times > 1), None)
        if twice is not None:
            yield ValidationError(f"holds {shorten(twice)} twice")


def _check_items(validator: Any, schema: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    # The library judges every item; one that is proven has no fault.
    if validator.is_type(instance, "array"):
        keeps = _find_proof(schema)
        for index, item in enumerate(instance):
            if not keeps(item):
                yield from validator.descend(item, schema, path=index)


def _find_proof(schema: Schema) -> Proof:
    """The proof of a part of a resolved schema, compiled once: such a part is the same object each time."""
    found = _PROOFS.get(id(schema))
    if found is None or found[0] is not schema:
        found = _PROOFS[id(schema)] = (schema, compile_proof(schema))
    return found[1]


_PROOFS: dict[int, tuple[Schema, Proof]] = {}
_CHECKS = Draft202012Validator.VALIDATORS
_OWN_CHECKS = {
    "pattern": _check_pattern,
    "additionalProperties": _check_members,
    "uniqueItems": _check_distinct,
    "items": _check_items,
}
Strict = _extend(Draft202012Validator, _OWN_CHECKS, type_checker=_TYPES)
