"""An intent whose dataset stands already: answered from the manifest, or told what differs. No engine, no Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.errors import refuse
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, Transition
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.run_facts import read_run_facts
from ofs_spark.publish.gate import require_admissible
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import read_standing_manifest


def answer_from_manifest(intent: Intent, held: Run, ref: str, context: RunContext, audit: Audit) -> dict[str, Any]:
    """ALREADY_PUBLISHED, from the recorded pins. What the intent itself names is resolved again and must be equal.

    MANIFEST_IMMUTABILITY_VIOLATION names the pins that differ; TRAINING_NOT_ADMISSIBLE the gates a training intent misses.
    """
    context.announce("publish", "this dataset is already published")
    manifest = read_standing_manifest(ref, context)
    outputs = read_scope(intent).required_output_ids
    facts = read_run_facts(context.objects, intent.run_facts_ref, intent.platform_run_id, outputs, audit)
    profile = read_profile(context.profiles, intent.feature_set_id, intent.feature_set_version)
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
        raise refuse(
            "MANIFEST_IMMUTABILITY_VIOLATION",
            message,
            f"ofs show {ref}",
            ref=ref,
            differing=differing,
        )
    require_admissible(manifest, intent.training, ref)
    return compose_build_answer("ALREADY_PUBLISHED", held, manifest, ref, {})


def describe_run(run: Run) -> dict[str, Any]:
    """One run as `ofs status` answers it."""
    outcome = run.outcome or {}
    return {
        "run_key": run.run_key,
        "request_id": run.request_id,
        "state": run.state.value,
        "attempts": run.attempts,
        "outcome": outcome.get("code") or outcome.get("outcome"),
    }


def describe_transition(event: Transition) -> dict[str, Any]:
    """One transition of a run as `ofs status RUN` answers it; `at` in µs."""
    return {"at": event.at, "before": event.before, "after": event.after, "reason": event.reason}


def compose_build_answer(
    outcome: str, held: Run, manifest: Mapping[str, Any], ref: str, timings: Mapping[str, float]
) -> dict[str, Any]:
    """What `ofs build` answers of a published dataset."""
    table = manifest["materialization"]
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
        "warnings": list(manifest["differences"]),
    }
