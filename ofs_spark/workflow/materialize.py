"""From written files to a prepared manifest: one Delta commit, read back whole, the gates over it, its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ofs_spark.features.split_keys import describe_split_keys
from ofs_spark.foundation.positions import hash_basis
from ofs_spark.foundation.wording import write_count
from ofs_spark.publish.delta_log import TableLog, read_log, verify_log
from ofs_spark.publish.digest import digest_content
from ofs_spark.publish.file_list import put_file_list
from ofs_spark.publish.gate import Gate, GateInputs, describe_shortfall, judge_gates, require_passed
from ofs_spark.publish.manifest import Materialization, compose_manifest, count_anomalies, summarise_replay
from ofs_spark.publish.prepared import put_prepared
from ofs_spark.publish.verify import Checks, FileCheck
from ofs_spark.publish.verify_job import verify_table
from ofs_spark.workflow.attempt import Attempt
from ofs_spark.workflow.build import BuildResult, ReplayResult
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Ending
from ofs_spark.workflow.evidence import EvidenceWriter, Receipt
from ofs_spark.workflow.plan import Resolution


@dataclass(frozen=True)
class Staged:
    """A table that stands and was read back: what it is, what its files say, and the gates over it."""

    table: Materialization
    gates: tuple[Gate, ...]


def materialize(
    resolution: Resolution, replay: ReplayResult, made: BuildResult, attempt: Attempt, context: RunContext
) -> Staged:
    """Commits the table, reads it back whole, and judges the gates.

    MATERIALIZATION_CORRUPT on any difference between what was written and what stands; else the code of the first gate
    that failed and binds this intent.
    """
    plan = resolution.plan
    context.announce("publish", f"commits {write_count(len(made.entries), 'file')} as one Delta version")
    log = _commit_table(resolution, made, attempt, context)
    context.announce("publish", "reads the table back and recomputes its digests")
    checked = verify_table(attempt.engine, context.objects, made.entries, _compose_checks(resolution, made))
    leaves = [leaf for entry in made.entries for leaf in entry.leaves]
    table = Materialization(
        attempt=attempt.name,
        path=attempt.table,
        delta_log_sha256=log.log_sha256,
        columns=plan.columns,
        rows=checked.rows,
        layout=_describe_layout(plan.layout, made),
        buckets=made.buckets,
        leaves=leaves,
        content_digest=digest_content(plan.schema, leaves),
        files=put_file_list(context.objects, plan.intent.platform_run_id, made.entries),
        null_counts=checked.null_counts,
        truncated=checked.truncated,
    )
    gates = judge_gates(_gather_inputs(resolution, replay, made, table, checked))
    require_passed(gates, plan.intent.training)
    return Staged(table, gates)


def _describe_layout(rule: Mapping[str, Any], made: BuildResult) -> dict[str, Any]:
    """The plan's rule as the table followed it: what came out stands where the rule has what it divides by."""
    ruled = {name: value for name, value in rule.items() if name != "rows_per_bucket"}
    return {"buckets": made.buckets} | ruled | describe_split_keys(made.splits)


def _commit_table(resolution: Resolution, made: BuildResult, attempt: Attempt, context: RunContext) -> TableLog:
    """The Delta commit of exactly the files that were written, read back and compared with them."""
    plan = resolution.plan
    metadata = {
        "plan_id": plan.plan_id,
        "dataset_manifest_id": plan.dataset_manifest_id,
        "run_key": attempt.run.run_key,
    }
    context.tables.create(
        context.objects.locate(attempt.table),
        plan.columns,
        made.entries,
        plan.dataset_manifest_id,
        f"OFS dataset {plan.profile.set_id} {plan.profile.set_version}",
        {f"ofs.{name}": value for name, value in metadata.items()},
        int(context.clock.now().timestamp() * 1000),
    )
    log = read_log(context.objects, attempt.table)
    verify_log(log, attempt.table, plan.columns, made.entries)
    return log


def _compose_checks(resolution: Resolution, made: BuildResult) -> Checks:
    """What every file is judged by: schema, label cut-off, and per feature the time before which its window is cut off."""
    plan, terms = resolution.plan, resolution.terms
    before: dict[str, int] = {}
    for feature in (feature for group in plan.program.groups for feature in group.features):
        if made.truncated_before is not None and feature.window_us is not None:
            before[feature.column] = made.truncated_before + feature.delay_us + feature.window_us
    cutoff = terms.find_cutoff_us(resolution.extract.committed_up_to_utc)
    return Checks(plan.schema, terms.types, cutoff, terms.mature_until_us, before, plan.policy.most_decoded_bytes)


def _gather_inputs(
    resolution: Resolution, replay: ReplayResult, made: BuildResult, table: Materialization, checked: FileCheck
) -> GateInputs:
    plan = resolution.plan
    refused = plan.policy.window_truncated == "refuse"
    return GateInputs(
        plan_basis_hash=plan.basis_hash,
        replay_basis_hash=hash_basis(one.range for one in replay.completeness.ranges),
        replay_status=replay.completeness.status,
        anchors=made.anchors,
        computed_rows=sum(entry.rows for entry in made.entries),
        stored_rows=checked.rows,
        computed_digest=table.content_digest,
        stored_digest=digest_content(plan.schema, checked.leaves),
        leaks=checked.leaks,
        posture=plan.intent.posture,
        anomalies=count_anomalies(made.totals.counts),
        truncated_rows=max(table.truncated.values(), default=0) if refused else None,
        label_shortfalls=tuple(describe_shortfall(one.to_document()) for one in made.shortfalls),
    )


def prepare_manifest(
    staged: Staged,
    made: BuildResult,
    receipts: tuple[Receipt, Receipt],
    writer: EvidenceWriter,
    context: RunContext,
    ending: Ending,
) -> dict[str, Any]:
    """Writes the evidence, composes the manifest, and leaves it prepared: from here on a retry needs no more than that.

    `receipts`: replay completeness and label resolution.
    """
    plan, (scanned, labels) = writer.resolution.plan, receipts
    evidence = {"resolved_build_plan": writer.write_plan(), **writer.write_intent()}
    evidence |= {receipt.kind: writer.write(receipt) for receipt in receipts}
    unseen = scanned.document.get("unseen_fields", ())
    replay = summarise_replay(made.totals.counts, staged.table.truncated, unseen)
    environment = context.environment()
    manifest = compose_manifest(
        plan.describe_pinned(), staged.table, replay, labels.document, staged.gates, evidence, environment
    )
    context.control.fence(writer.run)  # a driver that lost the run leaves alone what its successor prepared
    ending.prepared = put_prepared(context.objects, writer.run.run_key, plan.intent, manifest).describe()
    return manifest
