"""Run facts: read by ref alone, and nothing they locate is read without a PASS."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark import contracts
from ofs_spark.canonical import CanonicalError, digest, parse_json
from ofs_spark.errors import Refusal, refuse
from ofs_spark.objects import Audit, ObjectMissing, Objects, protected

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
    """The view at a ref: its digest, and the admitted outputs."""

    ref: str
    digest: str
    contexts: tuple[Context, ...]


def read_run_facts(objects: Objects, ref: str, platform_run_id: str, required: Sequence[str], audit: Audit) -> RunFacts:
    """The run facts at `ref` with every `required` output admitted and its digest proven; each look is audited.

    RUN_FACTS_UNAVAILABLE for a missing, malformed or foreign view; NO_PASS_NO_READ for an output without a locator or
    without a PASS; CONTEXT_DIGEST_MISMATCH for other bytes than stated; REF_ACCESS_DENIED for bytes that are not there.
    """
    with protected(audit, ref, "run_facts"):
        view = _view(objects, ref)
        if view["platform_run_id"] != platform_run_id:
            told = f"{ref} is of platform run {view['platform_run_id']}; the intent names {platform_run_id}"
            raise refuse("RUN_FACTS_UNAVAILABLE", told, ref=ref, pointer="/platform_run_id")
        ref = objects.relative(ref)
    contexts = []
    for output_id in required:
        located = next((one["path"] for one in view["locators"] if one["output_id"] == output_id), output_id)
        with protected(audit, located, "gated_output"):
            contexts.append(_admitted(objects, view, output_id))
    return RunFacts(ref, digest(view), tuple(contexts))


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
    """The one output of this id that a PASS admits, its bytes compared with every digest that is stated of them."""
    locators = [one for one in view["locators"] if one["output_id"] == output_id]
    if not locators:
        raise _denied(view, output_id, "the run facts hold no locator for it")
    admitted = [one for one in locators if _passes(view, output_id, one)]
    if not admitted:
        raise _denied(view, output_id, f"no PASS receipt admits {' or '.join(one['path'] for one in locators)}")
    if len({one["path"] for one in admitted}) > 1:
        paths = ", ".join(sorted(one["path"] for one in admitted))
        raise _denied(view, output_id, f"receipts admit several locators ({paths}), and nothing says which is meant")
    ref = objects.relative(admitted[0]["path"])
    try:
        found = hashlib.sha256(objects.read(ref)).hexdigest()
    except ObjectMissing:
        told = f"output {output_id} is admitted, but there are no bytes at {ref}"
        raise refuse("REF_ACCESS_DENIED", told, ref=ref) from None
    stated = [("its locator", one["content_digest"]["hex"]) for one in admitted if "content_digest" in one]
    stated += [("its receipt", _hex(one["target_digest"])) for one in _admitting(view, output_id, admitted[0])]
    for who, hexes in stated:
        if hexes != found:
            told = f"output {output_id} at {ref} has sha256 {found}; {who} states {hexes}"
            raise refuse("CONTEXT_DIGEST_MISMATCH", told, ref=ref, output_id=output_id, found=found, stated=hexes)
    return Context(output_id, ref, found)


def _hex(stated: Mapping[str, str] | str) -> str:
    """A receipt states a digest as {algo, hex} or as the hex text alone."""
    return stated if isinstance(stated, str) else stated["hex"]


def _passes(view: Mapping[str, Any], output_id: str, locator: Mapping[str, Any]) -> bool:
    """An instance receipt decides where there is one for the output; else a gate's PASS for the locator's fingerprint."""
    if any(one["output_id"] == output_id for one in view.get("instance_receipts", ())):
        return bool(_admitting(view, output_id, locator))
    fingerprint = locator.get("manifest_fingerprint")
    return fingerprint is not None and any(
        one["status"] == "PASS" and one["scope"].get("manifest_fingerprint") == fingerprint
        for one in view.get("gate_receipts", ())
    )


def _admitting(view: Mapping[str, Any], output_id: str, locator: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The PASS receipts of this output at this path; one whose scope is another world than the locator's is none."""
    fingerprint = locator.get("manifest_fingerprint")
    return [
        one
        for one in view.get("instance_receipts", ())
        if (one["output_id"], one["status"]) == (output_id, "PASS")
        and (one["target_ref"]["output_id"], one["target_ref"]["path"]) == (output_id, locator["path"])
        and fingerprint in (None, one["scope"].get("manifest_fingerprint", fingerprint))
    ]


def _denied(view: Mapping[str, Any], output_id: str, message: str) -> Refusal:
    told = f"output {output_id} of {view['platform_run_id']} may not be read: {message}"
    return refuse("NO_PASS_NO_READ", told, output_id=output_id, pointer="/join_scope/required_output_ids")
