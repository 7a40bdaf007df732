"""Every path on one screen: what each command does, room after room. Light to load: rooms load when a path needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.ports import NOTE
from ofs_spark.intent.backfill import Correction, read_backfill
from ofs_spark.intent.heartbeat import keep_lease
from ofs_spark.intent.identity import derive_run_key, hash_intent_payload
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State
from ofs_spark.intent.validate import read_intent
from ofs_spark.workflow.attempt import Timings, begin_attempt
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Answer, Ending, Recorder, record_end
from ofs_spark.workflow.manifests import find_manifest, parse_manifest, read_manifest
from ofs_spark.workflow.preflight import (
    answer_beside,
    answer_published,
    claim_published,
    declare_backfill,
    expect_dataset,
)

if TYPE_CHECKING:  # these load Arrow, which an answer from the ledger or a manifest does without
    from ofs_spark.workflow.evidence import EvidenceWriter
    from ofs_spark.workflow.load import LoadedDataset


def build_dataset(raw: bytes, context: RunContext) -> Answer:
    """Builds and publishes the dataset an intent names, once: the answer of `ofs build`, or the refusal of a room."""
    context.announce("intent", "reads the intent")
    return _build(read_intent(raw, "build"), context)


def backfill_dataset(raw: bytes, asked: Correction, context: RunContext) -> Answer:
    """Builds and publishes the dataset that takes a published one's place: the answer of `ofs backfill`, as of a build."""
    from ofs_spark.workflow.supersession import name_target

    context.announce("intent", "reads the intent and lifts it")
    if asked.supersedes is not None:
        superseded, platform_run_id = name_target(asked.supersedes, context)
        asked = replace(asked, supersedes=superseded, platform_run_id=platform_run_id)
    return _build(read_backfill(raw, asked), context)


def _build(intent: Intent, context: RunContext) -> Answer:
    """The run of an admitted intent."""
    run_key, intent_hash = derive_run_key(intent.request_id), hash_intent_payload(intent)
    run = context.control.open(run_key, intent.request_id, intent_hash, intent.platform_run_id)
    recorder = Recorder(intent, context, expect_dataset(intent, context))
    if run.state is State.DONE and run.outcome is not None:
        from ofs_spark.workflow.answer import answer_again

        context.announce("intent", "this request was answered before")
        answer = answer_again(intent, run.outcome, context)
        recorder.tell_again(run)
        return answer
    return _end_run(run, recorder)


def retry_publish(run_key: str, context: RunContext) -> Answer:
    """Publishes what a run has staged: the answer of `ofs retry-publish`. Nothing is replayed, and nothing depends on an input."""
    from ofs_spark.workflow.publishing import find_staged_intent

    run = context.control.find_by(run_key)
    intent = find_staged_intent(run, context)
    return _end_run(run, Recorder(intent, context, expect_dataset(intent, context)), publish_only=True)


def _end_run(run: Run, recorder: Recorder, *, publish_only: bool = False) -> Answer:
    """The answer of a run that was not DONE: claimed, brought to its end, recorded, told."""
    intent, context = recorder.intent, recorder.context
    held = claim_published(run, recorder, publish_only)
    if held is None:
        return answer_beside(run, recorder)
    with keep_lease(context.control, held), record_end(recorder, held) as ending:
        declare_backfill(intent, held, context)
        published = answer_published(intent, held, context, recorder.audit)
        ending.answer.update(published or _attempt(run, held, intent, context, recorder.audit, ending))
    return ending.answer


def _attempt(before: Run, held: Run, intent: Intent, context: RunContext, audit: Audit, ending: Ending) -> Answer:
    """One attempt: what the run has prepared is published; where it has nothing, it is built."""
    from ofs_spark.workflow.publishing import publish_prepared

    timings = Timings(context.announce, context.clock)
    prepared = publish_prepared(before, held, intent, context, ending, timings)
    return prepared or _publish(intent, held, context, audit, ending, timings)


def _publish(intent: Intent, held: Run, context: RunContext, audit: Audit, ending: Ending, timings: Timings) -> Answer:
    """The walk of a full attempt: ends with the committed manifest's answer, or a refusal and no manifest."""
    from ofs_spark.workflow.fixed_plan import fix_plan
    from ofs_spark.workflow.loading import BUILD, load_build_rooms
    from ofs_spark.workflow.plan import resolve_plan

    with timings.measure("pins", "resolves run facts, profile, archive index and label store"):
        resolution = fix_plan(resolve_plan(intent, context, audit), held, context.objects)

    def start() -> None:
        """Starts the engine; the context says which."""
        with timings.measure("engine"):
            context.engine(resolution.plan.archive.rows, BUILD)

    load_build_rooms(context, timings, start)  # compiles for a minute on a new machine: not before the pins hold
    from ofs_spark.workflow.answer import compose_build_answer
    from ofs_spark.workflow.build import StagedRowsLost
    from ofs_spark.workflow.evidence import EvidenceWriter
    from ofs_spark.workflow.publishing import commit_manifest

    writer = EvidenceWriter(resolution, held, context.objects)
    try:
        prepared = _prepare(writer, timings, context, ending)
    except StagedRowsLost as lost:
        context.announce("replay", f"{NOTE}{lost}; scans again")
        prepared = _prepare(writer, timings, context, ending, anew=True)
    with timings.measure("publish", "commits the manifest"):
        outcome, manifest, ref = commit_manifest(prepared, held, context, ending)
    return compose_build_answer(outcome, held, manifest, ref, timings.seconds, context.objects)


