"""An intent whose dataset stands already: answered from the manifest, or told what differs. No engine, no Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.collect import Collector, merge_refusals
from ofs_spark.foundation.commands import BACKFILL
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Objects
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.run_facts import read_run_facts
from ofs_spark.publish.gate import require_admissible
from ofs_spark.publish.retirement import list_warnings
from ofs_spark.signals.receipts import is_own_commit
from ofs_spark.workflow.changes import find_changes
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import read_standing_manifest


def answer_from_manifest(
    intent: Intent, held: Run, ref: str, context: RunContext, audit: Audit, is_put: bool = False
) -> dict[str, Any]:
    """ALREADY_PUBLISHED, from the recorded pins. What the intent itself names is resolved again and must be equal.

    is_put: this attempt may have put the manifest; it is COMMITTED if it names the run's own evidence.

    MANIFEST_IMMUTABILITY_VIOLATION names the pins that differ; TRAINING_NOT_ADMISSIBLE the gates a training intent misses.
    """
    context.announce("publish", "this dataset is already published")
    manifest = read_standing_manifest(ref, context)
    outputs = read_scope(intent).required_output_ids
    faults = Collector()
    facts = faults.attempt(
        lambda: read_run_facts(context.objects, intent.run_facts_ref, intent.platform_run_id, outputs, audit)
    )
    profile = faults.attempt(lambda: read_profile(context.profiles, intent.feature_set_id, intent.feature_set_version))
    if facts is None or profile is None:
        raise merge_refusals(faults.refusals)
    pins, recipe = manifest["pins"], manifest["feature_profile"].get("feature_set_recipe", "")
    contexts = [surface.to_document() for surface in facts.contexts]
    now = {
        "feature_set_digest": profile.find_set_digest(recipe),
        "run_facts_digest": facts.digest,
        "contexts": contexts,
    }
    differing = sorted(name for name, value in now.items() if pins.get(name) != value)
    if differing:
        message = f"{ref} is published with other pins: {', '.join(differing)}"
        raise _refuse_pins(message, intent, ref, differing)
    require_admissible(manifest, intent.training, ref)
    own = is_put and is_own_commit(manifest, held.run_key)
    answer = compose_build_answer("COMMITTED" if own else "ALREADY_PUBLISHED", held, manifest, ref, {}, context.objects)
    return answer if own else add_changes(answer, manifest, intent, context)


def _refuse_pins(message: str, intent: Intent, ref: str, differing: list[str]) -> Refusal:
    """The refusal where other pins are published: what helps is a backfill, under a request id that follows from both."""
    code = "MANIFEST_IMMUTABILITY_VIOLATION"
    if intent.supersedes:  # its own backfill command names another dataset
        return refuse(code, message, ref=ref, differing=differing)
    mark = digest({"recipe": "ofs.backfill_request.v1", "request_id": intent.request_id, "supersedes": ref})[:12]
    new = f"{intent.request_id[:100]}.backfill-{mark}"
    return refuse(code, message, BACKFILL, ref=ref, differing=differing, new_request_id=new)


def answer_again(intent: Intent, outcome: Mapping[str, Any], context: RunContext) -> dict[str, Any]:
    """What a finished run answered, once its manifest is seen to stand, as `add_changes`; with a warning where its dataset was
    retired.

    MANIFEST_ABSENT where the store holds nothing at the manifest's ref; what stands there is read as `read_standing_manifest`.
    """
    ref = str(outcome["manifest_ref"])
    if not context.objects.exists(ref):
        message = f"this request published {ref}, and nothing stands there in the object root that the wiring names"
        raise refuse("MANIFEST_ABSENT", message, missing=ref, run_key=outcome["run_key"])
    manifest = read_standing_manifest(ref, context)
    warned = dict.fromkeys((*outcome.get("warnings", ()), *list_warnings(manifest, context.objects)))
    return add_changes({**outcome, "warnings": list(warned)}, manifest, intent, context)


def add_changes(
    answer: Mapping[str, Any], manifest: Mapping[str, Any], intent: Intent, context: RunContext
) -> dict[str, Any]:
    """An answer that comes from an earlier run, with `differences` where its inputs have changed since."""
    found = find_changes(manifest, intent, context)
    return {**answer, "differences": found} if found else dict(answer)


def compose_build_answer(
    outcome: str, held: Run, manifest: Mapping[str, Any], ref: str, timings: Mapping[str, float], objects: Objects
) -> dict[str, Any]:
    """What `ofs build` answers of a published dataset; of one that stood before, also that it was retired."""
    table = manifest["materialization"]
    unseen = map(_warn_of_unseen, manifest["replay"].get("unseen_fields", ()))
    warned = [*unseen, *([] if outcome == "COMMITTED" else list_warnings(manifest, objects))]
    return {
        "outcome": outcome,
        "run_key": held.run_key,
        "request_id": held.request_id,
        "plan_id": manifest["plan_id"],
        "dataset_manifest_id": manifest["dataset_manifest_id"],
        "manifest_ref": ref,
        "table_ref": table["path"],
        "status": manifest["status"],
        "rows": table["row_count"],
        "content_digest": table["content_digest"],
        "report_ref": None,
        "timings": dict(timings),
        "replay_counts": manifest["replay"]["counts"],
        "coverage": {name: one["ratios"]["coverage"] for name, one in manifest["labels"]["coverage"].items()},
        "warnings": [*manifest["differences"], *warned],
    }


def _warn_of_unseen(field: Mapping[str, Any]) -> str:
    """What people are told of a field that no event has: the columns that it leaves empty, and what may be meant."""
    more = field["columns"] - 1
    others = f" and {more:,} more" if more else ""
    near = f"; the nearest name is {field['nearest']}" if "nearest" in field else ""
    return f"{field['column']}{others}: no in-scope event has {field['path']}{near}"
