"""`ofs.build` and its answer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ofs_spark import pipeline
from ofs_spark.api.plane import StrPath, open_plane
from ofs_spark.foundation.canonical import MAX_BYTES
from ofs_spark.foundation.files import read_file
from ofs_spark.foundation.ports import ObjectTooLarge


@dataclass(frozen=True)
class BuildAnswer:
    """What `ofs build` answers of a published dataset.

    outcome: COMMITTED or ALREADY_PUBLISHED. status: TRAINING_READY or NON_TRAINING. coverage: label type → share of rows
    whose label is resolved. timings: seconds by room, empty where nothing was built. warnings: what a reader should know,
    such as that the dataset was retired. differences: what has changed since it was published. document: the whole answer,
    as `ofs --json build` prints it.
    """

    outcome: str
    run_key: str
    request_id: str
    plan_id: str
    dataset_manifest_id: str
    manifest_ref: str
    table_ref: str
    status: str
    rows: int
    content_digest: str
    report_ref: str | None
    timings: Mapping[str, float]
    coverage: Mapping[str, float]
    warnings: tuple[str, ...]
    differences: tuple[str, ...]
    document: Mapping[str, Any] = field(repr=False)


def build(
    intent: StrPath | Mapping[str, Any], wiring: StrPath | None = None, policy: StrPath | None = None
) -> BuildAnswer:
    """Builds and publishes the dataset that an intent names, once: the same request again gives the same answer.

    A Spark session that this process has is used and goes on; one that is started here is stopped.

    Args:
        intent: path of a BuildIntent document (JSON), or the document.
        wiring: the wiring's file; default: OFS_WIRING, else the one that is shipped.
        policy: the folder of policy files; default: OFS_POLICY, else the one that is shipped.

    Raises:
        Refusal: a rule said no; its code, message and details, and in `next` and `do` what helps.
        OSError: the intent's file cannot be read.
        TypeError, ValueError: the document given is no JSON.
    """
    named = "" if isinstance(intent, Mapping) else os.fspath(intent)
    raw = json.dumps(dict(intent), allow_nan=False).encode() if isinstance(intent, Mapping) else _read(named)
    with open_plane(wiring, policy, intent=named, reads=False) as context:
        return _read_answer(pipeline.build_dataset(raw, context))


def _read(path: str) -> bytes:
    """The file of an intent; what is larger than any document is a ValueError."""
    try:
        return read_file(path, MAX_BYTES)
    except ObjectTooLarge as error:
        raise ValueError(str(error)) from None


def _read_answer(answer: Mapping[str, Any]) -> BuildAnswer:
    """The answer, typed; members that a later release adds are in `document` alone."""
    said = {one.name: answer[one.name] for one in fields(BuildAnswer) if one.name in answer}
    lists: dict[str, Any] = {name: tuple(answer.get(name, ())) for name in ("warnings", "differences")}
    return BuildAnswer(**{**said, **lists, "document": dict(answer)})
