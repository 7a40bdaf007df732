"""Every path on one screen: what each command does, room after room. Light to load: rooms load when a path needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.intent.heartbeat import keep_lease
from ofs_spark.intent.identity import derive_run_key, hash_intent_payload
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State
from ofs_spark.intent.validate import read_intent
from ofs_spark.workflow.attempt import Timings, begin_attempt
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Answer, Ending, Recorder, record_end
from ofs_spark.workflow.manifests import find_manifest, parse_manifest, read_manifest
from ofs_spark.workflow.preflight import answer_beside, answer_published, claim_published


def build_dataset(raw: bytes, context: RunContext) -> Answer:
    """Builds and publishes the dataset an intent names, once: the answer of `ofs build`, or the refusal of a room."""
    context.announce("intent", "reads the intent")
    intent = read_intent(raw, "build")
    run_key, intent_hash = derive_run_key(intent.request_id), hash_intent_payload(intent)
    run = context.control.open(run_key, intent.request_id, intent_hash, intent.platform_run_id)
    if run.state is State.DONE and run.outcome is not None:
        from ofs_spark.signals.write import write_again
        from ofs_spark.workflow.answer import answer_again

        context.announce("intent", "this request was answered before")
        answer = answer_again(intent, run.outcome, context)
        write_again(context.objects, context.announce, context.control, run, intent)
        return answer
    recorder = Recorder(intent, context, answer_published)
    held = claim_published(run, recorder)
    if held is None:
        return answer_beside(run, intent, context)
    with keep_lease(context.control, held), record_end(recorder, held) as ending:
        published = answer_published(intent, held, context, recorder.audit)
        ending.answer.update(published or _publish(intent, held, context, recorder.audit, ending))
    return ending.answer


def _publish(intent: Intent, held: Run, context: RunContext, audit: Audit, ending: Ending) -> Answer:
    """The walk of one attempt: ends with the committed manifest's answer, or a refusal and no manifest."""
    from ofs_spark.workflow.loading import load_build_rooms

    load_build_rooms(context.announce)  # Arrow, Numba and Spark load here, and only for a real build
    from ofs_spark.workflow.answer import compose_build_answer
    from ofs_spark.workflow.build import run_build_job, run_replay
    from ofs_spark.workflow.evidence import EvidenceWriter, fix_plan
    from ofs_spark.workflow.materialize import materialize, publish_manifest
    from ofs_spark.workflow.plan import resolve_plan

    timings = Timings(context.announce, context.clock)
    with timings.measure("pins", "resolves run facts, profile, archive index and label store"):
        resolution = fix_plan(resolve_plan(intent, context, audit), held, context.objects)
        writer = EvidenceWriter(resolution, held, context.objects)
    with timings.measure("engine", "starts the engine"):
        attempt = begin_attempt(resolution.plan, held, context.engine())
    with timings.measure("replay", f"scans {resolution.plan.archive.describe()}"):
        replay = run_replay(resolution, attempt, context)
        writer.refuse_first(replay.refusals, writer.compose_replay(replay))
    features = resolution.plan.describe_features()
    with timings.measure("features", f"settles events, joins labels, computes and writes {features}", entry="job"):
        made = run_build_job(resolution, replay, attempt, context)
    timings.apportion("job", made.spent)
    with timings.measure("publish", "stages the table"):
        receipts = writer.compose_replay(replay, made), writer.compose_labels(made)
        writer.refuse_first(made.refusals, *receipts)
        staged = materialize(resolution, replay, made, attempt, context)
        outcome, manifest, ref = publish_manifest(staged, made, receipts, writer, context, ending)
    return compose_build_answer(outcome, held, manifest, ref, timings.seconds)


def verify_dataset(manifest: str, context: RunContext) -> Answer:
    """Recomputes a published dataset from its stored bytes: {verified, manifest_ref, checks}."""
    from ofs_spark.workflow.verify import verify_manifest

    ref = find_manifest(manifest, context)
    return verify_manifest(ref, parse_manifest(ref, context), context)


def show_manifest(manifest: str, context: RunContext) -> dict[str, Any]:
    """The manifest itself."""
    return read_manifest(find_manifest(manifest, context), context)


def clear_orphans(platform_run_ids: Sequence[str], grace: int | None, context: RunContext, *, removes: bool) -> Answer:
    """What nobody refers to any more, older than `grace` (µs; None: the least that is safe); `removes`: and removes it."""
    from ofs_spark.workflow import gc, gc_orphans

    least = gc_orphans.find_least_grace(context.policy)
    return gc.clear_orphans(platform_run_ids, least if grace is None else grace, context, removes=removes)


def describe_runs(run_key: str | None, context: RunContext, most: int | None = None) -> Answer:
    """One run with its events, or runs: the `most` newest (None: all), the newest last, and how many there are."""
    from ofs_spark.workflow.answer import describe_run, describe_transition

    ledger = context.control.ledger
    if run_key is None:
        return {"runs": [describe_run(run) for run in ledger.list_runs(most)], "total": ledger.count_runs()}
    run = context.control.find(run_key)
    return {**describe_run(run), "events": [describe_transition(event) for event in ledger.list_events(run_key)]}
