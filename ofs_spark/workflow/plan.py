"""From an admitted intent to its frozen plan: every pin resolved once, everything wrong with them told at once."""

from __future__ import annotations

from dataclasses import dataclass

from ofs_spark.foundation.audit import Audit, audit_resolution
from ofs_spark.foundation.collect import Collector
from ofs_spark.foundation.errors import InternalError, Refusal
from ofs_spark.foundation.policy import Policy
from ofs_spark.foundation.ports import NOTE
from ofs_spark.foundation.positions import select_sources
from ofs_spark.foundation.refs import name_segment_index
from ofs_spark.intent.admission import read_scope
from ofs_spark.intent.model import Intent, Scope
from ofs_spark.labels.extract import judge_marker, read_extract, require_marker
from ofs_spark.labels.extract_file import find_file_faults
from ofs_spark.labels.model import LabelExtract
from ofs_spark.labels.terms import LabelTerms, require_types, resolve_rule, resolve_terms
from ofs_spark.pins.plan import Archive, BuildPlan, find_differences, require_platform
from ofs_spark.pins.profile.catalogue import describe_dataset
from ofs_spark.pins.profile.compile import Profile, read_profile
from ofs_spark.pins.run_facts import RunFacts, read_run_facts
from ofs_spark.publish.manifest import require_room
from ofs_spark.replay.completeness import find_index_faults
from ofs_spark.replay.index import (
    SegmentIndex,
    count_offsets,
    describe_slice,
    digest_slice,
    read_index,
    select_segments,
)
from ofs_spark.replay.scan.archive import find_segment_faults
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.supersession import judge_supersession

BASIS = "/replay_basis"


@dataclass(frozen=True)
class Resolution:
    """The plan, and what it was resolved from: the index, the label store's pinned state, the label terms."""

    plan: BuildPlan
    index: SegmentIndex
    extract: LabelExtract
    terms: LabelTerms


@dataclass(frozen=True)
class _Pins:
    """What the pins name, each None where it refused."""

    facts: RunFacts | None
    profile: Profile | None
    index: SegmentIndex | None
    terms: LabelTerms | None
    extract: LabelExtract | None


def resolve_plan(intent: Intent, context: RunContext, audit: Audit) -> Resolution:
    """Every pin of an admitted intent, or one refusal that tells everything that is wrong with them.

    Nothing here reads an event or a label: what only those show is told after the scan. Told in the order of rooms: run
    facts and outputs, profile, label rule; index, the basis against it, and what the footers of its segments show; label
    terms, extract, its marker and the footers of its files. The bytes of a file are proven before its footer is told of,
    and the scan and the build job ask everything of a file again: it may change, and not every footer is looked at.
    """
    scope, policy, faults = read_scope(intent), context.policy, Collector()
    differences = faults.attempt(lambda: find_differences(intent, policy, context.release, context.wiring.kind)) or ()
    pins = _resolve_pins(intent, scope, context, audit, faults)
    faults.attempt(lambda: require_platform(_list_origins(pins, intent), context.wiring.kind))
    if pins.profile and pins.terms:
        profile, types = pins.profile, pins.terms.types
        faults.attempt(lambda: describe_dataset(profile.program, types))
        differences += profile.describe_differences()
    if pins.extract:
        extract = pins.extract
        differences += faults.attempt(lambda: judge_marker(extract, intent)) or ()
        faults.add(find_file_faults(context.objects, extract.files, policy.int96_is_utc, policy.most_decoded_bytes))
    if pins.index:
        faults.add(_refuse_basis(pins.index, intent))
        files = [segment.file for segment in select_segments(pins.index, intent.basis)]
        faults.add(find_segment_faults(context.objects, files, policy.int96_is_utc, policy.most_decoded_bytes))
    faults.add(judge_supersession(intent, context))
    faults.raise_all()
    for difference in differences:
        context.announce("pins", f"{NOTE}{difference}")
    return _freeze_plan(intent, scope, context, pins, differences)


