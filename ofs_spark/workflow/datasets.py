"""Which datasets stand: what `ofs datasets` answers. The ledger names them, manifests describe them; nothing is listed.

No engine, no Arrow, and no judgement: `ofs verify` proves a manifest, this page only reads what it says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ofs_spark.foundation.canonical import MAX_BYTES
from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.ports import ObjectMissing, ObjectTooLarge
from ofs_spark.foundation.refs import name_manifest, name_retirement
from ofs_spark.intent.run import Published
from ofs_spark.publish.links import find_successor
from ofs_spark.workflow.context import RunContext

Answer = dict[str, Any]

ABSENT, INVALID, RETIRED = "ABSENT", "INVALID", "RETIRED"
"""Statuses that no manifest states: nothing stands at its ref; what stands there is none; somebody retired the dataset."""


def list_datasets(most: int | None, context: RunContext) -> Answer:
    """The datasets that the ledger knows, the `most` newest (None: all), the newest first; and how many it knows."""
    known = context.control.ledger.list_datasets()
    with ThreadPoolExecutor(context.readers) as readers:
        shown = list(readers.map(partial(_describe_dataset, context), known[:most]))
    return {"datasets": shown, "total": len(known)}


def _describe_dataset(context: RunContext, dataset: Published) -> Answer:
    """One dataset: what its manifest says, whether it was retired, what took its place. Null where nothing says it."""
    objects, run_id, own_id = context.objects, dataset.platform_run_id, dataset.dataset_manifest_id
    ref = name_manifest(run_id, own_id)
    told = _read_facts(context, ref)
    if told["status"] != ABSENT and objects.exists(name_retirement(run_id, own_id)):
        told["status"] = RETIRED
    link = find_successor(objects, run_id, own_id)
    return {
        "dataset_manifest_id": own_id,
        "platform_run_id": run_id,
        **told,
        "committed_at_utc": format_instant(dataset.at),
        "manifest_ref": ref,
        "superseded_by": None if link is None else link["successor"],
    }


def _read_facts(context: RunContext, ref: str) -> Answer:
    """What the manifest at a ref says of itself."""
    unknown = dict.fromkeys(("rows", "feature_set", "label_asof_utc", "table_ref"))
    try:
        # Not by the strict reader, which takes four times as long: what is only shown is judged by nobody here.
        return _pick_facts(json.loads(context.objects.read(ref, MAX_BYTES)))
    except ObjectMissing:
        return {"status": ABSENT, **unknown}
    except (ObjectTooLarge, KeyError, TypeError, ValueError, RecursionError):
        return {"status": INVALID, **unknown}


def _pick_facts(manifest: Mapping[str, Any]) -> Answer:
    """KeyError, TypeError or ValueError for what is no manifest."""
    features, table = manifest["feature_definition_set"], manifest["materialization"]
    return {
        "status": str(manifest["status"]),
        "rows": int(table["row_count"]),
        "feature_set": f"{features['feature_set_id']}@{features['feature_set_version']}",
        "label_asof_utc": str(manifest["labels"]["label_asof_utc"]),
        "table_ref": str(table["path"]),
    }
