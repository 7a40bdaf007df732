"""What is written of a run: the views of its manifest, before the ledger says DONE, and what follows from how it ended.

All of it is derived from the ledger and the manifest and can be written again. A document that cannot be written is
announced, and recorded as failed in the run receipt; it undoes and blocks nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ofs_spark.foundation.audit import read_audit
from ofs_spark.foundation.canonical import MAX_BYTES, CanonicalError, encode_canonical, parse_json
from ofs_spark.foundation.contracts import find_faults, require_valid
from ofs_spark.foundation.documents import describe_other
from ofs_spark.foundation.errors import OfsError
from ofs_spark.foundation.ports import NOTE, ObjectMissing, Objects, ObjectTooLarge, Put
from ofs_spark.foundation.refs import (
    OwnedRef,
    name_contribution,
    name_evidence,
    name_fact,
    name_manifest_v0,
    name_plan,
    name_plan_index,
    name_publication,
    name_reconciliation,
    name_roll,
    name_run_receipt,
    name_supersession,
)
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.identity import (
    compose_manifest_v0,
    derive_manifest_id,
    fingerprint_dataset,
    hash_intent_payload,
)
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run, State, Transition
from ofs_spark.publish.gate import TRAINING_READY
from ofs_spark.publish.supersession import complete_links
from ofs_spark.signals import governance, reconciliation
from ofs_spark.signals.receipts import (
    Document,
    compose_plan_index,
    compose_publication_receipt,
    compose_run_receipt,
)
from ofs_spark.signals.roll import Roll, decode_roll

Announce = Callable[[str, str], None]

EVIDENCE = ("replay_completeness", "label_resolution")
"""Evidence that an attempt may leave under a name of its own."""
PLANS = ("ofs.build_plan.v1", "ofs.parity_plan.v1")
MOST_BYTES = 1 << 30
"""Of what is read back: a platform run's document as earlier releases left it has about a kilobyte for each run."""
MOST_FAILURES = 16
"""Failed attempts whose facts a later one looks for: policy allows fewer, and any number may have been interrupted."""
ROUNDS = 8
"""Times a platform run's document is written anew because another driver wrote it meanwhile."""