def _resolve_pins(intent: Intent, scope: Scope, context: RunContext, audit: Audit, faults: Collector) -> _Pins:
    """Reads and proves every document that the intent, the wiring or the run names, whatever the others came to."""
    policy, outputs = context.policy, scope.required_output_ids
    return _Pins(
        faults.attempt(
            lambda: read_run_facts(context.objects, intent.run_facts_ref, intent.platform_run_id, outputs, audit)
        ),
        faults.attempt(lambda: read_profile(context.profiles, intent.feature_set_id, intent.feature_set_version)),
        faults.attempt(lambda: read_index(context.objects, intent.platform_run_id)),
        _resolve_terms(intent, scope, policy, faults),
        faults.attempt(lambda: _read_extract(context, audit)),
    )


def _list_origins(pins: _Pins, intent: Intent) -> dict[str, str | None]:
    """What the pinned documents state of who wrote them in the platform's place, by ref."""
    facts = {} if pins.facts is None else {pins.facts.ref: pins.facts.origin}
    index = {} if pins.index is None else {name_segment_index(intent.platform_run_id): pins.index.origin}
    return {**facts, **index, **({} if pins.extract is None else {pins.extract.ref: pins.extract.origin})}


def _resolve_terms(intent: Intent, scope: Scope, policy: Policy, faults: Collector) -> LabelTerms | None:
    """The label terms; None where the rule's name, which is told with the pins, or anything else of them refused."""
    if faults.attempt(lambda: resolve_rule(intent.resolution_rule)) is None:
        faults.attempt(lambda: require_types(intent, scope))
        return None
    return faults.attempt(lambda: resolve_terms(intent, scope, policy.coverage, policy.min_mature_anchor_ratio))


def _freeze_plan(
    intent: Intent, scope: Scope, context: RunContext, pins: _Pins, differences: tuple[str, ...]
) -> Resolution:
    """The plan of pins that are all there."""
    facts, profile, index, terms, extract = pins.facts, pins.profile, pins.index, pins.terms, pins.extract
    if not (facts and profile and index and terms and extract):
        raise InternalError("a pin is missing and nothing refused")
    archive = _describe_archive(index, intent)
    plan = BuildPlan(
        intent=intent,
        scope=scope,
        profile=profile,
        run_facts=facts,
        archive=archive,
        labels={**terms.to_document(), "types": list(terms.types), "extract": extract.to_document()},
        policy=context.policy,
        release=context.release,
        differences=differences,
        sources=select_sources(intent.basis),
    )
    require_room(plan.describe_pinned(), plan.columns)
    return Resolution(plan, index, extract, terms)


def find_basis_pointer(intent: Intent) -> str:
    """Where an intent names its offsets."""
    return BASIS if "replay_basis" in intent.document else "/replay_selector/offsets"


def _refuse_basis(index: SegmentIndex, intent: Intent) -> list[Refusal]:
    """What the index alone shows to be missing or unprovable of the basis; the scan judges what is inside segments."""
    at = find_basis_pointer(intent)
    found = [fault.make_refusal() for fault in find_index_faults(index, intent.basis)]
    for refusal in found:
        refusal.details["pointer"] = at
    return found


def _read_extract(context: RunContext, audit: Audit) -> LabelExtract:
    """The label store's pinned state, as the wiring names it; with its commit marker where policy requires one."""
    ref = context.wiring.labels.ref
    with audit_resolution(audit, ref, "label_extract"):
        extract = read_extract(context.objects, ref)
        if context.policy.require_marker:
            require_marker(extract)
    return extract


def _describe_archive(index: SegmentIndex, intent: Intent) -> Archive:
    """The slice of the index that the basis reads."""
    rows = count_offsets(index, intent.basis)
    segments = tuple(describe_slice(index, intent.basis))
    return Archive(
        name_segment_index(intent.platform_run_id), index.digest, digest_slice(index, intent.basis), segments, rows
    )
