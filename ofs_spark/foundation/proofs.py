"""Schemas compiled to predicates: a document that keeps its contract is proven in one walk, some thirty times faster.

A proof says yes or nothing: whoever is told no asks the validator of `contract_faults.py`, which alone tells what is
wrong. So a rule that this file does not know costs time and never a wrong verdict: a schema that holds one proves
nothing. Strictness is that of `contracts.py`: an integer is written as one, a `date-time` is an instant in UTC.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ofs_spark.foundation.clock import parse_instant

Schema = Mapping[str, Any]
Proof = Callable[[Any], bool]


class UnknownRuleError(Exception):
    """A schema holds a rule that is not compiled."""


def compile_proof(schema: Schema) -> Proof:
    """Whether a value keeps a schema without references; of one with a rule unknown here: never."""
    try:
        return _compile(schema)
    except UnknownRuleError:
        return lambda _value: False


def find_unknown_rules(schema: Schema) -> str:
    """The first rule of a schema that is not compiled, "" for none."""
    try:
        _compile(schema)
    except UnknownRuleError as unknown:
        return str(unknown)
    return ""


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of a schema. Python's `$` also matches before a final newline; that of JSON Schema does not."""
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def _compile(schema: Schema) -> Proof:
    unknown = {name for name in schema.keys() - _KNOWN if not name.startswith("x-")}
    if unknown:
        raise UnknownRuleError(min(unknown))
    proofs = [_RULES[name](schema[name], schema) for name in schema if name in _RULES]
    return _prove_all([*(compile_kind(schema) for compile_kind in (_compile_object, _compile_text)), *proofs])


def _prove_all(proofs: Sequence[Proof]) -> Proof:
    """Whether each says yes, in order: nested pairs take half the time of a loop over all."""
    first, *others = [one for one in proofs if one is not _say_yes] or [_say_yes]
    if not others:
        return first
    rest = _prove_all(others)
    return lambda value: first(value) and rest(value)


def _say_yes(_value: Any) -> bool:
    return True


_TYPES: Mapping[str, Proof] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _compile_type(stated: str | Sequence[str], _: Schema) -> Proof:
    if stated in ("object", "string"):
        return _say_yes  # told with the other rules of the kind
    proofs = tuple(_TYPES[one] for one in ([stated] if isinstance(stated, str) else stated))
    return proofs[0] if len(proofs) == 1 else lambda value: any(is_one(value) for is_one in proofs)


def _compile_object(schema: Schema) -> Proof:
    """The rules of objects in one call. Whatever is no object keeps them, unless it must be one."""
    if not schema.keys() & _OF_OBJECTS and schema.get("type") != "object":
        return _say_yes
    otherwise = schema.get("type") != "object"
    names, known = frozenset(schema.get("required", ())), frozenset(schema.get("properties", ()))
    below = tuple((name, _compile(one)) for name, one in schema.get("properties", {}).items())
    others = schema.get("additionalProperties", True)
    is_closed, keeps_other = others is False, _say_yes if isinstance(others, bool) else _compile(others)

    def prove(value: Any) -> bool:
        """Whether an object has what it must, and every member keeps its own rules."""
        if not isinstance(value, dict):
            return otherwise
        if not value.keys() >= names or (is_closed and not value.keys() <= known):
            return False
        for name, keeps in below:
            if name in value and not keeps(value[name]):
                return False
        return keeps_other is _say_yes or all(keeps_other(value[name]) for name in value if name not in known)

    return prove


def _compile_text(schema: Schema) -> Proof:
    """The rules of texts in one call, as `_compile_object`."""
    if not schema.keys() & _OF_TEXTS and schema.get("type") != "string":
        return _say_yes
    otherwise = schema.get("type") != "string"
    search = compile_pattern(schema.get("pattern", "")).search
    least, most = schema.get("minLength", 0), schema.get("maxLength", sys.maxsize)

    def prove(value: Any) -> bool:
        """Whether a text is within its lengths and matches its pattern."""
        return least <= len(value) <= most and search(value) is not None if isinstance(value, str) else otherwise

    return prove


def _compile_items(stated: Schema, _: Schema) -> Proof:
    keeps = _compile(stated)
    return lambda value: not isinstance(value, list) or all(map(keeps, value))