@dataclass
class SignalWriter:
    """Writes documents about one run and remembers what became of each: ref → WRITTEN, EXISTS or FAILED."""

    objects: Objects
    announce: Announce
    written: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def try_writing(self, ref: str) -> Iterator[None]:
        """Runs the block that ends in the document at `ref`; whatever goes wrong in it is that document's failure."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the ledger has the outcome: nothing told of it may undo it
            self.written[ref] = "FAILED"
            self.announce("signals", f"{NOTE}FAILED to write {ref}: {error}")

    def write(self, ref: OwnedRef, document: Document, *, once: bool) -> None:
        """Writes a document that keeps its contract.

        `once`: it follows from what never changes, so an equal one that stands there is left, and another is mended.
        """
        with self.try_writing(ref):
            require_valid(document, document["schema_version"])
            body = encode_canonical(document)
            put = self.objects.put_if_absent(ref, body) if once else None
            if put is Put.EXISTS and not describe_other(self.objects, ref, body):
                self.written[ref] = "EXISTS"
                return
            if put is not Put.CREATED:
                self.objects.replace(ref, body)
            self.written[ref] = "WRITTEN"

    def write_bytes(self, ref: OwnedRef, body: bytes) -> None:
        """Writes what is no document."""
        with self.try_writing(ref):
            self.objects.replace(ref, body)
            self.written[ref] = "WRITTEN"

    def read_bytes(self, ref: str) -> bytes:
        """The bytes at `ref`; none where none can be read."""
        try:
            return self.objects.read(ref, MOST_BYTES)
        except (ObjectMissing, ObjectTooLarge, OSError, OfsError):
            return b""

    def read_standing(self, ref: str, contract: str) -> Document | None:
        """The document at `ref` if one that keeps its contract stands there."""
        return self.parse_standing(self.read_bytes(ref), contract)

    def parse_standing(self, body: bytes, contract: str) -> Document | None:
        """The document of these bytes if it keeps its contract."""
        try:
            document = parse_json(body, max_bytes=MOST_BYTES)
        except (CanonicalError, OfsError):
            return None
        return document if not find_faults(document, contract) else None


def write_published(writer: SignalWriter, control: RunControl, run: Run, intent: Intent, ref: str) -> Document | None:
    """What follows from the manifest that a run ended with: receipt, plan index, v0 view, links, facts. None if it is
    unreadable.

    Each is written once: it follows from the manifest alone, and whoever comes later adds what is missing and mends what
    says something else.
    """
    run_id = intent.platform_run_id
    write_declared(writer, run, intent)
    publication = name_publication(run_id, run.run_key)
    manifest: Document | None = None
    with writer.try_writing(publication):
        body = writer.objects.read(ref, MAX_BYTES)
        manifest = found = dict(parse_json(body, what="the manifest"))
        named = {"ref": ref, "sha256": hashlib.sha256(body).hexdigest()}
        fact = governance.compose_dataset_published(found, ref, named["sha256"])
        writer.write(publication, compose_publication_receipt(run.run_key, run.request_id, found, named), once=True)
        writer.write(name_plan_index(run_id, found["plan_id"]), compose_plan_index(found, named), once=True)
        if found["status"] == TRAINING_READY:
            writer.write(name_manifest_v0(run_id, found["dataset_manifest_id"]), compose_manifest_v0(intent), once=True)
        writer.write(name_fact(run_id, fact["event_id"]), fact, once=True)
        if "supersedes" in found:
            _write_completed(writer, control, found, named)
    return manifest


def write_declared(writer: SignalWriter, run: Run, intent: Intent) -> None:
    """That a run takes the place of a dataset, and why: before its build, and again by every later run. Never raises."""
    if intent.supersedes:
        dataset = derive_manifest_id(fingerprint_dataset(intent))
        fact = governance.compose_backfill_declared(run.run_key, dataset, intent, hash_intent_payload(intent))
        writer.write(name_fact(intent.platform_run_id, fact["event_id"]), fact, once=True)


def _write_completed(writer: SignalWriter, control: RunControl, manifest: Document, named: Mapping[str, str]) -> None:
    """The links to a manifest that stands, and the fact. The fact is told of the links that could be completed alone."""
    run_id, superseded = manifest["platform_run_id"], manifest["supersedes"][0]
    link_ref = name_supersession(run_id, superseded)
    with writer.try_writing(link_ref):
        writer.written |= complete_links(manifest, named, writer.objects, control)
        fact = governance.compose_backfill_completed(manifest, named)
        writer.write(name_fact(run_id, fact["event_id"]), fact, once=True)


def write_ended(writer: SignalWriter, control: RunControl, run: Run, run_id: str, manifest: Document | None) -> None:
    """What follows from the ledger of a run that ended: facts of failed attempts, reconciliation, receipt, which is last.

    Never raises. run_id: the platform run; manifest: the one that the run ended with. Written again by a later driver, all
    of it says the same.
    """
    receipt_ref, plan_ref = name_run_receipt(run_id, run.run_key), name_plan(run_id, run.run_key)
    with writer.try_writing(receipt_ref):
        events, outcome = control.ledger.list_events(run.run_key), dict(run.outcome or {})
        _write_failures(writer, run, run_id, events, receipt_ref)
        standing = writer.read_standing(receipt_ref, "ofs.run_receipt.v1")
        audit = read_audit(events[-1].detail)
        if audit is None and standing is not None:  # an earlier release told more than its ledger holds
            return
        _reconcile(writer, control, run_id, reconciliation.compose_entry(run, outcome, manifest, audit or []))
        plan = next(filter(None, (writer.read_standing(plan_ref, contract) for contract in PLANS)), None)
        receipt = compose_run_receipt(run, run_id, outcome, events, audit or [], writer.written, manifest or plan)
        receipt["refs"] |= {"resolved_build_plan": plan_ref} if plan else {}
        receipt["refs"] |= _own_evidence(writer.objects, run_id, run.run_key, receipt["attempts"])
        if standing is None or {**standing, "signals": receipt["signals"]} != receipt:
            writer.write(receipt_ref, receipt, once=False)


def _write_failures(
    writer: SignalWriter, run: Run, platform_run_id: str, events: Sequence[Transition], receipt_ref: str
) -> None:
    """The fact of each attempt that failed. Of an outcome that nobody knows neither fact is told."""
    for event in [one for one in events if one.after is State.FAILED][-MOST_FAILURES:]:
        fact = governance.compose_dataset_build_failed(
            run.run_key, event.token, platform_run_id, event.detail, receipt_ref
        )
        writer.write(name_fact(platform_run_id, fact["event_id"]), fact, once=True)


def _own_evidence(objects: Objects, platform_run_id: str, run_key: str, attempts: list[Document]) -> dict[str, str]:
    """What failed attempts left under their own names, by kind and attempt."""
    names = [(kind, f"attempt-{one['attempt']}") for kind in EVIDENCE for one in attempts]
    refs = {f"{kind}.{attempt}": name_evidence(platform_run_id, kind, run_key, attempt) for kind, attempt in names}
    return {name: ref for name, ref in refs.items() if objects.exists(ref)}


def _reconcile(writer: SignalWriter, control: RunControl, platform_run_id: str, mine: Document) -> None:
    """Writes the run's own contribution, then the platform run's roll and its document.

    Whoever writes one of these two looks again afterwards: a driver that replaced it with what it had read earlier finds
    what another told meanwhile, so that the last one to write leaves nothing out.
    """
    own = name_contribution(platform_run_id, mine["run_key"])
    writer.write(own, reconciliation.reconcile(platform_run_id, Roll.of([mine]), [mine]), once=False)
    total, roll_ref = name_reconciliation(platform_run_id), name_roll(platform_run_id)
    look = None
    with writer.try_writing(total):
        for _ in range(ROUNDS):
            look = _look(writer, control, platform_run_id, mine, look)
            if look.roll_body != look.roll_found:
                writer.write_bytes(roll_ref, look.roll_body)
            if look.body != look.found:
                writer.write(total, look.document, once=False)
            if (look.roll_body, look.body) == (look.roll_found, look.found):
                return
            if "FAILED" in map(writer.written.get, (total, roll_ref)):
                return


@dataclass(frozen=True)
class _Look:
    """What stood of a platform run (found), what must stand, and what that was made of.

    outdated: runs that the roll did not tell as the ledger knows them; some have told nothing yet.
    """

    roll_found: bytes
    found: bytes
    tokens: Sequence[tuple[str, int]]
    outdated: Sequence[str]
    roll: Roll
    roll_body: bytes
    document: Document
    body: bytes


def _look(writer: SignalWriter, control: RunControl, platform_run_id: str, mine: Document, last: _Look | None) -> _Look:
    """What stands, and what must stand by the roll, the ledger and the contributions. `last`: the look before this one."""
    found, roll_found = (writer.read_bytes(name(platform_run_id)) for name in (name_reconciliation, name_roll))
    tokens = control.ledger.list_tokens(platform_run_id)
    is_same = last is not None and (roll_found, found, tokens) == (last.roll_body, last.body, last.tokens)
    roll = last.roll if last and roll_found == last.roll_body else decode_roll(roll_found)
    standing = last.document if last and is_same else writer.parse_standing(found, reconciliation.SCHEMA_VERSION)
    listed = {one["run_key"]: one for one in standing["runs"]} if standing else {}
    base = roll or Roll.of(listed.values())
    outdated = last.outdated if last and is_same else base.list_outdated(tokens, mine)
    told: dict[str, Document] = {}
    for run_key in outdated:
        told |= _read_contribution(writer, platform_run_id, run_key)
    told.setdefault(mine["run_key"], mine)
    if last and is_same and all(map(base.agrees, told.values())):
        return replace(last, found=found, roll_found=roll_found)
    if roll is None:
        order = {run.run_key: place for place, run in enumerate(control.ledger.list_runs())}
        roll = Roll.of(sorted((listed | told).values(), key=lambda one: order.get(one["run_key"], -1)))
        roll_body = roll.encode()
    else:
        roll_body = roll.encode() if roll.tell(told.values()) else roll_found
    entries = _list_entries(writer, platform_run_id, roll, listed | told)
    document = reconciliation.reconcile(platform_run_id, roll, entries)
    return _Look(roll_found, found, tokens, outdated, roll, roll_body, document, encode_canonical(document))


def _read_contribution(writer: SignalWriter, platform_run_id: str, run_key: str) -> dict[str, Document]:
    """What a run told of itself, by run key; nothing where it has told nothing, or what stands there keeps no contract."""
    told = writer.read_standing(name_contribution(platform_run_id, run_key), reconciliation.SCHEMA_VERSION)
    return {one["run_key"]: one for one in told["runs"]} if told else {}


def _list_entries(writer: SignalWriter, platform_run_id: str, roll: Roll, held: dict[str, Document]) -> list[Document]:
    """The entries of the newest runs: those held, unless the roll says otherwise; else as contributed."""
    newest = roll.columns["run_key"][-reconciliation.LISTED :]
    for run_key in newest:
        if run_key not in held or not roll.agrees(held[run_key]):
            held |= _read_contribution(writer, platform_run_id, run_key)
    return [held[run_key] for run_key in newest if run_key in held]
