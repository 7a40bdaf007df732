"""From an admitted intent to its frozen plan: every pin resolved once, in the order in which pins refuse."""

from __future__ import annotations

from dataclasses import dataclass

from ofs_spark.foundation.audit import Audit, audit_resolution
from ofs_spark.foundation.positions import select_sources
from ofs_spark.foundation.refs import name_segment_index
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.model import Intent
from ofs_spark.labels.extract import read_extract, require_marker
from ofs_spark.labels.model import LabelExtract
from ofs_spark.labels.terms import LabelTerms, resolve_rule, resolve_terms
from ofs_spark.pins.plan import Archive, BuildPlan, find_differences
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.pins.run_facts import read_run_facts
from ofs_spark.publish.manifest import require_room
from ofs_spark.replay.index import SegmentIndex, describe_slice, digest_slice, read_index, select_segments
from ofs_spark.workflow.context import RunContext


@dataclass(frozen=True)
class Resolution:
    """The plan, and what it was resolved from: the index, the label store's pinned state, the label terms."""

    plan: BuildPlan
    index: SegmentIndex
    extract: LabelExtract
    terms: LabelTerms


def resolve_plan(intent: Intent, context: RunContext, audit: Audit) -> Resolution:
    """Every pin of an admitted intent. Refuses in this order: run facts, profile, label rule, index, terms, extract."""
    scope, policy = read_scope(intent), context.policy
    differences = find_differences(intent, policy, context.release, context.wiring.kind)
    outputs = scope.required_output_ids
    facts = read_run_facts(context.objects, intent.run_facts_ref, intent.platform_run_id, outputs, audit)
    profile = read_profile(context.profiles, intent.feature_set_id, intent.feature_set_version)
    differences += profile.describe_differences()
    for difference in differences:
        context.announce("pins", f"note: {difference}")
    resolve_rule(intent.resolution_rule)
    index = read_index(context.objects, intent.platform_run_id)
    terms = resolve_terms(intent, scope, policy.coverage, policy.min_mature_anchor_ratio)
    extract = _read_extract(context, audit)
    archive = _describe_archive(index, intent)
    labels = {**terms.to_document(), "types": list(terms.types), "extract": extract.to_document()}
    plan = BuildPlan(
        intent=intent,
        scope=scope,
        profile=profile,
        run_facts=facts,
        archive=archive,
        labels=labels,
        policy=policy,
        release=context.release,
        differences=differences,
        sources=select_sources(intent.basis),
    )
    require_room(plan.describe_pinned(), plan.columns)  # as are two columns of one name: here, not after the work
    return Resolution(plan, index, extract, terms)


def _read_extract(context: RunContext, audit: Audit) -> LabelExtract:
    """The label store's pinned state, as the wiring names it; with its commit marker where policy requires one."""
    ref = context.wiring.labels.ref
    with audit_resolution(audit, ref, "label_extract"):
        extract = read_extract(context.objects, ref)
        if context.policy.require_marker:
            require_marker(extract)
    return extract


def _describe_archive(index: SegmentIndex, intent: Intent) -> Archive:
    """The slice of the index that the basis reads. Rows: offsets of dense ranges, stated records of sparse segments."""
    sparse = sum(s.file.record_count for s in select_segments(index, intent.basis) if not s.dense)
    rows = sparse + sum(one.size or 0 for one in intent.basis)
    segments = tuple(describe_slice(index, intent.basis))
    return Archive(
        name_segment_index(intent.platform_run_id), index.digest, digest_slice(index, intent.basis), segments, rows
    )
