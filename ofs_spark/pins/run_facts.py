"""Run facts: read by ref alone, and nothing they locate is read without a PASS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ofs_spark.foundation.audit import Audit, audit_resolution
from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.collect import Collector
from ofs_spark.foundation.contracts import DocumentFault
from ofs_spark.foundation.documents import DocumentKind, read_document
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects

RUN_FACTS = DocumentKind(
    "run_facts_view", "run facts view", "RUN_FACTS_UNAVAILABLE", "RUN_FACTS_UNAVAILABLE", "/run_facts_ref"
)


@dataclass(frozen=True)
class Context:
    """A gated output that a PASS admits: id, ref, and the sha256 of its bytes."""

    output_id: str
    ref: str
    sha256: str

    def to_document(self) -> dict[str, str]:
        """As plans and manifests hold it."""
        return {"name": self.output_id, "output_id": self.output_id, "ref": self.ref, "sha256": self.sha256}


@dataclass(frozen=True)
class RunFacts:
    """The view at a ref: its digest, the admitted outputs, and who wrote it in the platform's place."""

    ref: str
    digest: str
    contexts: tuple[Context, ...]
    origin: str | None = None


def read_run_facts(objects: Objects, ref: str, platform_run_id: str, required: Sequence[str], audit: Audit) -> RunFacts:
    """The run facts at `ref` with every `required` output admitted and its digest proven; each is looked at and audited.

    RUN_FACTS_UNAVAILABLE for a missing, malformed or foreign view; NO_PASS_NO_READ for an output without a locator or
    without a PASS; CONTEXT_DIGEST_MISMATCH for other bytes than stated; REF_ACCESS_DENIED for bytes that are not there.
    """
    with audit_resolution(audit, ref, "run_facts"):
        view = read_document(objects, RUN_FACTS, ref)
        if view["platform_run_id"] != platform_run_id:
            message = f"is of platform run {view['platform_run_id']}; the intent names {platform_run_id}"
            raise RUN_FACTS.refuse_faults(ref, [{"pointer": "/platform_run_id", "message": message}])
        ref = objects.relative(ref)
    faults = Collector()
    found = [faults.attempt(partial(_resolve_output, objects, view, one, audit)) for one in required]
    faults.raise_all()
    return RunFacts(ref, digest(view), tuple(one for one in found if one), view.get("origin"))


def _resolve_output(objects: Objects, view: Mapping[str, Any], output_id: str, audit: Audit) -> Context:
    with audit_resolution(audit, _find_asked(view, output_id), "gated_output"):
        return _find_admitted(objects, view, output_id)


def _find_asked(view: Mapping[str, Any], output_id: str) -> str:
    """The path an audit names: of the locator that a PASS admits, else of the first; the id where nothing locates it."""
    locators = [one for one in view["locators"] if one["output_id"] == output_id]
    ordered = sorted(locators, key=lambda one: not _is_passed(view, output_id, one))
    return str(ordered[0]["path"]) if ordered else output_id


def _find_admitted(objects: Objects, view: Mapping[str, Any], output_id: str) -> Context:
    """The one output of this id that a PASS admits, its bytes compared with every digest that is stated of them.

    Locators without a PASS are left aside, whatever they state. Two paths that are both admitted are refused even where
    their digests agree: the plan pins a ref, and nothing says which of them it is.
    """
    locators = [one for one in view["locators"] if one["output_id"] == output_id]
    if not locators:
        raise _refuse_denied(view, output_id, "the run facts hold no locator for it")
    admitted = [one for one in locators if _is_passed(view, output_id, one)]
    if not admitted:
        raise _refuse_denied(view, output_id, f"no PASS receipt admits {' or '.join(one['path'] for one in locators)}")
    if len({one["path"] for one in admitted}) > 1:
        paths = ", ".join(sorted(one["path"] for one in admitted))
        raise _refuse_denied(
            view, output_id, f"receipts admit several locators ({paths}), and nothing says which is meant"
        )
    ref = objects.relative(admitted[0]["path"])
    try:
        found = objects.digest(ref)
    except ObjectMissing:
        message = f"output {output_id} is admitted, but there are no bytes at {ref}"
        raise refuse("REF_ACCESS_DENIED", message, ref=ref) from None
    stated = [("its locator", one["content_digest"]["hex"]) for one in admitted if "content_digest" in one]
    stated += [
        (who, _read_hex(one["target_digest"])) for locator in admitted for who, one in _find_vouching(view, locator)
    ]
    for who, hexes in stated:
        if hexes != found:
            message = f"output {output_id} at {ref} has sha256 {found}; {who} states {hexes}"
            raise refuse("CONTEXT_DIGEST_MISMATCH", message, ref=ref, output_id=output_id, found=found, stated=hexes)
    return Context(output_id, ref, found)


