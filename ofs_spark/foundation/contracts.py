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
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from heapq import nsmallest
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.proofs import Proof, compile_proof
from ofs_spark.foundation.wording import write_count

SUFFIX = ".schema.json"
_URN = "urn:ofs:"
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
    marked = ((name, load_schema(name).get("x-recognised-by") or ()) for name in list_contracts())
    fitting = [(len(members), name) for name, members in marked if members and document.keys() >= set(members)]
    return max(fitting)[1] if fitting else None


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
    if _make_proof(contract)(document):
        return []
    from ofs_spark.foundation.contract_faults import meet_faults  # loads the validator, for a document that has faults

    found: set[DocumentFault] = set()
    for fault in meet_faults(document, contract):
        found.add(fault)
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
        raise InternalError(
            f"a {contract} document breaks its contract in {write_count(len(wrong), 'place')}: {message}"
        )


@cache
def load_schema(contract: str) -> dict[str, Any]:
    """The JSON Schema of a contract."""
    return load_contract_file(f"{contract}{SUFFIX}")


@cache
def _make_proof(contract: str) -> Proof:
    return compile_proof(resolve_schema(contract))


def is_line(value: str) -> bool:
    """Whether a text is what contracts call a text: one line, at most 1,024 characters, no blanks at its ends."""
    return _make_line_proof()(value)


@cache
def _make_line_proof() -> Proof:
    return compile_proof(load_contract_file("definitions.json")["$defs"]["text"])


def shorten(message: str, most: int = 300) -> str:
    """A message of at most some `most` characters: its beginning and its end."""
    return message if len(message) <= most else f"{message[: most // 2 - 10]} … {message[10 - most // 2 :]}"


def load_contract_file(name: str) -> dict[str, Any]:
    """A JSON document of the contracts folder, by file name."""
    loaded: dict[str, Any] = json.loads((find_root() / name).read_text(encoding="utf-8"))
    return loaded


@cache
def _load_referenced(name: str) -> dict[str, Any]:
    """The document that a reference names by its `$id` without `urn:ofs:`: a contract, or the shared definitions."""
    return load_contract_file("definitions.json") if name == "definitions" else load_schema(name)


@cache
def resolve_schema(contract: str) -> dict[str, Any]:
    """The schema of a contract with every reference replaced by what it names: looked up once, not per value judged."""
    resolved: dict[str, Any] = _replace_references({"$ref": "#"}, contract)
    return {name: part for name, part in resolved.items() if name not in ("$id", "$defs")}


def _replace_references(node: Any, home: str) -> Any:
    """A part of the schema `home`, members beside a reference laid over what it names."""
    if isinstance(node, list):
        return [_replace_references(one, home) for one in node]
    if not isinstance(node, dict):
        return node
    own = {name: _replace_references(one, home) for name, one in node.items() if name not in ("$ref", "$defs")}
    if "$ref" not in node:
        return own
    name, _, pointer = node["$ref"].removeprefix(_URN).partition("#")
    found: Any = _load_referenced(name or home)
    for part in pointer.split("/")[1:]:
        found = found[part]
    return {**_replace_references(found, name or home), **own}


def format_pointer(path: list[Any]) -> str:
    """RFC 6901 pointer of a path of keys and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def format_secret_pointer(path: list[Any]) -> str:
    """The pointer of a path in a document that may hold secrets: a key that is no plain name may be one."""
    return format_pointer([part if not isinstance(part, str) or _PLAIN_KEY.fullmatch(part) else "…" for part in path])
