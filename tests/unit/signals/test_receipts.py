"""The run receipt keeps its contract however the run ended, and carries the exit status of what was said."""

from __future__ import annotations

from typing import Any

import pytest

from ofs_spark.contracts import faults
from ofs_spark.errors import CODES, refuse
from ofs_spark.intent.run import Run
from ofs_spark.signals.receipts import run_receipt
from tests.spec.intents import BASE, intent

INTENT = intent(BASE)
HELD = Run("a" * 32, INTENT.request_id, "b" * 64, attempts=2, token=3)
COMMITTED: dict[str, Any] = {
    "outcome": "COMMITTED", "plan_id": "c" * 64, "dataset_manifest_id": "dm_" + "d" * 32,
    "manifest_ref": "run/ofs/manifests/dm.json", "table_ref": "run/ofs/datasets/dm/1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (COMMITTED, 0),
        (COMMITTED | {"outcome": "ALREADY_PUBLISHED"}, 0),
        ({"outcome": "FAILED", "message": "a defect"}, 1),
        *((refuse(code, "what was found", found=1).document(), CODES[code].exit_status) for code in sorted(CODES)),
    ],
)
def test_every_end_of_a_run_has_a_valid_receipt(outcome: dict[str, Any], status: int) -> None:
    receipt = run_receipt(HELD, INTENT, outcome)
    assert faults(receipt, "ofs.run_receipt.v1") == []
    assert receipt["exit_status"] == status
    assert receipt["attempts"] == [{"attempt": 2, "outcome": outcome["outcome"]}]
    assert receipt.get("refusal", {}).get("code") == outcome.get("code")
    assert ("manifest_ref" in receipt["refs"]) == ("manifest_ref" in outcome)
