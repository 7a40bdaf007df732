"""How a claimed run ends: recorded in the ledger, whichever way, and told; what stands is never told as a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.audit import Audit, describe_audit
from ofs_spark.foundation.commands import RETRY_PUBLISH
from ofs_spark.foundation.ends import EXIT_INTERRUPTED, PublishedDefectError, Stopped, describe_end, find_owner
from ofs_spark.foundation.errors import OfsError, Refusal, refuse
from ofs_spark.foundation.ports import NOTE
from ofs_spark.foundation.stops import find_stop, hold_stops
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State
from ofs_spark.workflow.context import RunContext

if TYPE_CHECKING:  # these load what is written of a run, which an answer from the ledger does without
    from ofs_spark.foundation.refs import OwnedRef
    from ofs_spark.signals.write import SignalWriter

Answer = dict[str, Any]
UNKNOWN = "COMMIT_OUTCOME_UNKNOWN"
CONFLICT = "MANIFEST_IMMUTABILITY_VIOLATION"
UNFIT = frozenset(
    {
        *(CONFLICT, "MATERIALIZATION_CORRUPT", "PREPARED_MANIFEST_INVALID"),
        *("TRAINING_NOT_ADMISSIBLE", "SUPERSESSION_LINK_INVALID"),
    }
)
"""Codes that say that what is staged can never be published: the next attempt is a full one."""


@dataclass
class Ending:
    """What an attempt came to so far. answer: the published dataset's; is_put: its manifest may have been put.

    prepared: where everything stands that a publish-only retry needs, as `Prepared.describe`; None before that.
    """

    answer: Answer = field(default_factory=dict)
    is_put: bool = False
    prepared: Mapping[str, str] | None = None


def choose_state(run: Run, reason: str, is_prepared: bool) -> State:
    """How a run ends without a dataset: PUBLISH_PENDING where what it has staged may still be published, else FAILED."""
    may_publish = is_prepared or run.publish_only or reason == UNKNOWN
    return State.PUBLISH_PENDING if may_publish and reason not in UNFIT else State.FAILED


@dataclass(frozen=True)
class Result:
    """What the runs of an intent are to leave: the one document that is their commit.

    ref: where it stands. answer_standing(intent, run, context, audit, is_put) → the answer that it gives, None where nothing
    stands; is_put: this attempt may have put it. write(writer, run, intent, answer) tells what follows from it, and gives
    its manifest, if it is one. noun: what it is called.
    """

    ref: OwnedRef
    answer_standing: Callable[[Intent, Run, RunContext, Audit, bool], Answer | None]
    write: Callable[[SignalWriter, Run, Intent, Answer], Answer | None]
    unkept: frozenset[str] = frozenset()
    """Members of the answer that the ledger does not keep: the document has them."""
    noun: str = "dataset"


@dataclass(frozen=True)
class Recorder:
    """Records how runs of one intent end. audit: of this attempt."""

    intent: Intent
    context: RunContext
    result: Result
    audit: Audit = field(default_factory=list)

    def record_published(self, run: Run, answer: Answer) -> None:
        """Tells of the result, and only then records DONE. What cannot be recorded is a warning: the result stands."""
        from ofs_spark.signals.write import SignalWriter, write_ended

        context = self.context
        context.announce("signals", "records how the run ended")
        writer = SignalWriter(context.objects, context.announce)
        manifest = self.result.write(writer, run, self.intent, answer)
        kept = {name: value for name, value in answer.items() if name not in self.result.unkept}
        ended = self._end(run, State.DONE, answer["outcome"], kept, answer["warnings"])
        if ended is not None:
            write_ended(writer, context.control, ended, self.intent.platform_run_id, manifest)

    def tell_again(self, run: Run) -> None:
        """Everything that is told of a finished run, where it is missing or says something else. Never raises."""
        from ofs_spark.signals.write import SignalWriter, write_ended

        context = self.context
        writer = SignalWriter(context.objects, context.announce)
        manifest = self.result.write(writer, run, self.intent, dict(run.outcome or {}))
        write_ended(writer, context.control, run, self.intent.platform_run_id, manifest)

    def record_failure(self, run: Run, outcome: Answer, prepared: Mapping[str, str] | None = None) -> None:
        """Records an end without a dataset. A ledger that cannot be told hides nothing: the lease will run out.

        prepared: as `Ending.prepared`; the ledger keeps it, for the retry.
        """
        from ofs_spark.signals.write import SignalWriter, write_declared, write_ended

        reason = str(outcome.get("code") or outcome["reason"])
        if reason == "LEASE_LOST" and "run_limit_hours" not in outcome["details"]:
            return  # another driver has the run: its record is the one that counts
        ended = self._end(run, choose_state(run, reason, prepared is not None), reason, outcome, [], prepared)
        if ended is not None:
            context = self.context
            context.announce("signals", "records how the run ended")
            writer = SignalWriter(context.objects, context.announce)
            write_declared(writer, ended, self.intent)
            write_ended(writer, context.control, ended, self.intent.platform_run_id, None)

    def _end(
        self,
        run: Run,
        state: State,
        reason: str,
        outcome: Answer,
        warnings: list[str],
        prepared: Mapping[str, str] | None = None,
    ) -> Run | None:
        beside = describe_audit(self.audit) | ({"prepared": dict(prepared)} if prepared else {})
        try:
            return self.context.control.end(run, state, reason, outcome, beside)
        except OfsError as untold:
            lost = isinstance(untold, Refusal) and untold.code == "LEASE_LOST"
            said = f"{untold}; it records how the run ends" if lost else f"FAILED to record how the run ended: {untold}"
            self.context.announce("signals", f"{NOTE}{said}")
            warnings.append(said)
            return None


@contextmanager
def record_end(recorder: Recorder, run: Run) -> Iterator[Ending]:
    """Records how the block ended. The block fills the answer; where the dataset stands nevertheless, it is filled here.

    Before a failure is told the store is asked. A stop stays a stop, and names the manifest that stands; so does a
    defect. Any other error after the manifest stands is a warning of the answer. A signal that comes while the end is
    recorded takes effect afterwards.
    """
    ending = Ending()
    try:
        yield ending
    except BaseException as error:  # noqa: BLE001  # an interrupt too: the next attempt need not wait for the lease
        ended = find_stop(error)
        with hold_stops():
            end = _settle(ended, ending, recorder, run)
        if end is not None:
            raise end from (None if end is error else error)
        return
    try:
        with hold_stops():
            recorder.record_published(run, ending.answer)
    except (Stopped, KeyboardInterrupt) as stop:
        raise _name_dataset(stop, ending.answer) from None


def _settle(error: BaseException, ending: Ending, recorder: Recorder, run: Run) -> BaseException | None:
    """Records the end that `error` is: what to raise, None where the answer of a standing dataset stands for it."""
    owner = find_owner(error)
    standing, is_known = _ask_store(error, ending, recorder, run)
    if standing is not None:
        said = [] if owner is None else [f"after the {recorder.result.noun} was published: {owner}"]
        ending.answer.update(standing, warnings=[*standing["warnings"], *said])
        recorder.record_published(run, ending.answer)
        return None if owner is not None else _name_dataset(error, standing)
    refusal = owner
    if ending.is_put and not (is_known and isinstance(error, Refusal)):
        message = "the attempt ended during the manifest's put, and the manifest cannot be read; staged data is kept"
        refusal = refuse(UNKNOWN, message, run_key=run.run_key)
    told = error if refusal is None else _point_to_retry(refusal, run, ending)
    recorder.record_failure(run, describe_end(told), ending.prepared)
    return error if owner is None else told


def _point_to_retry(refusal: Refusal, run: Run, ending: Ending) -> Refusal:
    """The refusal; where its run can still publish what it has staged, that is what to run next."""
    lost = refusal.code == "LEASE_LOST"
    if lost or choose_state(run, refusal.code, ending.prepared is not None) is not State.PUBLISH_PENDING:
        return refusal
    return refuse(refusal.code, refusal.message, RETRY_PUBLISH, **{**refusal.details, "run_key": run.run_key})


def _ask_store(error: BaseException, ending: Ending, recorder: Recorder, run: Run) -> tuple[Answer | None, bool]:
    """(the answer of the dataset that stands, whether the store told). A conflict is about what stands, and is kept."""
    if isinstance(error, Refusal) and error.code == CONFLICT:
        return None, True
    try:
        return recorder.result.answer_standing(
            recorder.intent, run, recorder.context, recorder.audit, ending.is_put
        ), True
    except Refusal as refusal:
        return None, refusal.code in (CONFLICT, "TRAINING_NOT_ADMISSIBLE")
    except Exception:  # noqa: BLE001  # the store does not tell: the error itself is what is told
        return None, False


def _name_dataset(error: BaseException, standing: Answer) -> BaseException:
    """A stop or a defect with the dataset that stands by then; as it is where the result is none."""
    if "manifest_ref" not in standing:
        return error
    ref = str(standing["manifest_ref"])
    if isinstance(error, Stopped):
        return Stopped(error.exit_status, ref, error.message)
    if isinstance(error, KeyboardInterrupt):
        return Stopped(EXIT_INTERRUPTED, ref)
    return PublishedDefectError(ref)
