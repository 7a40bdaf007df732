"""`ofs gc`: lists what nobody refers to any more, and removes it when told to.

It lists first, reads what must stay then, and judges last, so that whatever was committed meanwhile is a reference. Before
each removal it looks again. A gc that was killed is run again; any number may run at once, beside any number of builds.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.clock import format_instant, to_micros
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.ownership import is_platform_run
from ofs_spark.foundation.ports import Listed
from ofs_spark.foundation.refs import name_gc_receipt, name_own_folder, own_ref
from ofs_spark.intent.run import name_owner
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.gc_orphans import (
    HOUR_US,
    ORPHANED,
    Candidate,
    Kind,
    Terms,
    find_candidates,
    judge,
    order_removals,
)
from ofs_spark.workflow.gc_roots import RootsReader, RootsUnreadable

MOST_TOLD = 1_000
"""Orphans and warnings that an answer lists; orphans that one receipt names."""
CONTRACT = "ofs.gc_receipt.v1"


@dataclass
class Tally:
    """What one gc has found and done so far. removed: objects and bytes that it took away itself."""

    scanned: Counter[str] = field(default_factory=Counter)
    orphans: list[dict[str, Any]] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    receipts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add_orphan(self, orphan: dict[str, Any]) -> None:
        """Counts an orphan, and lists it among the first."""
        self.found.update(orphans=1, objects=orphan["objects"], bytes=orphan["bytes"])
        if len(self.orphans) < MOST_TOLD:
            self.orphans.append(orphan)


@dataclass(frozen=True)
class Sweep:
    """One gc of a store: how ages are judged, and what it came to."""

    context: RunContext
    terms: Terms
    tally: Tally = field(default_factory=Tally)

    def sweep(self, platform_run_id: str, *, removes: bool) -> None:
        """Judges all that OFS wrote of a platform run; removes the orphans.

        Nothing of a platform run is removed while a manifest or prepared manifest of it cannot be read.
        """
        store = self.context.clearable
        listed = store.list_objects(name_own_folder(platform_run_id))
        self.tally.scanned.update(platform_runs=1, objects=len(listed), bytes=sum(one.bytes for one in listed))
        candidates, reader = find_candidates(platform_run_id, listed), RootsReader(platform_run_id, self.context)
        try:
            orphans = self._find_orphans(candidates, reader)
            for start in range(0, len(orphans) if removes else 0, MOST_TOLD):
                batch = orphans[start : start + MOST_TOLD]
                self._write_receipt(platform_run_id, batch)
                for orphan in batch:
                    self._remove(orphan, reader)
        except RootsUnreadable as unreadable:
            self.tally.warnings.append(f"{platform_run_id} is left as it is: {unreadable}")

    def describe(self, candidate: Candidate) -> dict[str, Any]:
        """An orphan, as answers and receipts tell it."""
        return {
            "ref": candidate.ref,
            "kind": candidate.kind.value,
            "objects": candidate.objects,
            "bytes": candidate.bytes,
            "age_hours": round(self.terms.measure_age(candidate) / HOUR_US, 2),
            "reason": ORPHANED[candidate.kind],
        }

    def _find_orphans(self, candidates: Sequence[Candidate], reader: RootsReader) -> list[Candidate]:
        roots, orphans = reader.look(), []
        for candidate in candidates:
            kept = judge(candidate, roots, self.terms)
            if kept is None:
                orphans.append(candidate)
                self.tally.add_orphan(self.describe(candidate))
            else:
                self.tally.kept[kept.value] += 1
        return orphans

    def _write_receipt(self, platform_run_id: str, orphans: Sequence[Candidate]) -> None:
        """Says what is about to be removed, before anything is: what was removed is named, whenever this process ends."""
        at = format_instant(self.terms.now)
        document = {
            "schema_version": CONTRACT,
            "platform_run_id": platform_run_id,
            "at_utc": at,
            "by": name_owner(self.context.control.owner),
            "code_release": self.context.release,
            "grace_hours": round(self.terms.grace / HOUR_US, 2),
            "orphans": [self.describe(one) for one in orphans],
        }
        require_valid(document, CONTRACT)
        ref = name_gc_receipt(platform_run_id, f"{at}-{uuid.uuid4().hex[:12]}")
        self.context.clearable.put_if_absent(ref, encode_canonical(document))
        self.tally.receipts.append(ref)

    def _remove(self, orphan: Candidate, reader: RootsReader) -> None:
        """Takes an orphan away if it still is one, as the ledger, the manifests and its own age say now."""
        store, roots = self.context.clearable, reader.look_again(orphan)
        standing = self._list_standing(orphan)
        if not standing:
            return  # another gc was faster
        kept = judge(replace(orphan, youngest=max(one.modified for one in standing)), roots, self.terms)
        if kept is not None:
            self.tally.kept[kept.value] += 1
            return
        for one in order_removals(standing):
            store.remove(own_ref(one.ref))
            self.tally.removed.update(objects=1, bytes=one.bytes)

    def _list_standing(self, orphan: Candidate) -> list[Listed]:
        """The objects of an orphan by now. A file list or a prepared manifest is not written again unless a claim is made."""
        store = self.context.clearable
        if orphan.kind in (Kind.FILE_LIST, Kind.PREPARED):
            return [Listed(orphan.ref, orphan.bytes, orphan.youngest)] if store.exists(orphan.ref) else []
        folder = orphan.ref if orphan.is_folder() else orphan.ref.rsplit("/", 1)[0]
        return [one for one in store.list_objects(folder) if orphan.has(one.ref)]


def clear_orphans(platform_run_ids: Sequence[str], grace: int, context: RunContext, *, removes: bool) -> dict[str, Any]:
    """What nobody refers to, of the named platform runs or of all that the store holds; `removes`: and takes it away.

    grace: µs; the caller has compared it with `find_least_grace`.
    """
    sweep = Sweep(context, Terms(to_micros(context.clock.now()), grace))
    for platform_run_id in platform_run_ids or find_platform_runs(context):
        context.announce("gc", f"looks at {platform_run_id}")
        sweep.sweep(platform_run_id, removes=removes)
    tally, sizes = sweep.tally, ("objects", "bytes")
    return {
        "applied": removes,
        "grace_hours": round(grace / HOUR_US, 2),
        "scanned": {name: tally.scanned[name] for name in ("platform_runs", *sizes)},
        "orphans": tally.orphans,
        "found": {name: tally.found[name] for name in ("orphans", *sizes)},
        "kept": dict(sorted(tally.kept.items())),
        "removed": {name: tally.removed[name] for name in sizes},
        "receipts": tally.receipts[:MOST_TOLD],
        "warnings": tally.warnings[:MOST_TOLD],
    }


def find_platform_runs(context: RunContext) -> list[str]:
    """The platform runs of the store of which OFS wrote something."""
    store = context.clearable
    return [
        one
        for one in store.list_folders("")
        if is_platform_run(one) and name_own_folder(one) in store.list_folders(one)
    ]