def _prepare(
    writer: EvidenceWriter, timings: Timings, context: RunContext, ending: Ending, *, anew: bool = False
) -> dict[str, Any]:
    """From a frozen plan to a prepared manifest. anew: as `run_replay`. StagedRowsLost as `run_build_job`."""
    from ofs_spark.workflow.build import run_build_job, run_replay
    from ofs_spark.workflow.loading import BUILD
    from ofs_spark.workflow.materialize import materialize, prepare_manifest

    resolution = writer.resolution
    attempt = begin_attempt(resolution.plan, writer.run, context.engine(resolution.plan.archive.rows, BUILD))
    with timings.measure("replay", "proves the basis"):
        replay = run_replay(resolution, attempt, context, anew=anew)
        writer.refuse_first(replay.refusals, writer.compose_replay(replay))
    features = resolution.plan.describe_features()
    with timings.measure("features", f"settles events, joins labels, computes and writes {features}", entry="job"):
        made = run_build_job(resolution, replay, attempt, context)
    timings.apportion("job", made.spent)
    with timings.measure("publish", "stages the table"):
        receipts = writer.compose_replay(replay, made), writer.compose_labels(made)
        writer.refuse_first(made.refusals, *receipts)
        staged = materialize(resolution, replay, made, attempt, context)
        return prepare_manifest(staged, made, receipts, writer, context, ending)


def check_parity(raw: bytes, context: RunContext, anchors: Sequence[str] = (), features: str | None = None) -> Answer:
    """Compares what the online plane had with what the archive gives: the answer of `ofs parity`.

    anchors: of a sweep; else the intent's own. features: ref of values logged at decision time, compared instead.
    """
    context.announce("intent", "reads the intent")
    intent = read_intent(raw, "parity")
    from ofs_spark.workflow.parity import check_features, check_parity

    return check_parity(intent, anchors, context) if features is None else check_features(intent, features, context)


def rebuild_forensics(raw: bytes, context: RunContext) -> Answer:
    """Rebuilds the state that the online plane had at a decision: the answer of `ofs forensic`."""
    context.announce("intent", "reads the intent")
    intent = read_intent(raw, "forensic")
    from ofs_spark.workflow.forensic import rebuild_forensics

    return rebuild_forensics(intent, context)


def verify_dataset(manifest: str, context: RunContext) -> Answer:
    """Recomputes a published dataset from its stored bytes: {verified, manifest_ref, checks}."""
    from ofs_spark.workflow.verify import verify_manifest

    ref = find_manifest(manifest, context)
    context.announce("publish", f"verifies {ref}")
    return verify_manifest(ref, parse_manifest(ref, context), context)


def show_manifest(manifest: str, context: RunContext) -> dict[str, Any]:
    """The manifest itself; `chain` where its dataset superseded another or was superseded, `retired` where it was."""
    from ofs_spark.publish.retirement import find_retirement
    from ofs_spark.workflow.supersession import describe_chain

    found = read_manifest(find_manifest(manifest, context), context)
    more = {"chain": describe_chain(found, context), "retired": find_retirement(found, context.objects)}
    return {**found, **{name: value for name, value in more.items() if value}}


def retire_dataset(manifest: str, reason: str, context: RunContext) -> Answer:
    """Says that a published dataset should no longer be used, and why: the answer of `ofs retire`."""
    from ofs_spark.workflow import retire

    return retire.retire_dataset(manifest, reason, context)


def load_dataset(manifest: str, context: RunContext, *, allow_retired: bool = False) -> LoadedDataset:
    """A published dataset whose every byte is proven to be what its manifest states: what `ofs.load` gives."""
    from ofs_spark.workflow import load

    return load.load_dataset(manifest, context, allow_retired=allow_retired)


def explain_value(manifest: str, event_id: str, column: str | None, context: RunContext) -> Answer:
    """Where one value of a published dataset comes from, or every feature and label of a row; no engine is started."""
    from ofs_spark.workflow import explain

    return explain.explain_value(manifest, event_id, column, context)


def clear_orphans(platform_run_ids: Sequence[str], grace: int | None, context: RunContext, *, removes: bool) -> Answer:
    """What nobody refers to any more, older than `grace` (µs; None: the least that is safe); `removes`: and removes it."""
    from ofs_spark.workflow import gc, gc_orphans

    least = gc_orphans.find_least_grace(context.policy)
    return gc.clear_orphans(platform_run_ids, least if grace is None else grace, context, removes=removes)


def list_datasets(most: int | None, context: RunContext) -> Answer:
    """The `most` newest datasets (None: all) that the ledger knows, the newest first, and how many there are."""
    from ofs_spark.workflow import datasets

    return datasets.list_datasets(most, context)


def describe_runs(run_key: str | None, context: RunContext, most: int | None = None) -> Answer:
    """One run with its events, or runs: the `most` newest (None: all), the newest last, and how many there are."""
    from ofs_spark.workflow import runs

    return runs.describe_runs(run_key, context, most)


def list_ledger(state: str | None, most: int, context: RunContext) -> Answer:
    """The `most` newest runs, of one state if it is named, with times, owner, lease and counts."""
    from ofs_spark.workflow import runs

    return runs.list_ledger(state, most, context)


def show_ledger(run_key: str, context: RunContext) -> Answer:
    """Everything that the ledger holds of a run, its events with their details."""
    from ofs_spark.workflow import runs

    return runs.show_ledger(run_key, context)


def cancel_run(run_key: str, context: RunContext) -> Answer:
    """Has a run ended: {outcome, run_key, state, lease_until}. What stands is never undone."""
    from ofs_spark.workflow import runs

    return runs.cancel_run(run_key, context)
