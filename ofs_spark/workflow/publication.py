"""A build from its pins to its manifest: the rooms of `walk.py` and `staging.py` in order, their evidence, the commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ownership import require_owned
from ofs_spark.foundation.refs import Audit, audit_resolution
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.labels.asof import resolve_rule
from ofs_spark.labels.model import LabelExtract
from ofs_spark.pins.plan import Archive, BuildPlan, find_differences
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.run_facts import read_run_facts
from ofs_spark.publish.commit import commit, require_committed
from ofs_spark.publish.evidence import Evidence, write_once
from ofs_spark.publish.layout import choose_bucket_count
from ofs_spark.publish.manifest import compose_manifest
from ofs_spark.replay.completeness import ReplayTotals
from ofs_spark.replay.index import SegmentIndex, describe_slice, digest_slice, select_segments
from ofs_spark.replay.receipt import compose_replay_receipt
from ofs_spark.workflow import build as walk
from ofs_spark.workflow import materialize as staging
from ofs_spark.workflow.answer import compose_build_answer
from ofs_spark.workflow.context import RunContext


@dataclass
class Timings:
    """Seconds spent per room."""

    context: RunContext
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def room(self, name: str, doing: str) -> Iterator[None]:
        """Announces the room and adds up its time."""
        self.context.announce(name, doing)
        start = self.context.clock.monotonic()
        try:
            yield
        finally:
            spent = self.context.clock.monotonic() - start
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)


def publish_dataset(intent: Intent, held: Run, context: RunContext, attempt: str, audit: Audit) -> dict[str, Any]:
    """The whole walk of one attempt; ends with the committed manifest's answer, or a refusal and no manifest."""
    timings, own = Timings(context), f"{intent.platform_run_id}/ofs"
    with timings.room("pins", "resolves run facts, profile, archive index and label store"):
        plan, index, extract = resolve_plan(intent, context, audit)
        plan_ref = f"{own}/resolved_build_plan/{held.run_key}.json"
        plan_evidence = write_once(context.objects, plan_ref, plan.document(), "BUILD_PLAN_IMMUTABILITY_VIOLATION")
    with timings.room("publish", "starts the engine"):
        engine = context.engine()
    folders = (f"{own}/staging/{plan.plan_id}/{attempt}", f"{own}/datasets/{plan.dataset_manifest_id}/{attempt}")
    for folder in folders:
        require_owned(folder)
    desk = walk.Attempt(context, engine, held, attempt, *folders)
    papers = EvidenceWriter(plan, index, held, context)
    with timings.room("replay", f"reads {len(plan.archive.segments)} segments, {plan.archive.rows} offsets"):
        replay = walk.run_replay(plan, index, desk)
        papers.refuse_first(replay.refusals, papers.replay(replay, None))
    terms = walk.label_terms(plan, extract)
    with timings.room(
        "features", f"settles events, joins labels, computes {len(plan.program.feature_columns)} features"
    ):
        made = walk.run_build_job(plan, replay, extract, terms, desk)
        completeness = papers.replay(replay, made.facts)
        labels: Paper = ("label_resolution", walk.describe_labels(plan, extract, made, terms))
        papers.refuse_first(made.refusals, completeness, labels)
    with timings.room("publish", "stages the table"):
        table, checked = staging.materialize(plan, made, terms, desk)
        gates = staging.judge_gates(plan, replay, made, terms, table, checked)
        evidence = {
            "resolved_build_plan": plan_evidence,
            **{kind: papers.write(kind, one, "") for kind, one in (completeness, labels)},
        }
        counted = _replay(made, table.truncated)
        manifest = compose_manifest(plan.pinned(), table, counted, labels[1], gates, evidence, context.environment())
        ref = f"{own}/manifests/{plan.dataset_manifest_id}.json"
        done = commit(context.objects, ref, manifest, lambda: context.control.fence(held))
        standing = require_committed(done, ref, manifest)
    return compose_build_answer(done.outcome.value, held, standing, ref, timings.seconds)


_JUDGED_LABELS = ("COVERAGE_POLICY_VIOLATION", "FEATURE_VALUE_INVALID", "FEATURE_NUMERIC_OVERFLOW", "ORDER_UNDEFINED")
"""What refuses a build whose labels were read in full."""

