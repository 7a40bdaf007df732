"""Parity: the online plane's snapshots rebuilt from the archive, and compared by hash.

pins, anchors → replay (scan of the cells) → fold (states of every key) → photographs → verdicts, explanations → report
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.positions import select_sources
from ofs_spark.foundation.refs import OwnedRef, name_evidence, name_parity_report, name_staging
from ofs_spark.foundation.wording import write_count
from ofs_spark.intent.identity import derive_run_key
from ofs_spark.intent.model import Intent
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
from ofs_spark.replay.index import count_offsets
from ofs_spark.replay.receipt import compose_replay_receipt
from ofs_spark.replay.scan_job import Scan
from ofs_spark.replay.scan_record import ScanPlace
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Answer
from ofs_spark.workflow.loading import BUILD
from ofs_spark.workflow.parity_explain import Explainer
from ofs_spark.workflow.parity_plan import ParityResolution, require_whole, resolve_parity, write_plan
from ofs_spark.workflow.parity_table import write_results
from ofs_spark.workflow.rebuilding import Rebuild, run_rebuild

if TYPE_CHECKING:
    from ofs_spark.foundation.columnar.ports import Engine

CONTRACT = "ofs.parity_report.v1"
MOST_REF = 1_024
"""Characters of a ref, as contracts have it."""
LISTED = 1_000
"""Results that a report lists; its table has them all."""


@dataclass(frozen=True)
class Replayed:
    """The cells of a plan's anchors, replayed. folder: where its staged rows and states stand."""

    resolution: ParityResolution
    scan: Scan
    folded: Folded
    folder: OwnedRef
    engine: Engine


def check_parity(intent: Intent, anchors: Sequence[str], context: RunContext) -> Answer:
    """The answer of `ofs parity` for the intent's own anchor, or for those of a sweep where there are any."""
    require_whole(intent)
    refs = list(anchors) or [ref for ref in [intent.parity_anchor_ref] if ref]
    if not refs:
        message = "parity_anchor_ref is absent: name a snapshot, an audit record or a decision, or many by --anchors"
        raise refuse("PARITY_ANCHOR_INVALID", message, pointer="/parity_anchor_ref")
    too_long = next((one for one in refs if len(one) > MOST_REF), "")
    if too_long:
        message = f"{too_long[:80]}… is no ref: it has {write_count(len(too_long), 'character')}, at most {MOST_REF:,} are allowed"
        raise refuse("PARITY_ANCHOR_INVALID", message)
    refs = [context.objects.relative(ref) for ref in refs]
    ref = name_parity_report(intent.platform_run_id, derive_run_key(intent.request_id))

    rebuild = Rebuild(
        ref=ref,
        contract=CONTRACT,
        noun="parity report",
        make=lambda held, audit: _compose_report(intent, refs, held, context, audit),
        answer=compose_answer,
        is_judged=True,
        asked=digest(refs) if anchors else "",
    )
    return run_rebuild(intent, rebuild, context)


def check_features(intent: Intent, features: str, context: RunContext) -> Answer:
    """The answer of `ofs parity --features`: values logged at decision time, compared with rebuilt ones."""
    from ofs_spark.workflow.window_parity import SCHEMA_VERSION, compare_logged

    ref = context.objects.relative(features)

    rebuild = Rebuild(
        ref=name_parity_report(intent.platform_run_id, derive_run_key(intent.request_id)),
        contract=SCHEMA_VERSION,
        noun="feature parity report",
        make=lambda held, audit: compare_logged(intent, ref, held, context, audit),
        answer=compose_feature_answer,
        is_judged=True,
        asked=digest({"features": ref}),
    )
    return run_rebuild(intent, rebuild, context)


def compose_answer(report: Mapping[str, Any], ref: str, run: Run) -> Answer:
    """What `ofs parity` answers of a report that stands."""
    table = report.get("table")
    return {
        "outcome": report["outcome"],
        "run_key": run.run_key,
        "request_id": run.request_id,
        "plan_id": report["plan_id"],
        "report_ref": ref,
        "results_ref": None if table is None else table["path"],
        "counts": dict(report["counts"]),
        "results": list(report["results"]),
        "warnings": list(report["differences"]),
    }


def compose_feature_answer(report: Mapping[str, Any], ref: str, run: Run) -> Answer:
    """What `ofs parity --features` answers of a report that stands."""
    kept = ("outcome", "plan_id", "counts", "prerequisites", "unchecked", "columns")
    return {
        **{name: report[name] for name in kept},
        "run_key": run.run_key,
        "request_id": run.request_id,
        "report_ref": ref,
        "results": [],
        "warnings": [],
    }


def _compose_report(
    intent: Intent, refs: Sequence[str], held: Run, context: RunContext, audit: Audit
) -> Mapping[str, Any]:
    """One attempt: every anchor's verdict, as the report."""
    context.announce("pins", f"resolves run facts, profile, archive index and {write_count(len(refs), 'anchor')}")
    resolution = resolve_parity(intent, refs, context, audit)
    evidence = {"resolved_build_plan": write_plan(resolution, held, context)}
    verdicts, replay = dict(resolution.early), {}
    if resolution.rebuilt:
        replayed = replay_cells(resolution, context)
        evidence["replay_completeness"] = write_receipt(replayed, held, context)
        completeness = replayed.scan.completeness
        replay = {"replay": {"status": completeness.status, "counts": dict(completeness.counts)}}
        verdicts |= dict(judge_anchors(replayed, context))
    results = [verdicts[place] for place in range(len(refs))]
    table = write_results(results, held, intent.platform_run_id, context) if len(refs) > 1 else None
    listed = sorted(results, key=lambda one: one.outcome == "MATCH")[:LISTED]
    return {
        "schema_version": CONTRACT,
        "run_key": held.run_key,
        "plan_id": resolution.plan.plan_id,
        "platform_run_id": intent.platform_run_id,
        "training_dataset": False,
        "outcome": choose_outcome(results),
        "counts": count_outcomes(results),
        "results": [one.to_document() for one in listed],
        "evidence": {kind: {"ref": one.ref, "sha256": one.sha256} for kind, one in evidence.items()},
        "feature_profile": resolution.plan.profile.to_document(),
        "differences": list(resolution.plan.differences),
        **replay,
        **({} if table is None else {"table": table}),
    }


def replay_cells(resolution: ParityResolution, context: RunContext) -> Replayed:
    """The anchors' cells replayed, and the states of every key; from what an earlier attempt of the plan left, if it is whole."""
    plan, policy, cells = resolution.plan, context.policy, resolution.cells
    engine = context.engine(count_offsets(resolution.index, cells.ranges), BUILD)
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
