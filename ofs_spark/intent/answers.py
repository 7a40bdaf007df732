"""What `ofs identity` answers: a pure function of one document; no Java, no store."""

from __future__ import annotations

from typing import Any

from ofs_spark.foundation.errors import Refusal
from ofs_spark.intent.identity import derive_manifest_id, derive_run_key, fingerprint_dataset, hash_intent_payload
from ofs_spark.intent.validate import read_intent


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
