"""An intent whose dataset stands already: answered from the manifest, or told what differs. No engine, no Arrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.canonical import CanonicalError, digest, parse_json
from ofs_spark.foundation.collect import Collector, merge_refusals
from ofs_spark.foundation.commands import BACKFILL
from ofs_spark.foundation.documents import digest_content
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.run_facts import read_run_facts
from ofs_spark.publish.gate import require_admissible
from ofs_spark.signals.receipts import is_own_commit
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import read_standing_manifest

MOST_BYTES = 1 << 30
"""Of an index or extract whose digest is compared."""


def answer_from_manifest(
    intent: Intent, held: Run, ref: str, context: RunContext, audit: Audit, is_put: bool = False
) -> dict[str, Any]:
    """ALREADY_PUBLISHED, from the recorded pins. What the intent itself names is resolved again and must be equal.

    What it does not name, archive and extract, is the manifest's: `differences` where they have changed since.

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
    if is_put and is_own_commit(manifest, held.run_key):
        return compose_build_answer("COMMITTED", held, manifest, ref, {})
    changes = find_changes(manifest, intent, context, named=False)
    answer = compose_build_answer("ALREADY_PUBLISHED", held, manifest, ref, {})
    return answer | ({"differences": changes} if changes else {})


def _refuse_pins(message: str, intent: Intent, ref: str, differing: list[str]) -> Refusal:
    """The refusal where other pins are published: what helps is a backfill, under a request id that follows from both."""
    code = "MANIFEST_IMMUTABILITY_VIOLATION"
    if intent.supersedes:  # its own backfill command names another dataset
        return refuse(code, message, ref=ref, differing=differing)
    mark = digest({"recipe": "ofs.backfill_request.v1", "request_id": intent.request_id, "supersedes": ref})[:12]
    new = f"{intent.request_id[:100]}.backfill-{mark}"
    return refuse(code, message, BACKFILL, ref=ref, differing=differing, new_request_id=new)


def answer_again(intent: Intent, outcome: Mapping[str, Any], context: RunContext) -> dict[str, Any]:
    """What a finished run answered, once its manifest is seen to stand; `differences` where its inputs have changed since.

    MANIFEST_ABSENT where the store holds nothing at the manifest's ref; what stands there is read as `read_standing_manifest`.
    """
    ref = str(outcome["manifest_ref"])
    if not context.objects.exists(ref):
        message = f"this request published {ref}, and nothing stands there in the object root that the wiring names"
        raise refuse("MANIFEST_ABSENT", message, missing=ref, run_key=outcome["run_key"])
    found = find_changes(read_standing_manifest(ref, context), intent, context)
    own = {name: value for name, value in outcome.items() if name != "differences"}  # those of then are of then
    return own | ({"differences": found} if found else {})


def find_changes(manifest: Mapping[str, Any], intent: Intent, context: RunContext, *, named: bool = True) -> list[str]:
    """What profile, archive and extract are now, each that is no more what the manifest pins, in one sentence.

    named: what the intent itself names is compared too; without, somebody has.
    """
    inputs: dict[str, Callable[[], str]] = {
        "the feature profile": lambda: _compare_profile(manifest, intent, context),
        "the archive's slice": lambda: _compare_archive(manifest, intent, context),
        "the label extract": lambda: _compare_extract(manifest, context),
    }
    told = (_tell_change(what, compare) for what, compare in list(inputs.items())[0 if named else 1 :])
    return [text for text in told if text]


def _tell_change(what: str, compare: Callable[[], str]) -> str:
    """The sentence on one input; "" where it is what it was."""
    try:
        differing = compare()
    except Refusal as refusal:
        return f"{what} no longer resolves: {refusal}"
    except OSError:
        return f"{what} could not be looked at"
    return f"{what} has changed since this dataset was published: {differing}" if differing else ""


def _compare_profile(manifest: Mapping[str, Any], intent: Intent, context: RunContext) -> str:
    """How the selected set differs from the pinned one; "" where it does not, as below."""
    now = read_profile(context.profiles, intent.feature_set_id, intent.feature_set_version)
    found = now.find_set_digest(manifest["feature_profile"].get("feature_set_recipe", ""))
    return _describe_change(f"{now.ref} selects", found, manifest["pins"]["feature_set_digest"])


def _compare_archive(manifest: Mapping[str, Any], intent: Intent, context: RunContext) -> str:
    """How the segments of the basis differ; an index that only grew is no difference."""
    archive = manifest["archive"]
    if _read_digest(context.objects, archive["index_ref"]) == archive["index_digest"]:
        return ""
    from ofs_spark.replay.index import digest_slice, read_index  # loads Arrow, for an index that has changed

    found = digest_slice(read_index(context.objects, intent.platform_run_id), intent.basis)
    return _describe_change(f"{archive['index_ref']} gives the basis", found, archive["slice_digest"])


def _compare_extract(manifest: Mapping[str, Any], context: RunContext) -> str:
    """Whether the wiring still names the extract."""
    ref = context.wiring.labels.ref
    return _describe_change(f"{ref} has", _read_digest(context.objects, ref), manifest["pins"]["label_store"]["digest"])


def _describe_change(what: str, found: str, pinned: str) -> str:
    return "" if found == pinned else f"{what} {found or 'no digest'} now, and the dataset pins {pinned}"


def _read_digest(objects: Objects, ref: str) -> str:
    """The digest of a document that states it, computed anew; "" where no such document stands."""
    try:
        document = parse_json(objects.read(ref, MOST_BYTES), what="the document", max_bytes=MOST_BYTES)
    except (ObjectMissing, ObjectTooLarge, CanonicalError):
        return ""
    return digest_content(document) if isinstance(document, dict) else ""


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
        "warnings": [*manifest["differences"], *map(_warn_of_unseen, manifest["replay"].get("unseen_fields", ()))],
    }


def _warn_of_unseen(field: Mapping[str, Any]) -> str:
    """What people are told of a field that no event has: the columns that it leaves empty, and what may be meant."""
    more = field["columns"] - 1
    others = f" and {more:,} more" if more else ""
    near = f"; the nearest name is {field['nearest']}" if "nearest" in field else ""
    return f"{field['column']}{others}: no in-scope event has {field['path']}{near}"
