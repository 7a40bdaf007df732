"""The evidence of one attempt: under its plain name once its gate passed, under the attempt's own if it did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.codes import CODES
from ofs_spark.foundation.collect import merge_refusals
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import name_evidence, name_plan
from ofs_spark.intent.run import Run
from ofs_spark.labels.receipt import compose_label_receipt
from ofs_spark.publish.evidence import Evidence, write_once
from ofs_spark.replay.receipt import add_unseen_fields, compose_replay_receipt
from ofs_spark.workflow.build import BuildResult, ReplayResult
from ofs_spark.workflow.claims import BACKFILL_INTENT
from ofs_spark.workflow.plan import BASIS, Resolution, find_basis_pointer

_JUDGED_LABELS = ("COVERAGE_POLICY_VIOLATION", "FEATURE_VALUE_INVALID", "FEATURE_NUMERIC_OVERFLOW", "ORDER_UNDEFINED")
"""What refuses a build whose labels were read in full."""


@dataclass(frozen=True)
class Receipt:
    """A document of evidence and its kind, which names its folder."""

    kind: str
    document: dict[str, Any]


@dataclass(frozen=True)
class EvidenceWriter:
    """Composes and writes the evidence of a run's attempt."""

    resolution: Resolution
    run: Run
    objects: Objects

    def write_plan(self) -> Evidence:
        """The plan as evidence: BUILD_PLAN_IMMUTABILITY_VIOLATION if another one stands (`fixed_plan.py`)."""
        plan = self.resolution.plan
        ref = name_plan(plan.intent.platform_run_id, self.run.run_key)
        return write_once(self.objects, ref, plan.to_document(), "BUILD_PLAN_IMMUTABILITY_VIOLATION")

    def write_intent(self) -> dict[str, Evidence]:
        """The lifted intent of a backfill as evidence, by its kind; of another build nothing: the request's intent is it."""
        intent = self.resolution.plan.intent
        if not intent.supersedes:
            return {}
        ref = name_evidence(intent.platform_run_id, BACKFILL_INTENT, self.run.run_key)
        return {BACKFILL_INTENT: write_once(self.objects, ref, intent.document)}

    def compose_replay(self, replay: ReplayResult, made: BuildResult | None = None) -> Receipt:
        """The replay completeness receipt; without `made`, before events were settled."""
        plan, index = self.resolution.plan, self.resolution.index
        totals, arrival = None if made is None else made.totals, plan.policy.arrival
        pinned = (self.run.run_key, plan.plan_id, index, plan.intent.basis, plan.sources)
        unseen = replay.unseen.list_columns(plan.program)
        document = compose_replay_receipt(*pinned, replay.completeness, totals, arrival)
        return Receipt("replay_completeness", add_unseen_fields(document, unseen))

    def compose_labels(self, made: BuildResult) -> Receipt:
        """The label resolution receipt."""
        resolution, counts = self.resolution, made.label_counts
        document = compose_label_receipt(
            resolution.plan.plan_id, resolution.terms, resolution.extract, counts, made.shortfalls
        )
        return Receipt("label_resolution", document)

    def write(self, receipt: Receipt, attempt: str = "") -> Evidence:
        """Writes one document of evidence, under the attempt's own name where one is given."""
        run_id = self.resolution.plan.intent.platform_run_id
        ref = name_evidence(run_id, receipt.kind, self.run.run_key, attempt)
        return write_once(self.objects, ref, receipt.document)

    def refuse_first(self, refusals: Sequence[Refusal], *receipts: Receipt) -> None:
        """Raises the first refusal with the faults of all, if there is one; what was found is left as the attempt's own.

        A receipt whose room came after the refusal's, or could not read all it needed, would say half: it is left out.
        """
        for refusal in refusals:
            self._point_out(refusal)
        if refusals:
            read_in_full = all(refusal.code in _JUDGED_LABELS for refusal in refusals)
            for receipt in receipts if read_in_full else receipts[:1]:
                self.write(receipt, self.run.attempt)
            raise merge_refusals(refusals)

    def _point_out(self, refusal: Refusal) -> None:
        """Names where people mend what only data showed: the profile, or the intent's basis."""
        plan, code = self.resolution.plan, CODES[refusal.code]
        if code.root == "profiles":
            refusal.details.setdefault("ref", plan.profile.ref)
        elif code.pointer == BASIS:
            refusal.details.setdefault("pointer", find_basis_pointer(plan.intent))
