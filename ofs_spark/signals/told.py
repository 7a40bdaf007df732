"""What is written after a claimed run ended, whichever way: fact, receipts, reconciliation.

All of it is derived from the ledger and the manifest and can be written again. A document that cannot be written is
announced, and recorded as failed in the run receipt; it undoes and blocks nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from ofs_spark.canonical import CanonicalError, canonical_json, parse_json
from ofs_spark.contracts import faults, require_valid
from ofs_spark.errors import OfsError
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.objects import Audit, ObjectMissing, Objects
from ofs_spark.ownership import require_owned
from ofs_spark.signals import governance, reconciliation
from ofs_spark.signals.receipts import Document, publication_receipt, run_receipt

Announce = Callable[[str, str], None]
UNSETTLED = "COMMIT_OUTCOME_UNKNOWN"
"""After this nobody knows whether there is a dataset: neither fact is told."""


class Teller:
    """Writes documents about one run and remembers what became of each."""

    def __init__(self, objects: Objects, announce: Announce) -> None:
        self.objects = objects
        self.announce = announce
        self.written: dict[str, str] = {}

    def write(self, ref: str, document: Document, *, once: bool) -> None:
        """Writes a document that keeps its contract; `once`: unless one stands there."""
        require_valid(document, document["schema_version"])
        require_owned(ref)
        body = canonical_json(document)
        try:
            if once:
                self.written[ref] = {"created": "WRITTEN", "exists": "EXISTS"}[
                    self.objects.put_if_absent(ref, body).value
                ]
            else:
                self.objects.replace(ref, body)
                self.written[ref] = "WRITTEN"
        except (OSError, OfsError) as error:
            self.written[ref] = "FAILED"
            self.announce("signals", f"FAILED to write {ref}: {error}")

    def standing(self, ref: str, contract: str) -> Document | None:
        """The document at `ref` if one that keeps its contract stands there."""
        try:
            document = parse_json(self.objects.read(ref), what=ref, max_bytes=1 << 30)
        except (ObjectMissing, CanonicalError, OSError, OfsError):
            return None
        return document if not faults(document, contract) else None


def tell(
    objects: Objects,
    announce: Announce,
    control: RunControl,
    held: Run,
    intent: Intent,
    outcome: Mapping[str, Any],
    audit: Audit,
) -> None:
    """Everything that is told of a run that ended with `outcome`."""
    teller, own = Teller(objects, announce), f"{intent.platform_run_id}/ofs"
    receipt_ref = f"{own}/run_receipts/{held.run_key}.json"
    manifest = fact = None
    if outcome.get("manifest_ref"):
        body = objects.read(outcome["manifest_ref"])
        manifest, sha256 = parse_json(body, what="the manifest"), hashlib.sha256(body).hexdigest()
        fact = governance.dataset_published(manifest, outcome["manifest_ref"], sha256)
        receipt = publication_receipt(held, outcome, manifest, sha256)
        # Once: a run that committed has committed, whatever a later attempt of it finds.
        teller.write(f"{own}/publication/{held.run_key}.json", receipt, once=True)
    elif outcome.get("code") != UNSETTLED:
        fact = governance.dataset_build_failed(held, intent.platform_run_id, outcome, receipt_ref)
    if fact is not None:
        teller.write(f"{own}/governance/{fact['event_id']}.json", fact, once=True)
    _reconcile(teller, control, intent.platform_run_id, reconciliation.entry(held, outcome, manifest, audit))
    events = control.ledger.events(held.run_key)
    teller.write(receipt_ref, run_receipt(held, intent, outcome, events, audit, teller.written), once=False)


def _reconcile(teller: Teller, control: RunControl, platform_run_id: str, mine: Document) -> None:
    """Writes the run's own contribution, then the platform run's: its standing entries and what it lacks of the ledger's.

    Two drivers may read the same standing document; whichever replaces it last, the other's contribution stands for
    itself and is taken up by the next run that ends.
    """
    contract, total = (
        reconciliation.SCHEMA_VERSION,
        f"{platform_run_id}/learning/reconciliation/ofs_reconciliation.json",
    )

    def contribution(run_key: str) -> str:
        return f"{platform_run_id}/ofs/reconciliation/{run_key}.json"

    teller.write(contribution(mine["run_key"]), reconciliation.reconciled(platform_run_id, [mine]), once=False)
    standing = teller.standing(total, contract) or {"runs": []}
    entries = {one["run_key"]: one for one in standing["runs"]} | {mine["run_key"]: mine}
    for run in control.ledger.runs():
        if run.run_key not in entries:
            own = teller.standing(contribution(run.run_key), contract)
            entries |= {one["run_key"]: one for one in own["runs"]} if own else {}
    teller.write(total, reconciliation.reconciled(platform_run_id, entries.values()), once=False)
