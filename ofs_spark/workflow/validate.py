"""What `ofs validate` answers: every fault of a document that shows without an event or a label row.

A document is read as whoever uses it reads it: its size, its format, its contract, and what a schema cannot say. Of an
intent that is what a build refuses for the intent alone; and, where it is known where things are, what its pins refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation import contracts
from ofs_spark.foundation.canonical import MAX_BYTES, CanonicalError, parse_json
from ofs_spark.foundation.collect import join_faults, list_faults
from ofs_spark.foundation.contracts import DocumentFault
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.paths import check_relative
from ofs_spark.intent.admission import find_command, read_scope
from ofs_spark.intent.model import V0, V1, Intent
from ofs_spark.intent.validate import find_intent_faults

if TYPE_CHECKING:  # loads YAML, which an intent does without
    from ofs_spark.workflow.context import RunContext

Open = Callable[[], AbstractContextManager["RunContext"]]
Require = Callable[[Any, str], None]
Faults = list[DocumentFault]

INDEX, EXTRACT = "archive.segment_index.v0", "label_store.extract.v0"
MAX_VALIDATED_BYTES = 256 * 1024 * 1024
"""Of a file given to `ofs validate`: a segment index lists every file of a platform run."""


def answer_validate(
    files: Sequence[tuple[str, bytes]],
    contract: str | None,
    open_context: Open | None,
    require_wiring: Require,
) -> dict[str, Any]:
    """The answer of `ofs validate` for (path, bytes) of files: of one {valid, contract, faults}, of several each with its path.

    Without `contract` the document's schema_version or, where its kind has none, the members only that kind has say
    which contract it is. With `open_context` the pins of an intent without faults are resolved too; ENVIRONMENT_UNFIT
    where they cannot be. require_wiring: (document, path) → the refusal that a command would answer to this wiring.
    """
    found = [{"file": path, **_validate(path, raw, contract, open_context, require_wiring)} for path, raw in files]
    if len(found) > 1:
        return {"valid": all(one["valid"] for one in found), "files": found}
    return {name: value for name, value in found[0].items() if name != "file"}


def _validate(
    path: str, raw: bytes, contract: str | None, open_context: Open | None, require_wiring: Require
) -> dict[str, Any]:
    """{valid, contract, faults} of the document in `raw`."""
    if contract is not None and contract not in contracts.list_contracts():
        return _answer(None, [_fault(f"{contract!r:.80} is no contract; {_list_known()}")])
    try:
        name = contract or contracts.recognise_contract(_parse_unknown(raw))
        if name is None:
            message = f"does not say which contract this is: state one; {_list_known()}"
            return _answer(None, [_fault(message, "/schema_version")])
        found = _JUDGES.get(name, _judge_contract)(raw, name)
        if name == "wiring" and not found:
            found = _find_unserved(_parse(raw, name), path, require_wiring)
    except CanonicalError as error:
        return _answer(contract, [_fault(str(error))])
    if name in (V0, V1) and not found and open_context is not None:
        found = _find_pin_faults(raw, open_context)
    return _answer(name, found)


def _answer(contract: str | None, faults: Faults) -> dict[str, Any]:
    return {"valid": not faults, "contract": contract, "faults": [fault.to_document() for fault in faults]}


def _fault(message: str, pointer: str = "") -> DocumentFault:
    return DocumentFault("SCHEMA_INVALID", pointer, message)


def _list_known() -> str:
    return f"known are {', '.join(contracts.list_contracts())}"


def _parse_unknown(raw: bytes) -> Any:
    """A text whose contract is still to be found: JSON where it begins as JSON does, else YAML."""
    if raw.lstrip()[:1] in (b"{", b"["):
        try:
            return parse_json(raw, max_bytes=MAX_VALIDATED_BYTES)
        except CanonicalError:
            if not _may_be_secret(raw):
                raise
            raise CanonicalError("is not JSON; it is not shown, for it may hold a password: state --contract") from None
    from ofs_spark.foundation.strict_yaml import parse_yaml  # the YAML library is loaded for YAML alone

    return parse_yaml(raw, quote=False)


def _may_be_secret(raw: bytes) -> bool:
    """Whether a text names every member by which a contract of secrets is recognised."""
    marks = [
        contracts.load_schema(name)["x-recognised-by"]
        for name in contracts.list_contracts()
        if contracts.is_secret(name)
    ]
    return any(all(f'"{mark}"'.encode() in raw for mark in one) for one in marks)


def _parse(raw: bytes, contract: str) -> Any:
    """The value as a reader of this contract gets it."""
    if not contracts.is_yaml(contract):
        return parse_json(raw, max_bytes=MAX_VALIDATED_BYTES if contract == INDEX else MAX_BYTES)
    from ofs_spark.foundation.strict_yaml import parse_yaml

    return parse_yaml(raw, quote=not contracts.is_secret(contract))


def _judge_contract(raw: bytes, contract: str) -> Faults:
    return contracts.find_faults(_parse(raw, contract), contract)


def _judge_intent(raw: bytes, contract: str) -> Faults:
    """What a build refuses for the intent alone: the intent's room, then the names that other rooms know."""
    document = _parse(raw, contract)
    if not isinstance(document, dict) or document.get("schema_version") != contract:
        return contracts.find_faults(document, contract)
    found = find_intent_faults(document, find_command(document))
    return found or _find_named_faults(_make_intent(document))


