"""The contracts: one closed JSON Schema per document, and every fault of a document at once.

A contract's name is the `schema_version` of its documents where they carry one. The schemas live once, in `contracts/`
of the repository; a wheel or a shipped archive holds the same folder inside the package.

Two things are stricter than plain JSON Schema, because documents feed identities: an integer is written as one (`7.0`
is refused), and a `date-time` is an instant in UTC (naive times are refused). The annotation `x-refusal` names the
code that a fault at exactly that pointer carries instead of SCHEMA_INVALID; `x-secret` marks a contract whose documents
may hold secrets: their faults show no value.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from heapq import nsmallest
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.errors import InternalError

SUFFIX = ".schema.json"
MOST_FAULTS = 1_000
"""Faults told of one document: an answer to a person stays readable, and no document can make it cost more."""

_PLAIN_KEY = re.compile(r"[A-Za-z_-]{1,40}|(?:spark|ofs)\.[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True)
class DocumentFault:
    """One thing wrong with a document: refusal code, JSON pointer of the place, and why."""

    code: str
    pointer: str
    message: str

    def to_document(self) -> dict[str, str]:
        """The fault as answers show it."""
        return {"code": self.code, "pointer": self.pointer, "message": self.message}

    @property
    def order(self) -> tuple[tuple[tuple[bool, int, str], ...], bool, str, str]:
        """Total order: pointers part by part (indexes as numbers); at one pointer the specific code comes first."""
        parts = self.pointer.split("/")[1:]
        places = tuple((not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)
        return (places, self.code == "SCHEMA_INVALID", self.code, self.message)


def find_root() -> Traversable:
    """The folder of the contracts: inside an installed package, else beside it in the source tree."""
    packaged = files("ofs_spark") / "contracts_data"
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[2] / "contracts"


@cache
def list_contracts() -> tuple[str, ...]:
    """Names of all contracts, ascending."""
    entries = (entry.name for entry in find_root().iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in entries if name.endswith(SUFFIX)))


def recognise_contract(document: Any) -> str | None:
    """The contract a document is under: its schema_version's, else the one its members belong to; None if neither."""
    if not isinstance(document, dict):
        return None
    if "schema_version" in document:
        claimed = document["schema_version"]
        return claimed if claimed in list_contracts() else None
    marked = ((name, load_schema(name).get("x-recognised-by")) for name in list_contracts())
    return next((name for name, members in marked if members and document.keys() >= set(members)), None)


def is_yaml(contract: str) -> bool:
    """Whether documents of this contract are written as YAML."""
    return bool(load_schema(contract).get("x-format") == "yaml")


def is_secret(contract: str) -> bool:
    """Whether documents of this contract may hold secrets."""
    return bool(load_schema(contract).get("x-secret"))


def find_faults(document: Any, contract: str) -> list[DocumentFault]:
    """Every fault of `document` under `contract`, in fault order; empty if it is valid. Unknown contract: KeyError.

    Where there are more than MOST_FAULTS, the first that many that were met: nothing looks for the rest.
    """
    if contract not in list_contracts():
        raise KeyError(contract)
    found: set[DocumentFault] = set()
    for error in _make_validator(contract).iter_errors(document):
        found.update(_list_faults(error, contract))
        if len(found) >= MOST_FAULTS:
            break
    return sort_faults(found)


def sort_faults(found: Iterable[DocumentFault]) -> list[DocumentFault]:
    """The first MOST_FAULTS in fault order."""
    return nsmallest(MOST_FAULTS, found, key=lambda fault: fault.order)


def describe_more(count: int) -> str:
    """How many faults there are beside the one that a message tells, for people; "" for none."""
    least = "at least " if count >= MOST_FAULTS else ""
    return f" (and {least}{count - 1} more)" if count > 1 else ""


def require_valid(document: Any, contract: str) -> None:
    """Checks a document OFS is about to write: one that breaks its own contract is a defect (InternalError)."""
    wrong = find_faults(document, contract)
    if wrong:
        message = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in wrong[:5])
        raise InternalError(f"a {contract} document breaks its contract in {len(wrong)} places: {message}")


@cache
def load_schema(contract: str) -> dict[str, Any]:
    """The JSON Schema of a contract."""
    return load_contract_file(f"{contract}{SUFFIX}")


