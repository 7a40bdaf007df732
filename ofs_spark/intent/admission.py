"""Will this release build what the intent asks for: the faults that identity does not mind.

An identity takes `join_scope`, `filters` and every kind of dataset as written. A build evaluates them, so here every
key it does not know and every shape it does not evaluate is a fault. All of it is read off the document, so that the
faults of its schema and these are told together (`validate.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ofs_spark.foundation.collect import refuse_all
from ofs_spark.foundation.contracts import DocumentFault, format_pointer
from ofs_spark.foundation.wording import write_count
from ofs_spark.intent.model import Intent, Scope

SUBJECT_KEY = "platform_run_id,event_id"
SCOPE_LISTS = ("required_output_ids", "label_types", "anchor_event_types")
INPUT_FILTERS = ("label_types", "label_coverage_policy", "event_types")
"""filters of these names choose inputs; any other is the name of a payload field and keeps anchor rows."""

COMMAND_OF_KIND = {
    "dataset_build": "build",
    "backfill_rebuild": "backfill",
    "plan_check": "check",
    "parity_rebuild": "parity",
    "forensic_rebuild": "forensic",
}
COMMANDS = ("build", "backfill", "parity", "forensic")
"""Those of the above that this release has."""
BACKFILL_KIND = "backfill_rebuild"
LIFTED = {"backfill": "dataset_build"}
"""Command → a kind that it takes beside its own: it makes an intent of its own kind of it."""
MANIFEST_ID = re.compile(r"dm_[0-9a-f]{32}")
PER_EVENT = "per_event"


def find_command(document: Mapping[str, Any]) -> str:
    """The command that takes an intent of this kind; `build` where this release has none for it."""
    kind = document.get("intent_kind")
    command = COMMAND_OF_KIND.get(kind, "build") if isinstance(kind, str) else "build"
    return command if command in COMMANDS else "build"


def find_admission_faults(document: Mapping[str, Any], command: str) -> Iterator[DocumentFault]:
    """Every part of an intent that `ofs {command}` does not evaluate. Members that break the schema are left to it."""
    yield from _find_kind_faults(document, command)
    yield from _find_target_faults(document, command)
    yield from _find_output_faults(_read_object(document, "output"))
    yield from _find_scope_faults(_read_object(document, "join_scope"), _read_object(document, "filters"))


def read_scope(intent: Intent) -> Scope:
    """join_scope and filters of an intent; FILTER_UNSUPPORTED with every fault where they are malformed."""
    scope, filters = intent.join_scope, intent.filters
    faults = list(_find_scope_faults(scope, filters))
    if faults:
        raise refuse_all(faults)
    policy = filters.get("label_coverage_policy")
    minima = policy.get("min_coverage_by_label_type") if isinstance(policy, dict) else None
    return Scope(
        required_output_ids=tuple(scope.get("required_output_ids", ())),
        scope_label_types=_to_tuple(scope.get("label_types")),
        filter_label_types=_to_tuple(filters.get("label_types")),
        min_coverage_types=tuple(sorted(minima)) if isinstance(minima, dict) else (),
        label_coverage_policy=policy,
        event_types=_to_tuple(filters.get("event_types")),
        anchor_event_types=_to_tuple(scope.get("anchor_event_types")),
        row_filters={name: tuple(filters[name]) for name in sorted(filters) if name not in INPUT_FILTERS},
    )


def _to_tuple(given: Any) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _read_object(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that is an object; nothing where it is absent or, as the schema says, something else."""
    member = document.get(name)
    return member if isinstance(member, dict) else {}


def _find_kind_faults(document: Mapping[str, Any], command: str) -> Iterator[DocumentFault]:
    kind = document.get("intent_kind")
    own = COMMAND_OF_KIND.get(kind) if isinstance(kind, str) else None
    if own is not None and own != command and kind != LIFTED.get(command):
        whose = f"but for `ofs {own}`" if own in COMMANDS else "and this release has no command for it"
        message = f"{kind} is not for `ofs {command}`, {whose}"
        yield DocumentFault("INTENT_KIND_UNSUPPORTED", "/intent_kind", message)
    elif document.get("supersedes") and command == "build":
        message = "a dataset that supersedes another is built by `ofs backfill`"
        yield DocumentFault("INTENT_KIND_UNSUPPORTED", "/supersedes", message)
    if "time_window" in _read_object(document, "replay_selector"):
        yield DocumentFault(
            "BASIS_UNRESOLVED",
            "/replay_selector/time_window",
            "a time window is resolved to offsets before it is built: name them in replay_basis",
        )


