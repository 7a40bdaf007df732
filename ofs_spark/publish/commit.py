"""The commit: one conditional put of the manifest. That write is the dataset; everything before it is staging.

The outcome is always one of four. A store that gives no answer is not a store that refused: the manifest is read
back, and as long as nobody knows, the outcome is UNKNOWN, nothing is cleaned up, and the next run decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ofs_spark.foundation.canonical import MAX_BYTES, CanonicalError, encode_canonical, parse_json
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge, Put
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.foundation.stops import hold_stops
from ofs_spark.publish.manifest import find_differing_pins, is_same_dataset

READ_BACK_PAUSES_S = (0.2, 1.0, 3.0, 0.0)
"""Pause after each fruitless read of the manifest."""


class Outcome(Enum):
    """What the commit came to."""

    COMMITTED = "COMMITTED"
    ALREADY_PUBLISHED = "ALREADY_PUBLISHED"
    CONFLICT = "CONFLICT"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Commit:
    """The outcome and the manifest that stands (None while it is UNKNOWN)."""

    outcome: Outcome
    standing: Mapping[str, Any] | None


def commit(
    objects: Objects,
    ref: OwnedRef,
    manifest: Mapping[str, Any],
    fence: Callable[[], None] = lambda: None,
    pause: Callable[[float], None] = time.sleep,
) -> Commit:
    """Puts the manifest if absent and says what came of it. Any number of publishers of one plan end with one manifest.

    `fence` is called right before the put and raises (LEASE_LOST) where this process may no longer commit. A call that
    the store does not answer is an OSError. Nothing is ever deleted here.
    """
    body = encode_canonical(dict(manifest))
    with hold_stops():  # a signal finds the manifest put and read back, or not put
        fence()
        try:
            put: Put | None = objects.put_if_absent(ref, body)
        except OSError:
            # No answer is no refusal: the write may have landed. Only a read can tell.
            put = None
        found = _read_back(objects, ref, pause)
    if found is None and put is Put.CREATED:
        return Commit(Outcome.COMMITTED, manifest)
    if found is None or (not found and put is Put.CREATED):  # what we created is not what others put there
        return Commit(Outcome.UNKNOWN, None)
    if encode_canonical(found) == body:
        return Commit(Outcome.COMMITTED, manifest)
    return Commit(Outcome.ALREADY_PUBLISHED if is_same_dataset(found, manifest) else Outcome.CONFLICT, found)


def require_committed(result: Commit, ref: str, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The standing manifest. MANIFEST_IMMUTABILITY_VIOLATION on CONFLICT, COMMIT_OUTCOME_UNKNOWN when nobody knows."""
    if result.standing is None:
        message = "the store did not answer the manifest put and the manifest cannot be read; staged data is kept"
        raise refuse("COMMIT_OUTCOME_UNKNOWN", message, ref=ref)
    if result.outcome is Outcome.CONFLICT:
        pins = find_differing_pins(result.standing, manifest)
        raise refuse(
            "MANIFEST_IMMUTABILITY_VIOLATION",
            f"{ref} is already published and differs in {', '.join(pins)}",
            ref=ref,
            differing=pins,
        )
    return result.standing


def _read_back(objects: Objects, ref: str, pause: Callable[[float], None]) -> dict[str, Any] | None:
    """The manifest that stands; {} if every answer of the store was something else; None if no read found any.

    Half an object, from a store that gives one, is read again: only what stays unreadable is no manifest. That has no
    pins and no content, so it conflicts with every other.
    """
    answers = []
    for wait in READ_BACK_PAUSES_S:
        try:
            answers.append(_parse(objects.read(ref, MAX_BYTES)))
        except ObjectTooLarge:
            answers.append({})  # no manifest of anybody is so large
        except ObjectMissing:
            # Absence right after an unanswered put is no proof: the put may still land.
            pass
        except (OSError, Refusal):
            # No answer, or none for this reader: the put itself was admitted, so only a later read can tell.
            pass
        if answers and answers[-1]:
            return answers[-1]
        pause(wait)
    return {} if answers else None


def _parse(standing: bytes) -> dict[str, Any]:
    try:
        document = parse_json(standing, what="the standing manifest")
    except CanonicalError:
        return {}
    return document if isinstance(document, dict) else {}
