"""The run receipt keeps its contract however the run ended, and carries the exit status of what was said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ofs_spark.foundation.audit import Resolution
from ofs_spark.foundation.codes import CODES
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.errors import refuse
from ofs_spark.intent.run import Run, State, Transition
from ofs_spark.signals.receipts import compose_run_receipt
from tests.spec.intents import BASE, intent

INTENT = intent(BASE)
HELD = Run("a" * 32, INTENT.request_id, "b" * 64, attempts=2, token=3)
COMMITTED: dict[str, Any] = {
    "outcome": "COMMITTED", "plan_id": "c" * 64, "dataset_manifest_id": "dm_" + "d" * 32,
    "manifest_ref": "run/ofs/manifests/dm.json", "table_ref": "run/ofs/datasets/dm/1",
}  # fmt: skip

AUDIT = [Resolution("sr/facts.json", "run_facts", "resolved"), Resolution("x", "gated_output", "denied")]


def events(token: int, outcome: dict[str, Any] | None, state: State = State.FAILED) -> list[Transition]:
    """What the ledger holds of a claim: its start, and its end if it came to one."""
    began = Transition(HELD.run_key, 1, token, State.QUEUED, State.RUNNING, "STARTED", {"owner": "me"})
    if outcome is None:
        return [began]
    return [began, Transition(HELD.run_key, 2, token, State.RUNNING, state, "ENDED", outcome)]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (COMMITTED, 0),
        (COMMITTED | {"outcome": "ALREADY_PUBLISHED"}, 0),
        ({"outcome": "FAILED", "reason": "INTERNAL", "message": "a defect", "exit_status": 1}, 1),
        ({"outcome": "FAILED", "reason": "INTERRUPTED", "message": "KeyboardInterrupt", "exit_status": 130}, 130),
        *((refuse(code, "what was found", found=1).to_document(), CODES[code].exit_status) for code in sorted(CODES)),
    ],
)
@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.PUBLISH_PENDING])
def test_every_end_of_a_run_has_a_valid_receipt(state: State, outcome: dict[str, Any], status: int) -> None:
    held = replace(HELD, state=state)
    told = [*events(1, None), *events(3, outcome, state)]
    receipt = compose_run_receipt(held, INTENT.platform_run_id, outcome, told, AUDIT, {"run/x.json": "FAILED"})
    assert find_faults(receipt, "ofs.run_receipt.v1") == []
    assert receipt["exit_status"] == status
    began, ended = "1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00.000002Z"
    end = "PUBLISH_PENDING" if state is State.PUBLISH_PENDING else outcome["outcome"]
    assert receipt["outcome"] == end
    last = {"attempt": 3, "outcome": end, "started_at_utc": began, "ended_at_utc": ended}
    code = {"code": outcome["code"]} if "code" in outcome else {}
    assert receipt["attempts"] == [{"attempt": 1, "outcome": "ABANDONED", "started_at_utc": began}, last | code]
    assert receipt.get("refusal", {}).get("code") == outcome.get("code")
    assert ("manifest_ref" in receipt["refs"]) == ("manifest_ref" in outcome)
