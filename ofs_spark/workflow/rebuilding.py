"""A run that leaves one document instead of a dataset: parity, forensics. Claimed, kept, ended and told as every other run.

The document is the run's commit: put if absent, the same whoever writes it, and never changed. A later run of the request is
answered from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.documents import DocumentKind, read_document
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.intent.heartbeat import keep_lease
from ofs_spark.intent.identity import derive_run_key, hash_intent_payload
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.ending import Answer, Recorder, Result, record_end
from ofs_spark.workflow.preflight import answer_beside, claim_published

if TYPE_CHECKING:
    from ofs_spark.signals.write import SignalWriter

Document = Mapping[str, Any]
MOST_BYTES = 256 * 1024 * 1024
UNKEPT = frozenset({"results", "keys", "columns", "unchecked", "prerequisites", "offsets_consumed"})
"""Members of an answer that may be as long as its document."""


@dataclass(frozen=True)
class Rebuild:
    """What a kind of run makes.

    contract, noun: of its document, which stands at `ref`. make(held, audit) → the document, valid under its contract.
    answer(document, ref, run) → what the command answers. is_judged: whether its outcome is told as a fact.
    asked: what the request asks beside its intent; another one under the same request id is another request.
    """

    ref: OwnedRef
    contract: str
    noun: str
    make: Callable[[Run, Audit], Document]
    answer: Callable[[Document, str, Run], Answer]
    asked: str = ""
    is_judged: bool = False


def run_rebuild(intent: Intent, rebuild: Rebuild, context: RunContext) -> Answer:
    """The answer of a rebuild's run.

    REQUEST_ID_PAYLOAD_MISMATCH for a request id that stands for another intent, or for other anchors; MANIFEST_ABSENT where
    a finished run's document is gone.
    """
    intent_hash = hash_intent_payload(intent)
    if rebuild.asked:
        from ofs_spark.foundation.canonical import digest

        intent_hash = digest({"recipe": "ofs.rebuild_request.v1", "intent": intent_hash, "asked": rebuild.asked})
    run = context.control.open(
        derive_run_key(intent.request_id), intent.request_id, intent_hash, intent.platform_run_id
    )
    recorder = Recorder(intent, context, _expect(rebuild))
    if run.state is State.DONE and run.outcome is not None:
        context.announce("intent", "this request was answered before")
        answer = _answer_standing(rebuild, run, context)
        if answer is None:
            message = (
                f"this request left {rebuild.ref}, and nothing stands there in the object root that the wiring names"
            )
            raise refuse("MANIFEST_ABSENT", message, missing=rebuild.ref, run_key=run.run_key)
        recorder.tell_again(run)
        return answer
    held = claim_published(run, recorder)
    if held is None:
        return answer_beside(run, recorder)
    with keep_lease(context.control, held), record_end(recorder, held) as ending:
        standing = _answer_standing(rebuild, held, context)
        ending.answer.update(standing or _make(rebuild, held, context, recorder.audit))
    return ending.answer


def _make(rebuild: Rebuild, held: Run, context: RunContext, audit: Audit) -> Answer:
    """One attempt: the document made and put, if this driver still holds the run."""
    from ofs_spark.publish.evidence import write_once

    document = rebuild.make(held, audit)
    context.control.fence(held)
    context.announce("publish", f"writes the {rebuild.noun}")
    write_once(context.objects, rebuild.ref, document)
    return rebuild.answer(document, rebuild.ref, held)


def _expect(rebuild: Rebuild) -> Result:
    """The rebuild's document, as the recorder of its end asks for it."""

    def answer(_intent: Intent, run: Run, context: RunContext, _audit: Audit, _is_put: bool) -> Answer | None:
        """The answer that the document gives."""
        return _answer_standing(rebuild, run, context)

    def write(writer: SignalWriter, run: Run, _intent: Intent, _answer: Answer) -> None:
        """What follows from the document."""
        if rebuild.is_judged:
            from ofs_spark.signals.judged import write_judged

            write_judged(writer, rebuild.ref, rebuild.contract, run)

    return Result(rebuild.ref, answer, write, UNKEPT, rebuild.noun)


def _answer_standing(rebuild: Rebuild, run: Run, context: RunContext) -> Answer | None:
    """The answer of the document that stands; None where nothing does. EVIDENCE_IMMUTABILITY_VIOLATION for what is none."""
    if not context.objects.exists(rebuild.ref):
        return None
    code = "EVIDENCE_IMMUTABILITY_VIOLATION"
    kind = DocumentKind(rebuild.contract, rebuild.noun, code, code, max_bytes=MOST_BYTES)
    return rebuild.answer(read_document(context.objects, kind, rebuild.ref), rebuild.ref, run)