def is_line(value: str) -> bool:
    """Whether a text is what contracts call a text: one line, at most 1,024 characters, no blanks at its ends."""
    return next(_make_line_validator().iter_errors(value), None) is None


@cache
def _make_line_validator() -> Draft202012Validator:
    checked: Draft202012Validator = _Strict(load_contract_file("definitions.json")["$defs"]["text"])
    return checked


def shorten(message: str, most: int = 300) -> str:
    """A message of at most some `most` characters: its beginning and its end."""
    return message if len(message) <= most else f"{message[: most // 2 - 10]} … {message[10 - most // 2 :]}"


def load_contract_file(name: str) -> dict[str, Any]:
    """A JSON document of the contracts folder, by file name."""
    loaded: dict[str, Any] = json.loads((find_root() / name).read_text(encoding="utf-8"))
    return loaded


@cache
def _make_registry() -> Registry[Any]:
    """Every schema by its `$id`, for references from one to another."""
    documents = [load_contract_file("definitions.json"), *(load_schema(name) for name in list_contracts())]
    return Registry().with_resources((document["$id"], DRAFT202012.create_resource(document)) for document in documents)


@cache
def resolve_schema(contract: str) -> dict[str, Any]:
    """The schema of a contract with every reference replaced by what it names: looked up once, not per value judged."""
    whole = load_schema(contract)
    resolved = _replace_references({"$ref": whole["$id"]}, _make_registry().resolver())
    return {name: part for name, part in resolved.items() if name not in ("$id", "$defs")}


def _replace_references(node: Any, resolver: Any) -> Any:
    """A part of a schema, members beside a reference laid over what it names."""
    if isinstance(node, list):
        return [_replace_references(one, resolver) for one in node]
    if not isinstance(node, dict):
        return node
    own = {name: _replace_references(one, resolver) for name, one in node.items() if name not in ("$ref", "$defs")}
    if "$ref" not in node:
        return own
    found = resolver.lookup(node["$ref"])
    return {**_replace_references(found.contents, found.resolver), **own}


@cache
def _make_validator(contract: str) -> Draft202012Validator:
    checked: Draft202012Validator = _Strict(resolve_schema(contract), format_checker=_FORMATS)
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
    return f"is not what the contract allows ({error.validator}); it is not shown, for it may hold a password"


def format_pointer(path: list[Any]) -> str:
    """RFC 6901 pointer of a path of keys and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def format_secret_pointer(path: list[Any]) -> str:
    """The pointer of a path in a document that may hold secrets: a key that is no plain name may be one."""
    return format_pointer([part if not isinstance(part, str) or _PLAIN_KEY.fullmatch(part) else "…" for part in path])


def _find_code(contract: str, path: list[Any]) -> str:
    """The code annotated at exactly this place of the schema; SCHEMA_INVALID for a place no schema has."""
    node: Any = resolve_schema(contract)
    for part in path:
        below = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
        node = below if isinstance(below, dict) else {}
    code: str = node.get("x-refusal", "SCHEMA_INVALID")
    return code


def _check_pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _compile_pattern(pattern).search(instance):
        yield ValidationError(f"{instance[:120]!r} does not match {pattern}")


@cache
def _compile_pattern(pattern: str) -> re.Pattern[str]:
    # Python's `$` also matches before a final newline; the pattern language of JSON Schema does not.
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


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


_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date-time", raises=ValueError)(_is_instant)
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, instance: type(instance) is int)
_extend: Callable[..., Any] = extend  # the library leaves it untyped


def _check_distinct(validator: Any, wanted: bool, instance: Any, _: Any) -> Iterator[ValidationError]:
    # The library's own check compares every pair and writes the whole list into its message.
    if wanted and validator.is_type(instance, "array"):
        seen = Counter(json.dumps(item, sort_keys=True) for item in instance)
        twice = next((text for text, times in seen.items() if times > 1), None)
        if twice is not None:
            yield ValidationError(f"holds {shorten(twice)} twice")


_CHECKS = Draft202012Validator.VALIDATORS
_OWN_CHECKS = {"pattern": _check_pattern, "additionalProperties": _check_members, "uniqueItems": _check_distinct}
_Strict = _extend(Draft202012Validator, _OWN_CHECKS, type_checker=_TYPES)