def _find_target_faults(document: Mapping[str, Any], command: str) -> Iterator[DocumentFault]:
    """What of the superseded datasets needs no store: they are named by id, and there is one of them."""
    named = document.get("supersedes")
    if command != "backfill" or not isinstance(named, list):
        return
    if len(named) > 1:
        message = f"names {write_count(len(named), 'dataset')}: a dataset takes the place of one, so that a chain has no branches"
        yield DocumentFault("SUPERSESSION_LINK_INVALID", "/supersedes", message)
    for place, one in enumerate(named):
        if isinstance(one, str) and not MANIFEST_ID.fullmatch(one):
            message = f"is {one!r:.200}; the id of a dataset is required: dm_ and 32 hexadecimal digits"
            yield DocumentFault("SUPERSESSION_LINK_INVALID", f"/supersedes/{place}", message)


def find_narrowing(document: Mapping[str, Any]) -> Iterator[DocumentFault]:
    """What would have a rebuild of the online plane's state see less than the online plane saw."""
    named = {"filters": ("event_types",), "join_scope": ("anchor_event_types",)}
    for member, keys in named.items():
        for name in _read_object(document, member):
            if name in keys or (member == "filters" and name not in INPUT_FILTERS):
                message = "narrows events: the online plane saw them all, and so does a rebuild of its state"
                yield DocumentFault("FILTER_UNSUPPORTED", format_pointer([member, name]), message)


def find_no_target(document: Mapping[str, Any]) -> Iterator[DocumentFault]:
    """Of an intent that is to be built by `ofs backfill`: what it supersedes and why must be there."""
    if not document.get("supersedes"):
        message = "names no dataset: a backfill takes the place of a published one"
        yield DocumentFault("SUPERSESSION_LINK_INVALID", "/supersedes", message)


def _find_output_faults(output: Mapping[str, Any]) -> Iterator[DocumentFault]:
    code, kind = "INTENT_KIND_UNSUPPORTED", output.get("dataset_kind", PER_EVENT)
    if kind != PER_EVENT:
        yield DocumentFault(code, "/output/dataset_kind", f"this release builds per_event datasets, not {kind!s:.80}")
    for name in ("cut_points", "bucket"):
        if name in output and kind == PER_EVENT:
            yield DocumentFault(code, f"/output/{name}", f"a per_event dataset has no {name}")
    for name in ("spine", "sampling", "splits"):
        if name in output:
            yield DocumentFault(code, f"/output/{name}", f"this release does not build datasets with {name}")


def _find_scope_faults(scope: Mapping[str, Any], filters: Mapping[str, Any]) -> Iterator[DocumentFault]:
    for name, given in scope.items():
        at = format_pointer(["join_scope", name])
        if name == "subject_key":
            if given != SUBJECT_KEY:
                yield DocumentFault(
                    "FILTER_UNSUPPORTED", at, f"is {given!r:.80}; the subject of a label is {SUBJECT_KEY}"
                )
        elif name in SCOPE_LISTS:
            yield from _check_texts(at, given, empty=name != "anchor_event_types")
        else:
            known = ", ".join(("subject_key", *SCOPE_LISTS))
            yield DocumentFault("FILTER_UNSUPPORTED", at, f"is no key of join_scope; known are {known}")
    for name, given in filters.items():
        at = format_pointer(["filters", name])
        if name == "label_types":
            yield from _check_texts(at, given, empty=True)
        elif name == "event_types":
            yield from _check_texts(at, given, empty=False)
        elif name not in INPUT_FILTERS:
            yield from _check_values(at, given)


def _check_texts(at: str, given: Any, empty: bool) -> Iterator[DocumentFault]:
    """`given` must be a list of distinct non-empty texts."""
    if not isinstance(given, list) or not all(isinstance(item, str) and item for item in given):
        yield DocumentFault("FILTER_UNSUPPORTED", at, f"is {given!r:.80}; a list of names is required")
    elif len(set(given)) != len(given):
        yield DocumentFault("FILTER_UNSUPPORTED", at, "names one thing twice")
    elif not given and not empty:
        yield DocumentFault(
            "FILTER_UNSUPPORTED", at, "is an empty list, which would admit nothing: leave it out to admit all"
        )


def _check_values(at: str, given: Any) -> Iterator[DocumentFault]:
    """`given` must be a non-empty list of texts, numbers or booleans."""
    if not isinstance(given, list) or not given:
        yield DocumentFault(
            "FILTER_UNSUPPORTED", at, f"is {given!r:.80}; the values that keep a row are a non-empty list"
        )
    elif not all(isinstance(item, str | int | float) for item in given):
        yield DocumentFault("FILTER_UNSUPPORTED", at, "holds a value that is no text, number or boolean")
