"""A parity report made: the cells of a plan's anchors replayed, their snapshots rebuilt and judged.

replay (scan of the cells) → fold (states of every key) → photographs → verdicts, explanations → report
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.positions import select_sources
from ofs_spark.foundation.refs import OwnedRef, name_evidence, name_staging
from ofs_spark.foundation.wording import write_count
from ofs_spark.intent.run import Run
from ofs_spark.parity.anchors import find_version_differences, rebuild_content
from ofs_spark.parity.coverage import cover_cells, unite_coverage
from ofs_spark.parity.fold import Folded
from ofs_spark.parity.online_rows import make_online_spec
from ofs_spark.parity.photograph import Photo, photograph
from ofs_spark.parity.replaying import replay_basis
from ofs_spark.parity.snapshot import digest_basis, frame_snapshot
from ofs_spark.parity.verdict import Rebuilt, Verdict, choose_outcome, count_outcomes, judge
from ofs_spark.publish.evidence import Evidence, write_once
from ofs_spark.replay.completeness import COMPLETE
from ofs_spark.replay.receipt import compose_replay_receipt
from ofs_spark.replay.scan_job import Scan
from ofs_spark.replay.scan_record import ScanPlace
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.loading import BUILD
from ofs_spark.workflow.parity import CONTRACT
from ofs_spark.workflow.parity_explain import Explainer
from ofs_spark.workflow.parity_plan import ParityResolution
from ofs_spark.workflow.parity_table import write_results

if TYPE_CHECKING:
    from ofs_spark.foundation.columnar.ports import Engine

LISTED = 1_000
"""Results that a report lists; its table has them all."""
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Replayed:
    """The cells of a plan's anchors, replayed. folder: where its staged rows and states stand."""

    resolution: ParityResolution
    scan: Scan
    folded: Folded
    folder: OwnedRef
    engine: Engine


def compose_report(resolution: ParityResolution, frozen: Evidence, held: Run, context: RunContext) -> Document:
    """The verdict of every anchor of a plan, as the report. frozen: the plan as evidence."""
    plan, evidence = resolution.plan, {"resolved_build_plan": frozen}
    verdicts, replay = dict(resolution.early), {}
    if resolution.rebuilt:
        replayed = replay_cells(resolution, context)
        evidence["replay_completeness"] = write_receipt(replayed, held, context)
        completeness = replayed.scan.completeness
        replay = {"replay": {"status": completeness.status, "counts": dict(completeness.counts)}}
        verdicts |= dict(judge_anchors(replayed, context))
    results = [verdicts[place] for place in range(len(plan.anchors))]
    run_id = plan.intent.platform_run_id
    table = write_results(results, held, run_id, context) if len(results) > 1 else None
    listed = sorted(results, key=lambda one: one.outcome == "MATCH")[:LISTED]
    return {
        "schema_version": CONTRACT,
        "run_key": held.run_key,
        "plan_id": plan.plan_id,
        "platform_run_id": run_id,
        "training_dataset": False,
        "outcome": choose_outcome(results),
        "counts": count_outcomes(results),
        "results": [one.to_document() for one in listed],
        "evidence": {kind: {"ref": one.ref, "sha256": one.sha256} for kind, one in evidence.items()},
        "feature_profile": plan.profile.to_document(),
        "differences": list(plan.differences),
        **replay,
        **({} if table is None else {"table": table}),
    }


def replay_cells(resolution: ParityResolution, context: RunContext) -> Replayed:
    """The anchors' cells replayed, and the states of every key; from what an earlier attempt of the plan left, if it is whole."""
    plan, policy, cells = resolution.plan, context.policy, resolution.cells
    engine = context.engine(resolution.rows, BUILD)
    context.announce("replay", "proves the basis")
    folder = name_staging(plan.intent.platform_run_id, plan.plan_id)
    spec = make_online_spec(
        resolution.index, resolution.rules, policy.arrival, policy.int96_is_utc, policy.most_decoded_bytes
    )
    place = ScanPlace(context.objects, folder, plan.plan_id, cells.ranges, spec)
    doing = {"scans": ("replay", f"scans {write_count(plan.archive['segments'], 'segment')}")}
    folding = ("parity", "folds the events into states")
    replay = replay_basis(engine, resolution.index, place, lambda what: context.announce(*doing.get(what, folding)))
    return Replayed(resolution, replay.scan, replay.folded, folder, engine)


def write_receipt(replayed: Replayed, held: Run, context: RunContext) -> Evidence:
    """The replay completeness receipt, whatever it says: a rebuild that is not complete says so.

    It has the plain name where the basis is complete, else the attempt's own: a later attempt may find the archive mended.
    """
    resolution, plan = replayed.resolution, replayed.resolution.plan
    found = unite_coverage(replayed.scan.completeness, resolution.index)
    sources = select_sources(one.range for one in found.ranges)
    document = compose_replay_receipt(
        held.run_key, plan.plan_id, resolution.index, plan.basis, sources, found, None, context.policy.arrival
    )
    attempt = "" if found.status == COMPLETE else held.attempt
    ref = name_evidence(plan.intent.platform_run_id, "replay_completeness", held.run_key, attempt)
    return write_once(context.objects, ref, document)


def judge_anchors(replayed: Replayed, context: RunContext) -> Iterator[tuple[int, Verdict]]:
    """(place, verdict) of every anchor that was rebuilt."""
    resolution = replayed.resolution
    plan, cells = resolution.plan, resolution.cells
    coverage = cover_cells(cells, replayed.scan.completeness)
    contents = [rebuild_content(resolution.anchors[at], plan.profile) for at in resolution.rebuilt]
    context.announce("parity", f"rebuilds {write_count(len(contents), 'snapshot')}")
    frames = [frame_snapshot(one) for one in contents]
    photos = photograph(replayed.engine, context.objects, replayed.folder, replayed.folded, cells, frames)
    explainer = Explainer(replayed, context)
    for photo in photos:
        at = resolution.rebuilt[photo.number]
        anchor, reach = resolution.anchors[at], cells.reach[photo.number]
        stated = anchor.basis.get("basis_digest")
        own = digest_basis(anchor.basis)
        wrong = "" if stated in (None, own) else f"basis_digest is {stated}; the basis has {own}"
        rebuilt = _describe(photo, *coverage.find(reach))
        verdict = judge(anchor, rebuilt, wrong, find_version_differences(anchor, plan.profile))
        yield at, explainer.compare(anchor, verdict, reach, contents[photo.number])


def _describe(photo: Photo, status: str, problem: str) -> Rebuilt:
    """A photo, and what the replay proves of it."""
    spread = "keys have events in several partitions and amounts that do not add exactly, say"
    told = (
        (photo.undefined_count, spread, photo.undefined),
        (photo.endless_count, "keys have a sum that is not finite, say", photo.endless),
    )
    why = "; ".join(f"{count} {what} {first[0]}" for count, what, first in told if count)
    return Rebuilt(photo.snapshot_hash, photo.keys, photo.counts, why, status, problem)
