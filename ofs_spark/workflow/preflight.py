"""The look before a build: whether its dataset stands already. It precedes the claim, and outranks what the ledger says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.ends import Stopped, describe_end
from ofs_spark.foundation.errors import InternalError, Refusal
from ofs_spark.foundation.refs import OwnedRef, name_manifest
from ofs_spark.foundation.stops import hold_stops
from ofs_spark.intent.identity import derive_manifest_id, fingerprint_dataset
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Answer, Recorder, Result

if TYPE_CHECKING:
    from ofs_spark.signals.write import SignalWriter


def claim_published(run: Run, recorder: Recorder, publish_only: bool = False) -> Run | None:
    """The run held by this driver: for an attempt, or to record the dataset that stands, which is no attempt.

    None where the dataset stands and the run cannot be had: another driver holds it, or the ledger is of no use. Refuses
    as `RunControl.claim` where nothing stands. A store that does not tell is asked again under the claim.
    """
    context = recorder.context
    try:
        stands = context.objects.exists(recorder.result.ref)
    except (Refusal, OSError):
        stands = False
    try:
        return context.control.claim(run, publish_only=publish_only, settles=stands)
    except Refusal:
        if stands:
            return None
        raise
    except (Stopped, KeyboardInterrupt) as stop:
        with hold_stops():
            held = context.control.find_own(run)
            if held is not None:  # the claim had landed
                recorder.record_failure(held, describe_end(stop))
        raise


def answer_published(
    intent: Intent, run: Run, context: RunContext, audit: Audit, is_put: bool = False
) -> Answer | None:
    """The answer of an already published dataset, or None. Starts no engine. is_put: this attempt may have published it."""
    ref = name_result(intent)
    if not context.objects.exists(ref):
        return None
    from ofs_spark.workflow.answer import answer_from_manifest

    return answer_from_manifest(intent, run, ref, context, audit, is_put)


def declare_backfill(intent: Intent, held: Run, context: RunContext) -> None:
    """Tells, before anything is built, that a run takes the place of a dataset; nothing of another intent."""
    if intent.supersedes:
        from ofs_spark.signals.write import SignalWriter, write_declared

        write_declared(SignalWriter(context.objects, context.announce), held, intent)


def answer_beside(run: Run, recorder: Recorder) -> Answer:
    """The answer of a standing result whose run this driver does not hold: another one records how the run ends."""
    from ofs_spark.signals.write import SignalWriter

    intent, context = recorder.intent, recorder.context
    answer = recorder.result.answer_standing(intent, run, context, [], False)
    if answer is None:
        raise InternalError("a result that stood is gone")
    recorder.result.write(SignalWriter(context.objects, context.announce), run, intent, answer)
    return answer


def expect_dataset(intent: Intent, context: RunContext) -> Result:
    """The manifest that an intent's dataset is committed by."""

    def write(writer: SignalWriter, run: Run, intent: Intent, answer: Answer) -> Answer | None:
        """What follows from the manifest."""
        from ofs_spark.signals.write import write_published

        return write_published(writer, context.control, run, intent, answer["manifest_ref"])

    return Result(name_result(intent), answer_published, write, frozenset({"differences"}))


def name_result(intent: Intent) -> OwnedRef:
    """Where the manifest of an intent's dataset stands."""
    return name_manifest(intent.platform_run_id, derive_manifest_id(fingerprint_dataset(intent)))
