"""What `ofs identity` and `ofs validate` answer: pure functions of one document; no Java, no store."""

from __future__ import annotations

from typing import Any

from ofs_spark.foundation import contracts
from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.contracts import DocumentFault
from ofs_spark.foundation.errors import Refusal
from ofs_spark.intent.identity import derive_manifest_id, derive_run_key, fingerprint_dataset, hash_intent_payload
from ofs_spark.intent.model import V0, V1
from ofs_spark.intent.validate import find_intent_faults, read_intent

MAX_VALIDATED_BYTES = 256 * 1024 * 1024
"""Of a file given to `ofs validate`: a segment index lists every file of a platform run."""


def answer_identity(raw: bytes) -> dict[str, Any]:
    """The ids of the intent in `raw`; refuses a document that is no intent.

    Ids of a dataset whose offsets are still to be resolved are null, and `blocker` says why.
    """
    intent = read_intent(raw)
    fingerprint: str | None = None
    blocker: dict[str, str] | None = None
    try:
        fingerprint = fingerprint_dataset(intent)
    except Refusal as refusal:
        blocker = {"code": refusal.code, "message": refusal.message}
    answer: dict[str, Any] = {
        "request_id": intent.request_id,
        "run_key": derive_run_key(intent.request_id),
        "intent_payload_hash": hash_intent_payload(intent),
        "dataset_fingerprint": fingerprint,
        "dataset_manifest_id": None if fingerprint is None else derive_manifest_id(fingerprint),
    }
    return answer if blocker is None else {**answer, "blocker": blocker}


def answer_validate(raw: bytes, contract: str | None = None) -> dict[str, Any]:
    """Whether the document in `raw` keeps its contract, and every fault if not.

    Without `contract` the document's schema_version or, where its kind has none, the members only that kind has say
    which contract it is.
    """
    if contract is not None and contract not in contracts.list_contracts():
        message = f"{contract!r:.80} is no contract; known are {', '.join(contracts.list_contracts())}"
        return _answer(None, [DocumentFault("SCHEMA_INVALID", "", message)])
    try:
        document = _parse(raw, contract)
    except CanonicalError as error:
        return _answer(contract, [DocumentFault("SCHEMA_INVALID", "", str(error))])
    name = contract or contracts.recognise_contract(document)
    if name is None:
        message = f"does not say which contract this is: state one of {', '.join(contracts.list_contracts())}"
        return _answer(None, [DocumentFault("SCHEMA_INVALID", "/schema_version", message)])
    if name in (V0, V1) and isinstance(document, dict) and document.get("schema_version") == name:
        return _answer(name, find_intent_faults(document))
    return _answer(name, contracts.find_faults(document, name))


def _answer(contract: str | None, faults: list[DocumentFault]) -> dict[str, Any]:
    return {"valid": not faults, "contract": contract, "faults": [fault.to_document() for fault in faults]}


def _parse(raw: bytes, contract: str | None) -> Any:
    written_as_json = raw.lstrip()[:1] in (b"{", b"[")
    if written_as_json or not (contract is None or contracts.is_yaml(contract)):
        return parse_json(raw, max_bytes=MAX_VALIDATED_BYTES)
    from ofs_spark.foundation.strict_yaml import parse_yaml  # the YAML library is loaded for YAML alone

    return parse_yaml(raw, quote=contract is not None and not contracts.is_secret(contract))