def _compile_enum(stated: Sequence[Any], _: Schema) -> Proof:
    if any(isinstance(one, (dict, list)) for one in stated):
        raise UnknownRuleError("enum of objects")
    if all(isinstance(one, str) for one in stated):
        texts = frozenset(stated)
        return lambda value: isinstance(value, str) and value in texts
    kinds = tuple((one, isinstance(one, bool)) for one in stated)
    return lambda value: any(value == one and isinstance(value, bool) == truth for one, truth in kinds)


def _compile_condition(stated: Schema, schema: Schema) -> Proof:
    holds, then, otherwise = _compile(stated), _compile(schema.get("then", {})), _compile(schema.get("else", {}))
    return lambda value: then(value) if holds(value) else otherwise(value)


def _compile_every(stated: Sequence[Schema], _: Schema) -> Proof:
    return _prove_all([_compile(one) for one in stated])


def _compile_any(stated: Sequence[Schema], _: Schema) -> Proof:
    proofs = tuple(map(_compile, stated))
    return lambda value: any(keeps(value) for keeps in proofs)


def _compile_not(stated: Schema, _: Schema) -> Proof:
    keeps = _compile(stated)
    return lambda value: not keeps(value)


def _compile_dependent(stated: Mapping[str, Schema], _: Schema) -> Proof:
    below = tuple((name, _compile(one)) for name, one in stated.items())
    return lambda value: all(keeps(value) for name, keeps in below if isinstance(value, dict) and name in value)


def _compile_names(stated: Schema, _: Schema) -> Proof:
    keeps = _compile(stated)
    return lambda value: not isinstance(value, dict) or all(map(keeps, value))


def _compile_format(stated: str, _: Schema) -> Proof:
    if stated != "date-time":
        raise UnknownRuleError(f"format {stated}")

    def prove(value: Any) -> bool:
        """Whether a text is an instant in UTC."""
        try:
            return not isinstance(value, str) or parse_instant(value) is not None
        except ValueError:
            return False

    return prove


def _compile_unique(stated: bool, _: Schema) -> Proof:
    def prove(value: Any) -> bool:
        """Whether a list holds nothing twice."""
        return not isinstance(value, list) or len({json.dumps(one, sort_keys=True) for one in value}) == len(value)

    return prove if stated else lambda _value: True


def _compile_size(kind: type, least: bool) -> Callable[[int, Schema], Proof]:
    def compile_one(stated: int, _: Schema) -> Proof:
        """The rule of one stated size."""
        if least:
            return lambda value: not isinstance(value, kind) or len(value) >= stated  # type: ignore[arg-type]
        return lambda value: not isinstance(value, kind) or len(value) <= stated  # type: ignore[arg-type]

    return compile_one


def _compile_number(is_within: Callable[[Any, Any], bool]) -> Callable[[Any, Schema], Proof]:
    def compile_one(stated: Any, _: Schema) -> Proof:
        """The rule of one stated bound."""
        return lambda value: isinstance(value, bool) or not isinstance(value, (int, float)) or is_within(value, stated)

    return compile_one


_RULES: Mapping[str, Callable[[Any, Schema], Proof]] = {
    "type": _compile_type,
    "propertyNames": _compile_names,
    "dependentSchemas": _compile_dependent,
    "items": _compile_items,
    "uniqueItems": _compile_unique,
    "enum": _compile_enum,
    "const": lambda stated, schema: _compile_enum((stated,), schema),
    "format": _compile_format,
    "if": _compile_condition,
    "allOf": _compile_every,
    "anyOf": _compile_any,
    "not": _compile_not,
    "minItems": _compile_size(list, True),
    "maxItems": _compile_size(list, False),
    "minProperties": _compile_size(dict, True),
    "maxProperties": _compile_size(dict, False),
    "minimum": _compile_number(lambda value, least: value >= least),
    "maximum": _compile_number(lambda value, most: value <= most),
    "exclusiveMinimum": _compile_number(lambda value, least: value > least),
}
_OF_OBJECTS = frozenset({"required", "properties", "additionalProperties"})
_OF_TEXTS = frozenset({"pattern", "minLength", "maxLength"})
_SILENT = frozenset({"$schema", "$id", "$defs", "title", "description", "then", "else"})
"""Members of a schema that no value breaks, as are those named `x-…`; `then` and `else` are read with their `if`."""
_KNOWN = _RULES.keys() | _OF_OBJECTS | _OF_TEXTS | _SILENT
