"""Is this document an intent, and will it be built: every fault at once, each with its pointer and code; then the `Intent`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.collect import join_faults, refuse_all
from ofs_spark.foundation.contracts import DocumentFault, find_faults
from ofs_spark.foundation.positions import find_slice_faults
from ofs_spark.intent.admission import find_admission_faults
from ofs_spark.intent.model import V0, V1, Intent


def read_intent(raw: bytes, command: str = "") -> Intent:
    """The intent a JSON text states; with `command`, only one that `ofs {command}` evaluates in every part.

    Raises the refusal of its first fault; `details["faults"]` holds them all. A text that is not strict JSON, or of no
    known version, is SCHEMA_INVALID.
    """
    return admit_intent(parse_document(raw), command)


def admit_intent(document: Any, command: str = "") -> Intent:
    """The intent that a parsed JSON text states. Refuses as `read_intent`."""
    found = find_intent_faults(document, command)
    if found:
        raise refuse_all(found)
    from ofs_spark.intent.documents import parse_intent  # loads pydantic, which other commands do without

    return parse_intent(document)


def parse_document(raw: bytes) -> Any:
    """The value of an intent's text; SCHEMA_INVALID for one that is not strict JSON."""
    try:
        return parse_json(raw, what="the intent")
    except CanonicalError as error:
        raise refuse_all([DocumentFault("SCHEMA_INVALID", "", str(error))]) from None


def find_intent_faults(document: Any, command: str = "") -> list[DocumentFault]:
    """Every fault of an intent, in fault order: those of its schema, and those a schema cannot say.

    With `command` also what `ofs {command}` does not evaluate.
    """
    if not isinstance(document, dict):
        return find_faults(document, V0)
    version = document.get("schema_version")
    # An unknown version is judged by the first one, so that one answer tells everything.
    found = find_faults(document, version if version in (V0, V1) else V0)
    late = list(_find_late_faults(document))
    if command:
        late += find_admission_faults(document, command)
    return join_faults(found, late)


def _find_late_faults(document: Mapping[str, Any]) -> Iterator[DocumentFault]:
    """Faults between members; members that break the schema are left to it."""
    yield from _find_basis_faults("/replay_basis", document.get("replay_basis"))
    selector = document.get("replay_selector")
    if isinstance(selector, dict):
        yield from _find_basis_faults("/replay_selector/offsets", selector.get("offsets"))
        window = selector.get("time_window")
        yield from _order_faults("BASIS_UNRESOLVED", "/replay_selector/time_window", window, "from", "to")
    output = document.get("output")
    if isinstance(output, dict):
        yield from _order_faults("SCHEMA_INVALID", "/output/anchor_time", output.get("anchor_time"), "from", "to")
        yield from _split_faults(output.get("splits"))


def _find_basis_faults(at: str, entries: Any) -> Iterator[DocumentFault]:
    """Of the entries that are whole slices; places are those in the document."""
    if not isinstance(entries, list):
        return
    from ofs_spark.intent.documents import parse_slice  # loads pydantic, as above

    parsed = {index: parse_slice(entry) for index, entry in enumerate(entries)}
    whole = {index: slice_ for index, slice_ in parsed.items() if slice_}  # the schema has named the others' faults
    places = list(whole)
    for fault in find_slice_faults(list(whole.values())):
        yield DocumentFault("BASIS_UNRESOLVED", f"{at}/{places[fault.index]}/{fault.field}", fault.message)


def _order_faults(code: str, at: str, span: Any, first: str, last: str) -> Iterator[DocumentFault]:
    """`first` must lie before `last` where the span has both."""
    if not isinstance(span, dict) or not {first, last} <= span.keys():
        return
    try:
        ordered = parse_instant(span[first]) < parse_instant(span[last])
    except (ValueError, TypeError):
        return  # the schema has named the member that is no instant
    if not ordered:
        yield DocumentFault(code, f"{at}/{last}", f"{span[last]} is not after {first} {span[first]}")


def _split_faults(splits: Any) -> Iterator[DocumentFault]:
    if not isinstance(splits, dict):
        return
    yield from _order_faults("SCHEMA_INVALID", "/output/splits", splits, "train_until", "validation_until")
    shares = [splits.get(part) for part in ("train", "validation", "test")]
    if splits.get("by") == "entity_hash" and all(type(share) is int for share in shares):
        total = sum(share for share in shares if type(share) is int)
        if total != 100:
            yield DocumentFault(
                "SCHEMA_INVALID", "/output/splits", f"train, validation and test sum to {total}, not 100"
            )
