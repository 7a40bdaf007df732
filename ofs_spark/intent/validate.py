"""Is this document an intent: every fault at once, each with its pointer and code; then the `Intent`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.contracts import DocumentFault, find_faults
from ofs_spark.foundation.errors import InternalError, Refusal, refuse
from ofs_spark.foundation.positions import Slice, find_slice_faults, resolve_basis
from ofs_spark.intent.model import V0, V1, Intent, IntentV0, IntentV1, LabelBasisV1, Output, Selector, SliceDocument

DATASET_KINDS = ("dataset_build", "backfill_rebuild")
"""Intent kinds that build a dataset: only these can be training intents."""


def read_intent(raw: bytes) -> Intent:
    """The intent a JSON text states.

    Raises the refusal of its first fault; `details["faults"]` holds them all. A text that is not strict JSON, or of no
    known version, is SCHEMA_INVALID.
    """
    try:
        document = parse_json(raw, what="the intent")
    except CanonicalError as error:
        raise refuse_all([DocumentFault("SCHEMA_INVALID", "", str(error))]) from None
    found = find_intent_faults(document)
    if found:
        raise refuse_all(found)
    model = IntentV1 if document["schema_version"] == V1 else IntentV0
    try:
        return _intent(model.model_validate(document), document)
    except ValidationError as error:
        raise InternalError(f"the schema of an intent admits what its model does not: {error}") from error


def refuse_all(found: Sequence[DocumentFault]) -> Refusal:
    """The refusal of the first of ordered faults, with all of them in its details."""
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    message = f"{first.pointer or 'the document'}: {first.message}{more}"
    return refuse(first.code, message, pointer=first.pointer, faults=[fault.document() for fault in found])


def find_intent_faults(document: Any) -> list[DocumentFault]:
    """Every fault of an intent, in fault order: those of its schema, and those a schema cannot say."""
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version not in (V0, V1):
        # An unknown version is judged by the first one, so that one answer tells everything.
        return find_faults(document, V0)
    found = find_faults(document, version)
    late = [fault for fault in _late_faults(document) if not _covered(fault.pointer, found)]
    return sorted([*found, *late], key=lambda fault: fault.order)


def _late_faults(document: Mapping[str, Any]) -> Iterator[DocumentFault]:
    """Faults between members; members that break the schema are left to it."""
    yield from _basis_faults("/replay_basis", document.get("replay_basis"))
    selector = document.get("replay_selector")
    if isinstance(selector, dict):
        yield from _basis_faults("/replay_selector/offsets", selector.get("offsets"))
        window = selector.get("time_window")
        yield from _order_faults("BASIS_UNRESOLVED", "/replay_selector/time_window", window, "from", "to")
    output = document.get("output")
    if isinstance(output, dict):
        yield from _order_faults("SCHEMA_INVALID", "/output/anchor_time", output.get("anchor_time"), "from", "to")
        yield from _split_faults(output.get("splits"))


def _covered(pointer: str, found: Sequence[DocumentFault]) -> bool:
    return any(pointer == fault.pointer or pointer.startswith(f"{fault.pointer}/") for fault in found if fault.pointer)


def _basis_faults(at: str, entries: Any) -> Iterator[DocumentFault]:
    """Of the entries that are whole slices; places are those in the document."""
    if not isinstance(entries, list):
        return
    whole: dict[int, Slice] = {}
    for index, entry in enumerate(entries):
        try:
            whole[index] = SliceDocument.model_validate(entry).slice()
        except ValidationError:
            continue  # the schema has named this entry's faults
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


def _intent(model: IntentV0 | IntentV1, document: Mapping[str, Any]) -> Intent:
    v1 = model if isinstance(model, IntentV1) else None
    selector = (v1.replay_selector if v1 else None) or Selector(offsets=model.replay_basis)
    slices = tuple(entry.slice() for entry in selector.offsets or ())
    labels = model.label_basis
    posture = labels.posture if isinstance(labels, LabelBasisV1) else "KNEW_THEN"
    return Intent(
        document=document,
        request_id=model.request_id,
        intent_kind=model.intent_kind,
        platform_run_id=model.platform_run_id,
        scenario_run_ids=None if model.scenario_run_ids is None else tuple(model.scenario_run_ids),
        slices=slices,
        basis=resolve_basis(slices),
        time_window=selector.time_window,
        label_asof_text=labels.label_asof_utc,
        label_asof_us=parse_instant(labels.label_asof_utc),
        resolution_rule=labels.resolution_rule,
        maturity_days=labels.maturity_days,
        posture=posture,
        feature_set_id=model.feature_definition_set.feature_set_id,
        feature_set_version=model.feature_definition_set.feature_set_version,
        run_facts_ref=model.run_facts_ref,
        policy_revision=model.policy_revision,
        config_revision=model.config_revision,
        code_release=model.ofs_code_release_id,
        parity_anchor_ref=model.parity_anchor_ref,
        training=model.intent_kind in DATASET_KINDS and not model.non_training_allowed and posture == "KNEW_THEN",
        join_scope=model.join_scope,
        filters=model.filters,
        output=v1.output if v1 else Output(),
        supersedes=tuple(v1.supersedes) if v1 else (),
        correction_stamp=v1.correction_stamp if v1 else None,
    )
