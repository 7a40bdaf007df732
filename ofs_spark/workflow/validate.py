"""What `ofs validate` answers: every fault of a document that shows without an event or a label row.

A document is read as whoever uses it reads it: its size, its format, its contract, and what a schema cannot say. Of an
intent that is what a build refuses for the intent alone; and, where it is known where things are, what its pins refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation import contracts
from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.collect import list_faults, refuse_all
from ofs_spark.foundation.contracts import DocumentFault
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.paths import check_relative
from ofs_spark.intent.admission import find_command, find_narrowing, read_scope
from ofs_spark.intent.model import V0, V1, Intent
from ofs_spark.intent.validate import find_intent_faults
from ofs_spark.workflow.judges import (
    MAX_VALIDATED_BYTES,
    POLICY,
    Faults,
    find_document_faults,
    list_refused,
    parse_text,
    read_faults,
)
from ofs_spark.workflow.pinned import lift_whole, require_pins

if TYPE_CHECKING:  # loads YAML, which an intent does without
    from ofs_spark.workflow.context import RunContext

Open = Callable[[], AbstractContextManager["RunContext"]]
Require = Callable[[Any, str], None]
Listed = list[dict[str, str]]

SHOWN = ("code", "pointer", "message", "ref", "file")
"""Members of a fault that are told: what it is and where; `ref`, `file`: of the document that it is in, where that is not
the one that is validated."""
REBUILDS = ("parity", "forensic")
"""Commands whose pins are not a build's."""


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
        return _answer(None, _list(_fault(f"{contract!r:.80} is no contract; {_list_known()}")))
    try:
        name = contract or _recognise(path, _parse_unknown(raw))
        if name is None:
            message = f"does not say which contract this is: state one; {_list_known()}"
            return _answer(None, _list(_fault(message, "/schema_version")))
        if name in (V0, V1):
            return _answer(name, _judge_intent(raw, name, open_context))
        found = find_document_faults(raw, name, path)
        if name == "wiring" and not found:
            found = _find_unserved(parse_text(raw, name), path, require_wiring)
    except CanonicalError as error:
        return _answer(contract, _list(_fault(str(error))))
    return _answer(name, _list(*found))


def _answer(contract: str | None, faults: Listed) -> dict[str, Any]:
    return {"valid": not faults, "contract": contract, "faults": faults}


def _list(*faults: DocumentFault) -> Listed:
    return [fault.to_document() for fault in faults]


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


def _recognise(path: str, document: Any) -> str | None:
    """The contract of a document: as its members say, or as the name of its file does of one of the policy's."""
    name = contracts.recognise_contract(document)
    if name is not None or not isinstance(document, dict):
        return name
    keys = contracts.load_schema(POLICY)["properties"].values()
    return POLICY if Path(path).name in {key.get("x-file") for key in keys} else None


def _may_be_secret(raw: bytes) -> bool:
    """Whether a text names every member by which a contract of secrets is recognised."""
    marks = [
        contracts.load_schema(name)["x-recognised-by"]
        for name in contracts.list_contracts()
        if contracts.is_secret(name)
    ]
    return any(all(f'"{mark}"'.encode() in raw for mark in one) for one in marks)


def _judge_intent(raw: bytes, contract: str, open_context: Open | None) -> Listed:
    """What the intent's command refuses for the intent alone; else, where it is known where things are, for its pins."""
    document = parse_text(raw, contract)
    if not isinstance(document, dict) or document.get("schema_version") != contract:
        return _list(*contracts.find_faults(document, contract))
    command = find_command(document)
    found = find_intent_faults(document, command)
    if not found:
        document = lift_whole(document)
        found = find_intent_faults(document, command)
    if found:
        return _list(*found)
    from ofs_spark.intent.documents import parse_intent  # loads pydantic

    intent = parse_intent(document)
    if command in REBUILDS:
        found = list_refused(lambda: _require_whole(intent))
        if found:
            return _list(*found)
    return _list(*_find_named_faults(intent)) if open_context is None else _find_pin_faults(intent, open_context)


def _find_named_faults(intent: Intent) -> Faults:
    """Faults of what an admitted intent names for other rooms, as far as no store is asked."""
    steps: list[Callable[[], object]] = [lambda: _require_ref(intent.run_facts_ref)]
    if find_command(intent.document) not in REBUILDS:
        from ofs_spark.labels.terms import require_types, resolve_rule

        steps += [lambda: resolve_rule(intent.resolution_rule), lambda: require_types(intent, read_scope(intent))]
    return list_refused(*steps)


def _require_whole(intent: Intent) -> None:
    """FILTER_UNSUPPORTED for what a rebuild does not narrow, PARITY_ANCHOR_INVALID for a forensic intent without anchor."""
    faults = list(find_narrowing(intent.document))
    if not faults and not intent.parity_anchor_ref and find_command(intent.document) == "forensic":
        message = "parity_anchor_ref is absent: name the decision, the audit record or the snapshot"
        faults = [DocumentFault("PARITY_ANCHOR_INVALID", "/parity_anchor_ref", message)]
    if faults:
        raise refuse_all(faults)


def _require_ref(ref: str) -> None:
    """REF_SCOPE_INVALID for a ref that no root has; whether a full address is inside one is asked of the root."""
    scheme, colon, path = ref.rpartition("://")
    inside = path.lstrip("/") if (colon or ref.startswith("/")) and scheme in ("", "file") else ref
    try:
        check_relative(inside)
    except Refusal as refusal:
        refusal.details.setdefault("pointer", "/run_facts_ref")
        raise


def _find_pin_faults(intent: Intent, open_context: Open) -> Listed:
    """What the pins of an intent without faults refuse, in the order of telling. Nothing is written; no event or label row
    is read."""
    with open_context() as context:
        try:
            require_pins(intent, context)
        except Refusal as refusal:
            if refusal.code == "ENVIRONMENT_UNFIT":
                raise
            told = ({name: one[name] for name in SHOWN if name in one} for one in list_faults(refusal))
            return list({tuple(sorted(one.items())): one for one in told}.values())
    return []


def _find_unserved(document: Any, path: str, require_wiring: Require) -> Faults:
    """Why no command takes a wiring without faults of its own: a variable that is not set, a scheme that nothing serves."""
    try:
        require_wiring(document, path)
    except Refusal as refusal:
        return contracts.sort_faults(read_faults(list_faults(refusal)))
    return []
