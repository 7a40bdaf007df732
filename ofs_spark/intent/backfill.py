"""A backfill: an intent, lifted to one of version 1 that supersedes a published dataset and says why.

What is lifted is what a request id stands for, and what is stored as evidence: the intent as it was given, and what was
asked beside it, are both in it. Lifting it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.collect import refuse_all
from ofs_spark.foundation.contracts import DocumentFault
from ofs_spark.intent.admission import BACKFILL_KIND, find_no_target
from ofs_spark.intent.model import V1, Intent
from ofs_spark.intent.validate import find_intent_faults, parse_document

COMMAND = "backfill"


@dataclass(frozen=True)
class Correction:
    """What is asked beside the intent; None leaves it to the intent.

    supersedes: the id of the dataset whose place is taken; platform_run_id: whose it is, where its ref said so.
    """

    supersedes: str | None = None
    platform_run_id: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    requested_by: str | None = None
    request_id: str | None = None


def read_backfill(raw: bytes, asked: Correction) -> Intent:
    """The lifted intent of a JSON text, v0 or v1; refuses as `read_intent`, and where intent and asked disagree."""
    document = parse_document(raw)
    found = find_intent_faults(document, COMMAND)
    if found:
        raise refuse_all(found)
    differing = list(_find_disagreements(document, asked))
    if differing:
        raise refuse_all(differing)
    lifted = lift_intent(document, asked)
    found = [*find_intent_faults(lifted, COMMAND), *find_no_target(lifted)]
    if found:
        raise refuse_all(found)
    from ofs_spark.intent.documents import parse_intent  # loads pydantic, which other commands do without

    return parse_intent(lifted)


def lift_intent(document: Mapping[str, Any], asked: Correction) -> dict[str, Any]:
    """The document as an intent of version 1 for a backfill, its defaults of posture and training written out."""
    told = {name: getattr(asked, name) for name in ("reason_code", "reason", "requested_by")}
    why = {**document.get("backfill", {}), **{name: text for name, text in told.items() if text is not None}}
    lifted = {
        "non_training_allowed": False,
        **document,
        "schema_version": V1,
        "intent_kind": BACKFILL_KIND,
        "label_basis": {"posture": "KNEW_THEN", **document["label_basis"]},
        "supersedes": sorted(document.get("supersedes") or filter(None, [asked.supersedes])),
        "backfill": why,
    }
    return lifted if asked.request_id is None else {**lifted, "request_id": asked.request_id}


def _find_disagreements(document: Mapping[str, Any], asked: Correction) -> Iterator[DocumentFault]:
    """Where the intent says already what is asked, and says something else."""
    own, why = document.get("supersedes", []), document.get("backfill", {})
    if asked.supersedes is not None and own and own != [asked.supersedes]:
        message = f"is {', '.join(own):.200} in the intent; {asked.supersedes:.200} was asked for"
        yield DocumentFault("SUPERSESSION_LINK_INVALID", "/supersedes", message)
    elsewhere = asked.platform_run_id
    if elsewhere is not None and elsewhere != document["platform_run_id"]:
        message = f"{asked.supersedes} is of {elsewhere:.200}, this intent of {document['platform_run_id']}"
        yield DocumentFault("SUPERSESSION_LINK_INVALID", "/platform_run_id", message)
    for name in ("reason_code", "reason", "requested_by"):
        told = getattr(asked, name)
        if told is not None and why.get(name, told) != told:
            message = f"is {why[name]!r:.200} in the intent; {told!r:.200} was asked for"
            yield DocumentFault("SCHEMA_INVALID", f"/backfill/{name}", message)
