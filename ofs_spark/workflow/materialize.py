"""The last part of the walk: one Delta commit of the files that were written, read back whole, and the gates over it."""

from __future__ import annotations

from ofs_spark.foundation.positions import hash_basis
from ofs_spark.labels import coverage
from ofs_spark.pins.plan import BuildPlan
from ofs_spark.publish import gate
from ofs_spark.publish.delta_log import TableLog, read_log, verify_log
from ofs_spark.publish.digest import digest_content
from ofs_spark.publish.file_list import put_file_list
from ofs_spark.publish.manifest import Materialization
from ofs_spark.publish.verify import Checks, FileCheck
from ofs_spark.publish.verify_job import verify_table
from ofs_spark.workflow.build import Attempt, BuildResult, LabelTerms, ReplayResult


def materialize(
    plan: BuildPlan, made: BuildResult, terms: LabelTerms, desk: Attempt
) -> tuple[Materialization, FileCheck]:
    """Commits the table, reads it back whole, and says what it is. MATERIALIZATION_CORRUPT on any difference."""
    context, folder = desk.context, desk.table
    context.announce("publish", f"commits {len(made.entries)} files as one Delta version")
    log = _commit_table(plan, made, terms, desk)
    context.announce("publish", "reads the table back and recomputes its digests")
    checked = verify_table(desk.engine, context.objects, made.entries, compose_checks(plan, made, terms))
    leaves = [leaf for entry in made.entries for leaf in entry.leaves]
    listed = put_file_list(context.objects, f"{plan.intent.platform_run_id}/ofs", made.entries)
    table = Materialization(
        attempt=desk.attempt,
        path=folder,
        delta_log_sha256=log.log_sha256,
        columns=terms.columns,
        rows=checked.rows,
        layout=plan.layout,
        buckets=plan.buckets,
        leaves=leaves,
        content_digest=digest_content(terms.schema, leaves),
        files=listed,
        null_counts=checked.null_counts,
        truncated=checked.truncated,
    )
    return table, checked


def _commit_table(plan: BuildPlan, made: BuildResult, terms: LabelTerms, desk: Attempt) -> TableLog:
    """The Delta commit of exactly the files that were written, read back and compared with them."""
    context, folder, dataset_id = desk.context, desk.table, plan.dataset_manifest_id
    metadata = {"plan_id": plan.plan_id, "dataset_manifest_id": dataset_id, "run_key": desk.run.run_key}
    context.tables.create(
        context.objects.locate(folder),
        terms.columns,
        made.entries,
        dataset_id,
        f"OFS dataset {plan.profile.set_id} {plan.profile.set_version}",
        {f"ofs.{name}": value for name, value in metadata.items()},
        int(context.clock.now().timestamp() * 1000),
    )
    log = read_log(context.objects, folder)
    verify_log(log, folder, terms.columns, made.entries)
    return log


def compose_checks(plan: BuildPlan, made: BuildResult, terms: LabelTerms) -> Checks:
    """What every file is judged by: schema, label cut-off, and per feature the time before which its window is cut off."""
    before: dict[str, int] = {}
    for feature in (feature for group in plan.program.groups for feature in group.features):
        if made.truncated_before is not None and feature.window_us is not None:
            before[feature.column] = made.truncated_before + feature.delay_us + feature.window_us
    return Checks(terms.schema, terms.law.types, terms.cutoff_us, before)


def judge_gates(
    plan: BuildPlan,
    replay: ReplayResult,
    made: BuildResult,
    terms: LabelTerms,
    table: Materialization,
    checked: FileCheck,
) -> tuple[gate.Gate, ...]:
    """The gates, judged; refuses where one that binds this intent failed."""
    missed = coverage.find_shortfalls(made.label_counts, terms.policy)
    written = sum(entry.rows for entry in made.entries)
    anomalies = sum(made.facts.counts[name] for name in ("mismatches", "conflicts", "invalid"))
    cut_off = max(table.truncated.values(), default=0) if plan.policy.window_truncated == "refuse" else None
    gates = gate.judge_gates(
        gate.GateInputs(
            plan_basis_hash=plan.basis_hash,
            replay_basis_hash=hash_basis(one.range for one in replay.completeness.ranges),
            replay_status=replay.completeness.status,
            anchors=made.anchors,
            computed_rows=written,
            stored_rows=checked.rows,
            computed_digest=table.content_digest,
            stored_digest=digest_content(terms.schema, checked.leaves),
            leaks=checked.leaks,
            posture=plan.intent.posture,
            anomalies=anomalies,
            truncated_rows=cut_off,
            label_shortfalls=tuple(
                f"{m.label_type} {m.measure} {coverage.round_ratio(m.found)}, {m.required}" for m in missed
            ),
        )
    )
    gate.require_passed(gates, plan.intent.training)
    return gates
