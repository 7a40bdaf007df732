"""Run facts: read by ref alone, and nothing they locate is read without a PASS."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark import contracts
from ofs_spark.canonical import CanonicalError, digest, parse_json
from ofs_spark.errors import Refusal, refuse
from ofs_spark.objects import ObjectMissing, Objects

CONTRACT = "run_facts_view"


@dataclass(frozen=True)
class Context:
    """A gated output that a PASS admits: id, ref, and the sha256 of its bytes."""

    output_id: str
    ref: str
    sha256: str

    def document(self) -> dict[str, str]:
        """As plans and manifests hold it."""
        return {"name": self.output_id, "output_id": self.output_id, "ref": self.ref, "sha256": self.sha256}


@dataclass(frozen=True)
class RunFacts:
    """The view at a ref: its digest, the admitted outputs, and every protected ref that was looked at."""

    ref: str
    digest: str
    contexts: tuple[Context, ...]
    audit: tuple[dict[str, str], ...]


def read_run_facts(objects: Objects, ref: str, platform_run_id: str, required: Sequence[str]) -> RunFacts:
    """The run facts at `ref` with every `required` output admitted and its digest proven.

    RUN_FACTS_UNAVAILABLE for a missing, malformed or foreign view; NO_PASS_NO_READ for an output without a locator or
    without a PASS; CONTEXT_DIGEST_MISMATCH for other bytes than stated; REF_ACCESS_DENIED for bytes that are not there.
    """
    view = _view(objects, ref)
    if view["platform_run_id"] != platform_run_id:
        told = f"{ref} is of platform run {view['platform_run_id']}; the intent names {platform_run_id}"
        raise refuse("RUN_FACTS_UNAVAILABLE", told, ref=ref, pointer="/platform_run_id")
    ref = objects.relative(ref)
    audit = [{"ref": ref, "purpose": "run_facts", "outcome": "resolved"}]
    contexts = [_admitted(objects, view, output_id) for output_id in required]
    audit += [{"ref": context.ref, "purpose": "gated_output", "outcome": "resolved"} for context in contexts]
    return RunFacts(ref, digest(view), tuple(contexts), tuple(audit))


def _view(objects: Objects, ref: str) -> dict[str, Any]:
    try:
        view = parse_json(objects.read(ref), what="the run facts")
    except ObjectMissing:
        raise _unavailable(ref, "there are no run facts at this ref") from None
    except CanonicalError as error:
        raise _unavailable(ref, str(error)) from None
    faults = contracts.faults(view, CONTRACT)
    if faults:
        told = f"{faults[0].pointer}: {faults[0].message}"
        raise _unavailable(ref, told, faults=[fault.document() for fault in faults])
    found: dict[str, Any] = view
    return found


def _unavailable(ref: str, message: str, **details: Any) -> Refusal:
    return refuse("RUN_FACTS_UNAVAILABLE", f"{ref}: {message}", ref=ref, pointer="/run_facts_ref", **details)


def _admitted(objects: Objects, view: Mapping[str, Any], output_id: str) -> Context:
    locators = [one for one in view["locators"] if one["output_id"] == output_id]
    if not locators:
        raise _denied(view, output_id, "the run facts hold no locator for it")
    locator = locators[0]
    if not any(_passes(view, output_id, one) for one in (locator,)):
        raise _denied(view, output_id, f"no PASS receipt admits {locator['path']}")
    ref = objects.relative(locator["path"])
    try:
        found = hashlib.sha256(objects.read(ref)).hexdigest()
    except ObjectMissing:
        raise refuse(
            "REF_ACCESS_DENIED", f"output {output_id} is admitted, but there are no bytes at {ref}", ref=ref
        ) from None
    stated = locator.get("content_digest", {}).get("hex")
    if stated is not None and stated != found:
        told = f"output {output_id} at {ref} has sha256 {found}; its locator states {stated}"
        raise refuse("CONTEXT_DIGEST_MISMATCH", told, ref=ref, output_id=output_id, found=found, stated=stated)
    return Context(output_id, ref, found)


def _passes(view: Mapping[str, Any], output_id: str, locator: Mapping[str, Any]) -> bool:
    """An instance receipt decides where there is one for the output; else a gate's PASS for the locator's fingerprint."""
    receipts = [one for one in view.get("instance_receipts", ()) if one["output_id"] == output_id]
    if receipts:
        return any(
            one["status"] == "PASS"
            and one["target_ref"]["path"] == locator["path"]
            and one["target_ref"]["output_id"] == output_id
            for one in receipts
        )
    fingerprint = locator.get("manifest_fingerprint")
    return fingerprint is not None and any(
        one["status"] == "PASS" and one["scope"].get("manifest_fingerprint") == fingerprint
        for one in view.get("gate_receipts", ())
    )


def _denied(view: Mapping[str, Any], output_id: str, message: str) -> Refusal:
    told = f"output {output_id} of {view['platform_run_id']} may not be read: {message}"
    return refuse("NO_PASS_NO_READ", told, output_id=output_id, pointer="/join_scope/required_output_ids")
