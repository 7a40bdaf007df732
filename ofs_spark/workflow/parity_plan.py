"""From an admitted parity or forensic intent to its frozen plan, and what is known of each anchor before a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.collect import Collector, refuse_all
from ofs_spark.foundation.errors import InternalError, Refusal, refuse
from ofs_spark.foundation.positions import Range
from ofs_spark.foundation.refs import name_plan, name_segment_index
from ofs_spark.intent.admission import find_narrowing
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.parity.anchors import Anchor, read_anchors, rebuild_content
from ofs_spark.parity.cells import Cells, cut_cells
from ofs_spark.parity.plan import ParityPlan, find_firsts, find_uncovered, find_unreachable, unite_cells
from ofs_spark.parity.verdict import BASIS, Verdict, differ, lack, make_unreadable
from ofs_spark.pins.plan import find_differences, require_platform
from ofs_spark.pins.profile.compile import Profile, read_profile
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.pins.run_facts import RunFacts, read_run_facts
from ofs_spark.publish.evidence import Evidence, write_once
from ofs_spark.replay.index import SegmentIndex, count_offsets, digest_slice, read_index, select_segments
from ofs_spark.workflow.context import RunContext


@dataclass(frozen=True)
class ParityResolution:
    """The plan and what it was resolved from.

    early: by the place of an anchor, the verdict that it has without a replay; rebuilt: the places of the others, in order.
    cells: of those others, in that order.
    """

    plan: ParityPlan
    index: SegmentIndex
    rules: OnlineCoreRules
    early: dict[int, Verdict]
    rebuilt: tuple[int, ...]
    anchors: dict[int, Anchor]
    cells: Cells

    @property
    def rows(self) -> int:
        """Offsets that are replayed."""
        return count_offsets(self.index, self.cells.ranges)


@dataclass(frozen=True)
class _Pins:
    """What the pins name, None where one refused."""

    differences: tuple[str, ...]
    facts: RunFacts | None
    profile: Profile | None
    index: SegmentIndex | None


def require_whole(intent: Intent) -> None:
    """FILTER_UNSUPPORTED where an intent would have the rebuild see less than the online plane saw."""
    faults = list(find_narrowing(intent.document))
    if faults:
        raise refuse_all(faults)


def resolve_parity(intent: Intent, refs: Sequence[str], context: RunContext, audit: Audit) -> ParityResolution:
    """Every pin of a rebuild, or one refusal that tells everything that is wrong with them.

    An anchor of a single one that is none refuses; one of many that is none is a result of its own.
    """
    faults = Collector()
    pins = _resolve_pins(intent, context, audit, faults)
    facts, profile, index, differences = pins.facts, pins.profile, pins.index, pins.differences
    rules = None if profile is None else faults.attempt(lambda: _require_core(profile))
    anchors, early = _read_anchors(intent, refs, context, audit, faults)
    faults.raise_all()
    if not (facts and profile and rules and index):
        raise InternalError("a pin is missing and nothing refused")
    firsts = find_firsts(index)
    for place, anchor in anchors.items():
        verdict = _judge_early(anchor, intent, firsts, profile)
        if verdict is not None:
            early[place] = verdict
    rebuilt = tuple(place for place in sorted(anchors) if place not in early)
    cells = cut_cells(firsts, [anchors[place].ends for place in rebuilt])
    stated = tuple((ref, anchors[at].sha256 if at in anchors else "") for at, ref in enumerate(refs))
    told = (*differences, *profile.describe_differences())
    plan = _freeze_plan(intent, (facts, profile, index), stated, unite_cells(cells.ranges), context, told)
    return ParityResolution(plan, index, rules, early, rebuilt, anchors, cells)


def require_parity_pins(intent: Intent, context: RunContext) -> None:
    """Refuses as `resolve_parity` does for the intent's own anchor. Of an intent without one: what neither the anchors of a
    sweep nor a file of logged values decides."""
    require_whole(intent)
    if intent.parity_anchor_ref:
        resolve_parity(intent, [context.objects.relative(intent.parity_anchor_ref)], context, [])
        return
    faults = Collector()
    _resolve_pins(intent, context, [], faults)
    faults.raise_all()


def _resolve_pins(intent: Intent, context: RunContext, audit: Audit, faults: Collector) -> _Pins:
    """What the intent and its run name, whatever is compared."""
    kind, policy = context.wiring.kind, context.policy
    differences = faults.attempt(lambda: find_differences(intent, policy, context.release, kind)) or ()
    facts = faults.attempt(
        lambda: read_run_facts(context.objects, intent.run_facts_ref, intent.platform_run_id, (), audit)
    )
    profile = faults.attempt(lambda: read_profile(context.profiles, intent.feature_set_id, intent.feature_set_version))
    index = faults.attempt(lambda: read_index(context.objects, intent.platform_run_id))
    origins = {one.ref: one.origin for one in (facts,) if one}
    origins |= {name_segment_index(intent.platform_run_id): one.origin for one in (index,) if one}
    faults.attempt(lambda: require_platform(origins, kind))
    return _Pins(differences, facts, profile, index)


def _freeze_plan(
    intent: Intent,
    pins: tuple[RunFacts, Profile, SegmentIndex],
    anchors: tuple[tuple[str, str], ...],
    basis: tuple[Range, ...],
    context: RunContext,
    differences: tuple[str, ...],
) -> ParityPlan:
    """The plan of pins that are all there. anchors: (ref, SHA-256)."""
    facts, profile, index = pins
    return ParityPlan(
        intent=intent,
        profile=profile,
        run_facts=facts,
        archive={
            "index_ref": name_segment_index(intent.platform_run_id),
            "slice_digest": digest_slice(index, basis),
            "segments": len(select_segments(index, basis)),
        },
        anchors=anchors,
        basis=basis,
        policy={
            "revision": context.policy.policy_revision,
            "run_config_digest": context.policy.run_config_digest,
        },
        release=context.release,
        differences=differences,
    )


def write_plan(resolution: ParityResolution, held: Run, context: RunContext) -> Evidence:
    """The plan as evidence; BUILD_PLAN_IMMUTABILITY_VIOLATION if an earlier attempt resolved another."""
    plan = resolution.plan
    ref = name_plan(plan.intent.platform_run_id, held.run_key)
    return write_once(context.objects, ref, plan.to_document(), "BUILD_PLAN_IMMUTABILITY_VIOLATION")


def _require_core(profile: Profile) -> OnlineCoreRules:
    """The one set of rules that all groups of the set have."""
    program, pointer = profile.program, "/feature_definition_set"
    own = [group.name for group in program.groups if group.online_core is None]
    if own:
        message = (
            f"group {own[0]} has features of its own; a snapshot is of core groups. Compare logged values: --features"
        )
        raise refuse("FEATURE_PROFILE_UNRESOLVED", message, ref=profile.ref, pointer=pointer)
    if len(program.online_core_rules) != 1:
        message = (
            "the groups of the set have different key_precedence or amount_fields: a snapshot has one state per key"
        )
        raise refuse("FEATURE_PROFILE_UNRESOLVED", message, ref=profile.ref, pointer=pointer)
    return program.online_core_rules[0]


def _read_anchors(
    intent: Intent, refs: Sequence[str], context: RunContext, audit: Audit, faults: Collector
) -> tuple[dict[int, Anchor], dict[int, Verdict]]:
    """(anchors, verdicts of what is none), by their places."""
    anchors: dict[int, Anchor] = {}
    early: dict[int, Verdict] = {}
    found = read_anchors(context.objects, refs, intent.platform_run_id, audit)
    for place, (ref, one) in enumerate(zip(refs, found, strict=True)):
        if isinstance(one, Refusal):
            if len(refs) == 1 or one.code == "ENVIRONMENT_UNFIT":  # which is no anchor's fault, and passes
                faults.add([one])
            early[place] = make_unreadable(ref, one)
        else:
            anchors[place] = one
    return anchors, early


def _judge_early(
    anchor: Anchor, intent: Intent, firsts: dict[tuple[str, int, str], int], profile: Profile
) -> Verdict | None:
    """The verdict of an anchor that cannot be rebuilt; None where it can."""
    unreachable = find_unreachable(anchor, firsts)
    if unreachable:
        return lack(anchor, "ARCHIVE", f"the archive's index has no segment of {unreachable}")
    uncovered = find_uncovered(anchor, firsts, intent.basis)
    if uncovered:
        return differ(anchor, BASIS, f"the intent's basis does not hold {uncovered}")
    try:
        rebuild_content(anchor, profile)
    except Refusal as refusal:
        return lack(anchor, str(refusal.details["prerequisite"]), refusal.message)
    return None