Paper = tuple[str, dict[str, Any]]
"""An evidence document and its kind, which names its folder."""


@dataclass(frozen=True)
class EvidenceWriter:
    """The evidence of one attempt: under its plain name once its gate passed, under the attempt's own if it did not."""

    plan: BuildPlan
    index: SegmentIndex
    held: Run
    context: RunContext

    def replay(self, replay: walk.ReplayResult, facts: ReplayTotals | None) -> Paper:
        """The replay completeness receipt; `facts` None before events were settled."""
        plan = self.plan
        return "replay_completeness", compose_replay_receipt(
            self.held.run_key,
            plan.plan_id,
            self.index,
            plan.intent.basis,
            replay.completeness,
            facts,
            plan.policy.arrival,
        )

    def write(self, kind: str, document: dict[str, Any], suffix: str) -> Evidence:
        """Writes one document of evidence."""
        ref = f"{self.plan.intent.platform_run_id}/ofs/{kind}/{self.held.run_key}{suffix}.json"
        return write_once(self.context.objects, ref, document)

    def refuse_first(self, refusals: Sequence[Refusal], *papers: Paper) -> None:
        """Raises the first refusal, if there is one, leaving what the attempt found as the attempt's own evidence.

        A paper whose room came after the refusal's, or could not read all it needed, would tell half: it is left out.
        """
        if refusals:
            read_in_full = all(refusal.code in _JUDGED_LABELS for refusal in refusals)
            for kind, document in papers if read_in_full else papers[:1]:
                self.write(kind, document, f".{self.held.attempt}")
            raise refusals[0]


def resolve_plan(intent: Intent, context: RunContext, audit: Audit) -> tuple[BuildPlan, SegmentIndex, LabelExtract]:
    """The plan, in the order in which pins refuse: run facts, profile, label rule, then index and label store."""
    scope = read_scope(intent)
    said = find_differences(intent, context.policy, context.release, context.wiring.kind)
    for difference in said:
        context.announce("pins", f"note: {difference}")
    outputs = scope.required_output_ids
    facts = read_run_facts(context.objects, intent.run_facts_ref, intent.platform_run_id, outputs, audit)
    profile = read_profile(context.profiles, intent.feature_set_id, intent.feature_set_version)
    rule = resolve_rule(intent.resolution_rule)
    ref, index = walk.read_archive_index(context.objects, intent.platform_run_id)
    segments = select_segments(index, intent.basis)
    sparse = sum(s.file.record_count for s in segments if not s.dense)
    rows = sparse + sum(one.size or 0 for one in intent.basis)
    archive = Archive(
        ref, index.digest, digest_slice(index, intent.basis), tuple(describe_slice(index, intent.basis)), rows
    )
    with audit_resolution(audit, context.wiring.labels.ref, "label_extract"):
        extract = walk.read_label_extract(context)
    labels = {
        "extract": extract.document(),
        "rule": rule,
        "posture": intent.posture,
        "label_asof_utc": intent.label_asof_text,
        "types": sorted(
            {*(scope.scope_label_types or ()), *(scope.filter_label_types or ()), *scope.min_coverage_types}
        ),
        "maturity_days": intent.maturity_days,
    }
    buckets = choose_bucket_count(rows, context.policy.rows_per_bucket)
    plan = BuildPlan(intent, scope, profile, facts, archive, labels, context.policy, context.release, buckets, said)
    return plan, index, extract


def _replay(made: walk.BuildResult, truncated: Mapping[str, int]) -> dict[str, Any]:
    names = (
        "delivered",
        "position_duplicates",
        "positions",
        "rows",
        "redeliveries",
        "conflicts",
        "out_of_scope",
        "invalid",
    )
    counts = {name: made.facts.counts[name] for name in names}
    anomalies = {
        name: made.facts.counts[name] for name in ("mismatches", "conflicts", "invalid") if made.facts.counts[name]
    }
    return {"counts": counts, "truncated": {k: v for k, v in truncated.items() if v}, "anomalies": anomalies}