def _find_named_faults(intent: Intent) -> Faults:
    """Faults of an admitted intent's run facts ref, resolution rule and label types."""
    from ofs_spark.labels.terms import require_types, resolve_rule

    return _list_refused(
        lambda: _require_ref(intent.run_facts_ref),
        lambda: resolve_rule(intent.resolution_rule),
        lambda: require_types(intent, read_scope(intent)),
    )


def _require_ref(ref: str) -> None:
    """REF_SCOPE_INVALID for a ref that no root has; whether a full address is inside one is asked of the root."""
    scheme, colon, path = ref.rpartition("://")
    if colon or ref.startswith("/"):
        known = scheme in ("", "file")
        check_relative(path.lstrip("/") if known else ref)
    else:
        check_relative(ref)


def _find_pin_faults(raw: bytes, open_context: Open) -> Faults:
    """What the pins of an intent without faults refuse. Nothing is written; no event or label row is read."""
    intent = _make_intent(parse_json(raw))
    with open_context() as context:
        from ofs_spark.workflow.plan import resolve_plan

        return _list_refused(lambda: resolve_plan(intent, context, []))


def _make_intent(document: Mapping[str, Any]) -> Intent:
    from ofs_spark.intent.documents import parse_intent  # loads pydantic

    return parse_intent(document)


def _judge_profile(raw: bytes, contract: str) -> Faults:
    """What the schema says, why a feature set or group does not compile, and a digest that is not the content's."""
    from ofs_spark.pins.profile.compile import find_profile_faults, parse_profile

    return join_faults(find_profile_faults(parse_profile(raw)), _judge_contract(raw, contract))


def _judge_index(raw: bytes, contract: str) -> Faults:
    """What the schema says; else where the index contradicts itself, its digest included."""
    document = _parse(raw, contract)
    found = contracts.find_faults(document, contract)
    if found:
        return found
    from ofs_spark.replay.index import prove_index  # loads Arrow

    return _list_refused(lambda: prove_index(document, document["platform_run_id"]))


def _judge_extract(raw: bytes, contract: str) -> Faults:
    """What the schema says; else where the manifest of an extract contradicts itself, its digest included."""
    document = _parse(raw, contract)
    found = contracts.find_faults(document, contract)
    if found:
        return found
    from ofs_spark.labels.extract import EXTRACT as KIND  # loads Arrow
    from ofs_spark.labels.extract import find_extract_faults

    late = find_extract_faults(document, [file["path"] for file in document["files"]])
    return contracts.sort_faults(DocumentFault(KIND.invalid, one["pointer"], one["message"]) for one in late)


def _judge_wiring(raw: bytes, contract: str) -> Faults:
    """What the schema says, every text that holds a password of its own, and every variable where none is taken."""
    from ofs_spark.foundation.wiring import find_wiring_faults

    return find_wiring_faults(_parse(raw, contract))


def _find_unserved(document: Any, path: str, require_wiring: Require) -> Faults:
    """Why no command takes a wiring without faults of its own: a variable that is not set, a scheme that nothing serves."""
    try:
        require_wiring(document, path)
    except Refusal as refusal:
        return contracts.sort_faults(_read_faults(list_faults(refusal)))
    return []


_JUDGES: Mapping[str, Callable[[bytes, str], Faults]] = {
    V0: _judge_intent,
    V1: _judge_intent,
    "feature_profile": _judge_profile,
    INDEX: _judge_index,
    EXTRACT: _judge_extract,
    "wiring": _judge_wiring,
}
"""Contracts whose documents must be more than their schema says, each with who knows it."""


def _list_refused(*steps: Callable[[], object]) -> Faults:
    """Every fault that the steps refuse, in fault order; what is no fault of the document or its pins is raised."""
    found: set[DocumentFault] = set()
    for step in steps:
        try:
            step()
        except Refusal as refusal:
            if refusal.code == "ENVIRONMENT_UNFIT":
                raise
            found.update(_read_faults(list_faults(refusal)))
    return contracts.sort_faults(found)


def _read_faults(listed: Iterable[Mapping[str, Any]]) -> Iterable[DocumentFault]:
    return (DocumentFault(one["code"], one["pointer"], one["message"]) for one in listed)
