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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
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
    """Every fault of `document` under `contract`, in fault order; empty if it is valid. Unknown contract: KeyError."""
    if contract not in list_contracts():
        raise KeyError(contract)
    found = {
        fault for error in _make_validator(contract).iter_errors(document) for fault in _list_faults(error, contract)
    }
    return sorted(found, key=lambda fault: fault.order)


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
def _make_validator(contract: str) -> Draft202012Validator:
    checked: Draft202012Validator = _Strict(load_schema(contract), format_checker=_FORMATS, registry=_make_registry())
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
        return [([name], "is not a field of this document") for name in instance if name not in known]
    if error.validator == "not":
        return [([], "must not stand beside the other members that are here")]
    return [([], _name_rule(error) if secret else _shorten(str(error.cause or error.message)))]


def _name_rule(error: ValidationError) -> str:
    """The rule that a value breaks, without the value."""
    return f"is not what the contract allows ({error.validator}); it is not shown, for it may hold a password"


def _shorten(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:140]} … {message[-140:]}"


def format_pointer(path: list[Any]) -> str:
    """RFC 6901 pointer of a path of keys and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def format_secret_pointer(path: list[Any]) -> str:
    """The pointer of a path in a document that may hold secrets: a key that is no plain name may be one."""
    return format_pointer([part if not isinstance(part, str) or _PLAIN_KEY.fullmatch(part) else "…" for part in path])


def _find_code(contract: str, path: list[Any]) -> str:
    """The code annotated at exactly this place of the schema, references followed."""
    resolver = _make_registry().resolver()
    node, resolver = _follow_references({"$ref": f"urn:ofs:{contract}"}, resolver)
    for part in path:
        below = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
        node, resolver = _follow_references(below, resolver)
    code: str = node.get("x-refusal", "SCHEMA_INVALID")
    return code


def _follow_references(node: Any, resolver: Any) -> tuple[dict[str, Any], Any]:
    """A schema with its references followed, members beside a reference kept; nothing for a place no schema has."""
    beside: dict[str, Any] = {}
    while isinstance(node, dict) and "$ref" in node:
        beside = {**node, **beside}
        found = resolver.lookup(node["$ref"])
        node, resolver = found.contents, found.resolver
    return ({**node, **beside} if isinstance(node, dict) else beside), resolver


def _check_pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    # Python's `$` also matches before a final newline; the pattern language of JSON Schema does not.
    if validator.is_type(instance, "string") and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance[:120]!r} does not match {pattern}")


def _is_instant(text: object) -> bool:
    if isinstance(text, str):
        parse_instant(text)
    return True


_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date-time", raises=ValueError)(_is_instant)
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, instance: type(instance) is int)
_extend: Callable[..., Any] = extend  # the library leaves it untyped
_Strict = _extend(Draft202012Validator, {"pattern": _check_pattern}, type_checker=_TYPES)
