"""What the command of an intent refuses for its request and its pins, as `ofs validate` asks it: nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ofs_spark.intent.admission import find_command
from ofs_spark.intent.backfill import Correction, lift_intent
from ofs_spark.intent.identity import derive_run_key, hash_intent_payload
from ofs_spark.intent.model import Intent

if TYPE_CHECKING:  # loads YAML, which an intent without a wiring does without
    from ofs_spark.workflow.context import RunContext


def lift_whole(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The intent that `ofs backfill` makes of one that says itself what it supersedes and why; any other as it is."""
    is_whole = find_command(document) == "backfill" and document.get("supersedes") and document.get("backfill")
    return lift_intent(document, Correction()) if is_whole else document


def require_pins(intent: Intent, context: RunContext) -> None:
    """Refuses an admitted intent as its own command does before an engine starts, everything that is wrong at once.

    A request id that stands for another intent, or whose run was resolved to another plan, is told as the command tells it.
    What is asked beside the intent is not known: the request of a sweep, or of a backfill of an intent that does not name
    its target, is not looked at.
    """
    command, run_key = find_command(intent.document), derive_run_key(intent.request_id)
    is_whole = command != "parity" and (command != "backfill" or bool(intent.supersedes))
    if is_whole:
        context.control.require_free(run_key, hash_intent_payload(intent))
    if command in ("parity", "forensic"):
        from ofs_spark.workflow.parity_plan import require_parity_pins

        require_parity_pins(intent, context)
        return
    from ofs_spark.workflow.fixed_plan import require_fixed_plan
    from ofs_spark.workflow.plan import resolve_plan

    resolution = resolve_plan(intent, context, [])
    if is_whole:
        require_fixed_plan(resolution, run_key, context.objects)
