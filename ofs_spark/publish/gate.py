"""The gate before the commit: what must hold for any dataset, and what must hold for one that models may train on.

Every rule is judged and recorded in the manifest by name, so that a later intent can be answered from the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofs_spark.foundation.errors import refuse

TRAINING_READY, NON_TRAINING = "TRAINING_READY", "NON_TRAINING"


@dataclass(frozen=True)
class Gate:
    """One judged rule. `training` rules bind training intents only; `code` is what its failure refuses with."""

    name: str
    passed: bool
    found: str
    required: str
    code: str
    training: bool = False

    def to_document(self) -> dict[str, Any]:
        """What the manifest records of it."""
        detail = {"found": self.found, "required": self.required, "training": self.training}
        return {"name": self.name, "passed": self.passed, "detail": detail}


@dataclass(frozen=True)
class GateInputs:
    """What the gate judges: the plan, the receipts, the digest as computed and as re-read, and policy's limits.

    label_shortfalls: thresholds missed, as text. anomalies: position mismatches, event id conflicts and invalid records
    that were tolerated. truncated_rows: rows with a window cut off by the basis, None where policy allows them.
    """

    plan_basis_hash: str
    replay_basis_hash: str
    replay_status: str
    anchors: int
    computed_rows: int
    stored_rows: int
    computed_digest: str
    stored_digest: str
    leaks: int
    posture: str
    label_shortfalls: tuple[str, ...]
    anomalies: int
    truncated_rows: int | None = None


def judge_gates(facts: GateInputs) -> tuple[Gate, ...]:
    """Every rule, in the order in which failures are reported."""
    rows = f"{facts.anchors} anchors, {facts.computed_rows} written, {facts.stored_rows} stored"
    incomplete = "REPLAY_BASIS_GAP" if facts.replay_status == "INCOMPLETE" else "REPLAY_UNCHECKABLE"
    return (
        _judge_equal("basis_agrees", facts.replay_basis_hash, facts.plan_basis_hash, "REPLAY_UNCHECKABLE"),
        _judge_equal("replay_complete", facts.replay_status, "COMPLETE", incomplete),
        Gate(
            "rows_preserved",
            facts.anchors == facts.computed_rows == facts.stored_rows,
            rows,
            "one row per anchor, written and stored",
            "MATERIALIZATION_CORRUPT",
        ),
        _judge_equal("digest_agrees", facts.stored_digest, facts.computed_digest, "MATERIALIZATION_CORRUPT"),
        _judge_equal("no_leakage", str(facts.leaks), "0", "LEAKAGE_POLICY_VIOLATION"),
        Gate(
            "windows_whole",
            not facts.truncated_rows,
            f"{facts.truncated_rows or 0} refused rows",
            "0",
            "WINDOW_TRUNCATED",
        ),
        _judge_equal("posture", facts.posture, "KNEW_THEN", "TRAINING_NOT_ADMISSIBLE", training=True),
        _judge_equal("no_anomalies", str(facts.anomalies), "0", "TRAINING_NOT_ADMISSIBLE", training=True),
        Gate(
            "labels_ready",
            not facts.label_shortfalls,
            "; ".join(facts.label_shortfalls) or "ready",
            "ready",
            "COVERAGE_POLICY_VIOLATION",
            training=True,
        ),
    )


def require_passed(gates: Sequence[Gate], training: bool) -> None:
    """Raises the code of the first failed rule that binds this intent, naming all of them."""
    failed = [gate for gate in gates if not gate.passed and (training or not gate.training)]
    if failed:
        first = failed[0]
        raise refuse(
            first.code,
            f"gate {first.name}: found {first.found}; required is {first.required}",
            gate=first.name,
            faults=[gate.to_document() for gate in failed],
        )


def derive_status(gates: Sequence[Gate]) -> str:
    """TRAINING_READY if every rule passed, else NON_TRAINING."""
    return TRAINING_READY if all(gate.passed for gate in gates) else NON_TRAINING


def require_admissible(manifest: Mapping[str, Any], training: bool, ref: str) -> None:
    """TRAINING_NOT_ADMISSIBLE, naming the gates, if a training intent asks for a published NON_TRAINING dataset."""
    if not training or manifest["status"] == TRAINING_READY:
        return
    failed = [gate["name"] for gate in manifest["gates"] if not gate["passed"]]
    message = f"{ref} is published as {manifest['status']}; a training intent requires the gates {', '.join(failed)}"
    raise refuse("TRAINING_NOT_ADMISSIBLE", message, ref=ref, gates=failed)


def describe_shortfall(missed: Mapping[str, Any]) -> str:
    """A missed label threshold, as a receipt states it, in the words of the gate."""
    return f"{missed['label_type']} {missed['measure']} {missed['found']}, {missed['required']}"


def _judge_equal(name: str, found: str, required: str, code: str, training: bool = False) -> Gate:
    return Gate(name, found == required, found, required, code, training)
