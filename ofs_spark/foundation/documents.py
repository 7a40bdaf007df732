"""Stored documents: read by ref, bounded, parsed, judged by their contract, or refused with the code of their kind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ofs_spark.foundation.canonical import MAX_BYTES, CanonicalError, digest, parse_json
from ofs_spark.foundation.contracts import DocumentFault, describe_more, find_faults
from ofs_spark.foundation.errors import InternalError, Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge
from ofs_spark.foundation.wording import write_count

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

MOST_LISTED = 50
"""Faults of a stored document listed with its refusal; `fault_count` tells how many were found."""


@dataclass(frozen=True)
class DocumentKind:
    """One kind of stored document: its contract, what people call it, and the codes that it is refused with.

    `pointer`: the member of the intent that names its ref, "" where nothing of the intent does. `max_bytes` is compared
    before anything is parsed. `root`: the member of the wiring that its refs count from, "" for the object root.
    """

    contract: str
    noun: str
    missing: str
    invalid: str
    pointer: str = ""
    max_bytes: int = MAX_BYTES
    root: str = ""

    def refuse(self, ref: str, message: str, **details: Any) -> Refusal:
        """The refusal of a document of this kind that stands at `ref` and is not what it must be."""
        found = {"code": self.invalid, "pointer": "", "message": f"{ref}: {message}", "ref": ref}
        return self._refuse(self.invalid, ref, message, {"faults": [found], **details})

    def refuse_missing(self, ref: str) -> Refusal:
        """The refusal where nothing stands at `ref`."""
        below = f" below {self.root} of the wiring" if self.root else ""
        return self._refuse(self.missing, ref, f"there is no {self.noun} at this ref{below}", {})

    def _refuse(self, code: str, ref: str, message: str, details: Mapping[str, Any]) -> Refusal:
        pointer = {"pointer": self.pointer} if self.pointer else {}
        return refuse(code, f"{ref}: {message}", **{"ref": ref, **pointer, **details})

    def refuse_faults(self, ref: str, faults: Sequence[Mapping[str, str]]) -> Refusal:
        """The refusal for faults of the document's content, the first one told, at most MOST_LISTED listed.

        Each names the document by its `ref`: a fault without one is the intent's.
        """
        first = faults[0]
        message = f"{first['pointer'] or 'the document'}: {first['message']}{describe_more(len(faults))}"
        listed = [{**fault, "ref": ref} for fault in faults[:MOST_LISTED]]
        return self.refuse(ref, message, faults=listed, fault_count=len(faults))


def read_document(objects: Objects, kind: DocumentKind, ref: str) -> dict[str, Any]:
    """The JSON document at `ref`, valid under its contract; else the kind's refusal with every fault."""
    document = parse_document(fetch_document(objects, kind, ref), kind, ref)
    require_kept(document, kind, ref)
    found: dict[str, Any] = document
    return found


def require_kept(document: Any, kind: DocumentKind, ref: str) -> None:
    """The kind's refusal, with every fault, of a parsed document that does not keep its contract."""
    _require_valid(find_faults(document, kind.contract), kind, ref)


def judge_model(document: Any, kind: DocumentKind, ref: str, model: type[Model]) -> Model:
    """A parsed document as `model`; else the kind's refusal with the faults that its schema tells.

    The model judges: it is some hundred times faster than the schema.
    """
    from pydantic import (
        ValidationError,  # loaded for the documents that have a model, and for no answer from a manifest
    )

    try:
        return model.model_validate(document)
    except ValidationError as rejected:
        _require_valid(find_faults(document, kind.contract), kind, ref)
        message = f"the model of a {kind.contract} rejects what its schema admits: {rejected.errors()[:3]}"
        raise InternalError(message) from None


def fetch_document(objects: Objects, kind: DocumentKind, ref: str) -> bytes:
    """The bytes at `ref`, or the kind's refusal where nothing stands there, or more than the kind may have.

    What the store itself refuses names the member of the intent that the ref stands in.
    """
    try:
        return objects.read(ref, kind.max_bytes)
    except Refusal as refused:
        if kind.pointer:
            refused.details.setdefault("pointer", kind.pointer)
        raise
    except ObjectMissing:
        raise kind.refuse_missing(ref) from None
    except ObjectTooLarge as error:
        message = f"the {kind.noun} has {write_count(error.found, 'byte')}, at most {error.allowed:,} are read"
        raise kind.refuse(ref, message, found=error.found, allowed=error.allowed) from None


def describe_other(objects: Objects, ref: str, body: bytes) -> str:
    """What stands at `ref` if it is not `body`, for people; "" if it is. ObjectMissing if nothing stands.

    A larger object is another one, and is not held. Half an object, from a store that gives one, is read again.
    """
    other = ""
    for _ in range(2):
        try:
            standing = objects.read(ref, len(body))
        except ObjectTooLarge as error:
            other = write_count(error.found, "byte")
            continue
        if standing == body:
            return ""
        other = f"sha256 {hashlib.sha256(standing).hexdigest()}"
    return other


def parse_document(raw: bytes, kind: DocumentKind, ref: str) -> Any:
    """The value of a JSON text, or the kind's refusal."""
    try:
        return parse_json(raw, what=f"the {kind.noun}", max_bytes=kind.max_bytes)
    except CanonicalError as error:
        raise kind.refuse(ref, str(error)) from None


def digest_content(document: Mapping[str, Any]) -> str:
    """`H` of a document without its own `digest`: what a self-digest states."""
    return digest({name: value for name, value in document.items() if name != "digest"})


def _require_valid(faults: Sequence[DocumentFault], kind: DocumentKind, ref: str) -> None:
    if faults:
        raise kind.refuse_faults(ref, [fault.to_document() for fault in faults])