def find_contradictions(view: Mapping[str, Any]) -> Iterator[DocumentFault]:
    """Outputs of a view that keeps its contract which no bytes can satisfy: a locator and a receipt that admits it state
    two digests."""
    for place, locator in enumerate(view["locators"]):
        own = locator.get("content_digest", {}).get("hex")
        if own is None or not _is_passed(view, locator["output_id"], locator):
            continue
        for who, receipt in _find_vouching(view, locator):
            stated = _read_hex(receipt["target_digest"])
            if stated != own:
                message = f"states {own} of output {locator['output_id']}; {who} states {stated}"
                yield DocumentFault("CONTEXT_DIGEST_MISMATCH", f"/locators/{place}/content_digest/hex", message)


def _read_hex(stated: Mapping[str, str] | str) -> str:
    """A receipt states a digest as {algo, hex} or as the hex text alone."""
    return stated if isinstance(stated, str) else stated["hex"]


def _is_passed(view: Mapping[str, Any], output_id: str, locator: Mapping[str, Any]) -> bool:
    """An instance receipt decides where there is one for the output; else a gate's PASS for the locator's fingerprint."""
    if any(one["output_id"] == output_id for one in view.get("instance_receipts", ())):
        return any(one["output_id"] == output_id and _is_of(one, locator) for one in view["instance_receipts"])
    fingerprint = locator.get("manifest_fingerprint")
    return fingerprint is not None and any(
        one["status"] == "PASS" and one["scope"].get("manifest_fingerprint") == fingerprint
        for one in view.get("gate_receipts", ())
    )


def _is_of(receipt: Mapping[str, Any], locator: Mapping[str, Any]) -> bool:
    """Whether a receipt is a PASS for the locator's output at its path.

    One whose scope names another world than the locator does is none: it passed other bytes under the same name. Where
    either leaves the fingerprint out, output and path are all the rule asks for.
    """
    target, fingerprint = receipt.get("target_ref", {}), locator.get("manifest_fingerprint")
    return (
        receipt["status"] == "PASS"
        and (target.get("output_id"), target.get("path")) == (locator["output_id"], locator["path"])
        and fingerprint in (None, receipt["scope"].get("manifest_fingerprint", fingerprint))
    )


def _find_vouching(view: Mapping[str, Any], locator: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """(its name, the receipt) of every PASS, of a gate too, that states the digest of the locator's bytes."""
    receipts = [
        *((f"the receipt of {one['output_id']}", one) for one in view.get("instance_receipts", ())),
        *((f"the receipt of gate {one['gate_id']}", one) for one in view.get("gate_receipts", ())),
    ]
    return [(who, one) for who, one in receipts if "target_digest" in one and _is_of(one, locator)]


def _refuse_denied(view: Mapping[str, Any], output_id: str, message: str) -> Refusal:
    why = f"output {output_id} of {view['platform_run_id']} may not be read: {message}"
    return refuse("NO_PASS_NO_READ", why, output_id=output_id, pointer="/join_scope/required_output_ids")
